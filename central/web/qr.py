"""QR codes in pages."""

import segno
from markupsafe import Markup


def drawing(text: str) -> Markup:
    """A QR code as SVG, dark on light whatever the theme; it fills its box (class ``qr``)."""
    made = segno.make(text, error="m", micro=False)
    return Markup(made.svg_inline(scale=5, border=3, dark="#000", light="#fff", omitsize=True))  # noqa: S704 - our own
