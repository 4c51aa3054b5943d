"""Who central proves to be, before a code is told to it; and its answers in words."""

import contextlib
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.enrol.keys import certificate_fingerprint
from edge.enrol.server import CodeRefused, Server, Throttled, _read
from edge.errors import ConfigError, EdgeError, LinkError, NotPermittedError, ReportError
from tests.edge.enrol.central import FakeCentral
from tests.pki import OPENSSL, Authority, Pair
from tests.ports import free_port

pytestmark = pytest.mark.skipif(OPENSSL is None, reason="openssl is not installed: apt-get install openssl")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def pair(authority: Authority) -> Pair:
    return authority.issue("central", "IP:127.0.0.1")


def whose(_method: str, _path: str, _body: dict[str, Any], _secret: str) -> tuple[int, Any]:
    return 200, {"gateway": "gw-1"}


def test_the_fingerprint_is_what_openssl_says(pair: Pair, tmp_path: Path) -> None:
    """Through a file and the digest command, another way than ours."""
    public = tmp_path / "public.der"
    openssl = str(OPENSSL)
    subprocess.run(
        [openssl, "pkey", "-in", str(pair.key), "-pubout", "-outform", "DER", "-out", str(public)], check=True
    )
    digest = subprocess.run([openssl, "dgst", "-sha256", str(public)], capture_output=True, text=True, check=True)
    assert certificate_fingerprint(pair.cert.read_bytes()) == digest.stdout.split()[-1]


def test_a_server_is_proven_before_the_code_is_told(authority: Authority, pair: Pair) -> None:
    digits = certificate_fingerprint(pair.cert.read_bytes())
    with FakeCentral(whose, pair).running() as central:
        assert Server(central.url, ca=authority.cert).whose("AAAAA-AAAAA") == "gw-1"
        for good in (f"sha256:{digits}", f"SHA256:{digits[:32].upper()}"):
            assert Server(central.url, pin=good).whose("AAAAA-AAAAA") == "gw-1"
        told = len(central.asked)
        with pytest.raises(NotPermittedError, match=r"another key.*than the one pinned"):
            Server(central.url, pin=f"sha256:{'0' * 32}").whose("AAAAA-AAAAA")
        with pytest.raises(NotPermittedError, match="does not prove to be who it says"):
            Server(central.url).whose("AAAAA-AAAAA")
        assert len(central.asked) == told, "nothing was told to a server that was not proven"


def test_a_name_that_is_not_in_the_certificate(authority: Authority) -> None:
    other = authority.issue("elsewhere")
    with FakeCentral(whose, other).running() as central, pytest.raises(NotPermittedError, match="does not prove"):
        Server(central.url, ca=authority.cert).whose("AAAAA-AAAAA")


@pytest.mark.parametrize(
    ("url", "more", "words"),
    [
        ("http://metergate.example.net", {}, "without TLS"),
        ("ftp://127.0.0.1", {}, "is no address"),
        ("metergate.example.net", {}, "is no address"),
        ("https://ana:secret@metergate.example.net", {}, "has a login in it"),
        ("https://metergate.example.net:99999", {}, "99999"),
        ("http://127.0.0.1:1", {"pin": f"sha256:{'0' * 64}"}, "are for https"),
        ("https://127.0.0.1:1", {"pin": "sha256:abc"}, "32 to 64 hexadecimal"),
        ("https://127.0.0.1:1", {"pin": "md5:" + "0" * 32}, "32 to 64 hexadecimal"),
    ],
)
def test_addresses_that_are_refused(url: str, more: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(words)):
        Server(url, **more)


def test_answers_in_words() -> None:
    answers: list[tuple[int, Any]] = [
        (422, {"detail": "code: is wrong", "errors": [{"path": "code", "message": "is wrong"}]}),
        (422, {"detail": "csr: is damaged", "errors": [{"path": "csr", "message": "is damaged"}]}),
        (429, {"detail": "wait"}),
        (503, {"detail": "The database is busy."}),
        (200, b"<html>a hotel's login page</html>"),
        (404, b"[]"),
    ]
    kinds = [CodeRefused, ReportError, Throttled, LinkError, ReportError, ReportError]
    with FakeCentral(lambda *_: answers.pop(0)).running() as central:
        for kind in kinds:
            with pytest.raises(kind):
                Server(central.url).whose("AAAAA-AAAAA")
    with pytest.raises(LinkError, match="cannot be reached"):
        Server(f"http://127.0.0.1:{free_port()}").whose("AAAAA-AAAAA")


@given(
    st.sampled_from([200, 201, 404, 422, 429, 503]) | st.integers(200, 599),
    st.binary(max_size=60) | st.sampled_from([b"{}", b'{"errors":[1]}', b'{"errors":"x"}']),
)
def test_no_answer_is_a_fault_of_ours(status: int, data: bytes) -> None:
    class Reply:
        def __init__(self) -> None:
            self.status, self.headers = status, {"Retry-After": "soon"}

    with contextlib.suppress(EdgeError):
        assert isinstance(_read(Reply(), data, "here"), dict)  # type: ignore[arg-type]
