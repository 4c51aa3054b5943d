"""Simulated ABNT NBR 14522 meters: model, session, ports (dossier abnt-nbr-14522 §5.3)."""
