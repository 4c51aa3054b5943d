"""Letting a gateway in, in a real browser beside the real command: desk and phone, up to the certificate's request."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.central.web.browser import DESKTOP, PHONE, TOO_WIDE, Watched, visit
from tests.pki import OPENSSL
from tests.qr import decode

pytestmark = [
    pytest.mark.browser, pytest.mark.timeout(120),
    pytest.mark.skipif(OPENSSL is None, reason="openssl is not installed: apt-get install openssl"),
]  # fmt: skip


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_gateway_is_compared_and_refused(browser: Any, address: str, size: dict[str, int], tmp_path: Path) -> None:
    with visit(browser, address, size, "en-US") as watched:
        _compare_and_refuse(watched, address, tmp_path / "pki")


def _compare_and_refuse(watched: Watched, address: str, pki: Path) -> None:
    page = watched.page
    watched.open("/enrolment?gateway=gw-mooca")
    assert page.evaluate(TOO_WIDE) == 0
    page.get_by_role("button", name="Make a code").click()
    code = page.locator("#code").inner_text()
    assert decode(_picture(page)) == page.input_value("#command"), "the picture says what the command says"
    assert page.evaluate(TOO_WIDE) == 0
    command = [sys.executable, "-m", "metergate", "edge", "enrol", "--server", address, "--code", code.lower()]
    with subprocess.Popen(
        [*command, "--dir", str(pki)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    ) as gateway:  # fmt: skip
        try:
            decide = page.get_by_role("button", name="It is the same: approve")
            decide.wait_for(timeout=30_000)  # the page with the code goes on by itself
            shown = page.locator(".fingerprint").inner_text().split()
            assert page.evaluate(TOO_WIDE) == 0
            page.locator(".enrol-decide summary").click()
            page.fill("#reason", "only a rehearsal")
            page.wait_for_timeout(3500)
            assert page.input_value("#reason") == "only a rehearsal", "what is typed outlives a refresh"
            page.get_by_role("button", name="Refuse", exact=True).click()
            page.get_by_text("only a rehearsal").wait_for()
            said, _ = gateway.communicate(timeout=30)
        finally:
            gateway.kill()
    assert gateway.returncode == 1
    assert " ".join(shown) in said, "both show the same sixteen digits"
    assert "refused by the operator: only a rehearsal" in said
    assert not watched.faults


#: The code of the page as it is drawn, in grey values.
_DRAWN = """async () => {
  const svg = document.querySelector(".qr svg").cloneNode(true);
  svg.setAttribute("width", 500); svg.setAttribute("height", 500);
  const image = new Image();
  image.src = "data:image/svg+xml," + encodeURIComponent(new XMLSerializer().serializeToString(svg));
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 500;
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0, 500, 500);
  return [...context.getImageData(0, 0, 500, 500).data].filter((_, at) => at % 4 === 0);
}"""


def _picture(page: Any) -> NDArray[np.uint8]:
    return np.array(page.evaluate(_DRAWN), np.uint8).reshape(500, 500)
