"""DLMS/COSEM overheard (dossier protocols §4)."""

from edge.guardian.dlms.decoder import DlmsDecoder

__all__ = ["DlmsDecoder"]
