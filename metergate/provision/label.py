"""A gateway's label: a QR code with its id and server beneath, as SVG, PNG (the code alone) or on the terminal."""

import io
from pathlib import Path
from urllib.parse import quote, urlsplit
from xml.sax.saxutils import escape

import segno

from metergate.provision.errors import ProvisionError
from shared.ids import IdError, check_id

_QUIET = 4  # modules of white that readers need around a code


class Label:
    """What stands on it: without a code the address of the gateway's page, with one the command for the gateway."""

    def __init__(self, gateway: str, server: str, code: str = "", pin: str = "") -> None:
        try:
            check_id(gateway, "gateway")
        except IdError as error:
            raise ProvisionError(str(error)) from error
        parts = urlsplit(server)
        if parts.scheme not in ("https", "http") or not parts.netloc:
            raise ProvisionError(f"--server {server!r} is no address such as https://metergate.example.net")
        server = server.rstrip("/")
        self.gateway, self.server, self.code = gateway, parts.netloc, code.strip().upper()
        if code:
            words = ["metergate edge enrol", f"--server {server}", f"--code {self.code}"]
            self.text = " ".join([*words, f"--pin {pin}"] if pin else words)
        else:
            self.text = f"{server}/gateways/{quote(gateway, safe='')}"
        self._qr = segno.make(self.text, error="m", micro=False)

    @property
    def lines(self) -> list[str]:
        """What people read."""
        return [self.gateway, self.server, *([self.code] if self.code else [])]

    def svg(self) -> str:
        """A label whose width is that of the code; prints at any size."""
        code = io.BytesIO()
        self._qr.save(code, kind="svg", border=_QUIET, xmldecl=False, svgns=False, omitsize=True, dark="#000")
        width = self._qr.symbol_size(border=_QUIET)[0]
        rows = []
        top = float(width)
        for at, text in enumerate(self.lines):
            size = min(width / 7.5 if at == 0 else width / 11, 1.55 * (width - 4) / max(len(text), 1))
            top += size * 1.15
            weight = ' font-weight="700"' if at != 1 else ""
            rows.append(
                f'<text x="{width / 2:g}" y="{top:.2f}" font-size="{size:.2f}" text-anchor="middle"{weight} '
                f'font-family="DejaVu Sans Mono, monospace">{escape(text)}</text>'
            )
        height = top + _QUIET
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height:.2f}" width="{width}mm" '
            f'height="{height:.2f}mm"><rect width="100%" height="100%" fill="#fff"/>'
            f'<svg width="{width}" height="{width}">{code.getvalue().decode()}</svg>{"".join(rows)}</svg>\n'
        )

    def save(self, path: Path) -> None:
        """Write ``.svg`` (with the text) or ``.png`` (the code alone)."""
        match path.suffix.lower():
            case ".svg":
                path.write_text(self.svg())
            case ".png":
                self._qr.save(str(path), kind="png", scale=10, border=_QUIET)
            case _:
                raise ProvisionError(f"{path}: the name has to end with .svg (with text) or .png (the code alone)")

    def terminal(self) -> str:
        """The code in half blocks, to be scanned from the screen, and the text."""
        target = io.StringIO()
        self._qr.terminal(out=target, compact=True, border=2)
        return target.getvalue() + "\n".join(self.lines)
