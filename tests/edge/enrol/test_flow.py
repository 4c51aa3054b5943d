"""The whole way at the gateway, with interruptions at every step: the same key and request go on."""

import grp
import hashlib
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from edge.cli import cli
from edge.enrol import keys
from edge.enrol.flow import StillWaiting, enrol
from edge.enrol.place import Place
from edge.enrol.server import Server
from edge.errors import ConfigError, NotPermittedError, ReportError
from tests.edge.enrol.central import FakeCentral
from tests.pki import OPENSSL, Authority, openssl

pytestmark = pytest.mark.skipif(OPENSSL is None, reason="openssl is not installed: apt-get install openssl")
CODE = "7KQ2M-X09VD"


class Desk:
    """Central as an operator makes it behave: ``state`` is what the request is in."""

    def __init__(self, folder: Path, gateway: str = "gw-1") -> None:
        self.authority = Authority(folder / "ca")
        self.folder, self.gateway = folder, gateway
        self.state, self.reason = "waiting", ""
        self.request, self.secret, self.asked = "", "", 0
        self.certificate = ""

    def __call__(self, method: str, path: str, body: dict[str, Any], secret: str) -> tuple[int, Any]:
        if path.endswith("/code"):
            return 200, {"gateway": self.gateway}
        if method == "POST":
            self.asked += 1
            self.request, self.secret = body["csr"], body["secret"]
        elif secret != self.secret:
            return 404, {"detail": "There is no enrolment."}
        if self.state == "issued" and not self.certificate:
            self.certificate = self.authority.sign_request(self.request, self.gateway)
        return 200, {
            "id": 7, "gateway": self.gateway, "state": self.state, "reason": self.reason,
            "fingerprint": self._fingerprint(), "certificate": self.certificate,
            "chain": self.authority.cert.read_text() if self.certificate else "",
        }  # fmt: skip

    def _fingerprint(self) -> str:
        public = openssl("req", "-noout", "-pubkey", data=self.request.encode())
        return hashlib.sha256(openssl("pkey", "-pubin", "-outform", "DER", data=public)).hexdigest()


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr("edge.enrol.flow._EVERY_S", 0.02)
    return Desk(tmp_path)


def bring_in(place: Place, url: str, **how: Any) -> tuple[str, list[str]]:
    said: list[str] = []
    return enrol(place, Server(url), CODE, said.append, **how), said


def test_from_the_code_to_files_that_openssl_takes(desk: Desk, tmp_path: Path) -> None:
    place = Place(tmp_path / "pki")
    desk.state = "issued"
    with FakeCentral(desk).running() as central:
        gateway, said = bring_in(place, central.url)
    assert gateway == "gw-1"
    subject = openssl("req", "-noout", "-verify", "-subject", data=desk.request.encode()).decode()
    assert subject.strip().replace(" ", "").endswith("CN=gw-1")
    shown = openssl("pkey", "-in", str(place.key), "-pubout", "-outform", "DER")
    digits = hashlib.sha256(shown).hexdigest()
    assert any(f"{digits[:4]} {digits[4:8]} {digits[8:12]} {digits[12:16]}" in line for line in said)
    assert b"OK" in openssl("verify", "-purpose", "sslclient", "-CAfile", str(place.chain), str(place.cert))
    assert (stat.S_IMODE(place.key.stat().st_mode), place.work.exists()) == (0o600, False)
    with pytest.raises(ConfigError, match=r"is there already: gw-1 until .*--anew"):
        bring_in(place, central.url)


def test_waiting_ends_and_goes_on_with_the_same_key(desk: Desk, tmp_path: Path) -> None:
    place = Place(tmp_path / "pki")
    with FakeCentral(desk).running() as central:
        with pytest.raises(StillWaiting, match="the same command goes on"):
            bring_in(place, central.url, wait=0.1)
        key = place.new_key.read_bytes()
        assert stat.S_IMODE(place.new_key.stat().st_mode) == 0o600
        assert not place.cert.exists()
        with pytest.raises(ConfigError, match="with another code"):
            enrol(place, Server(central.url), "00000-00000", print)
        desk.state = "approved"
        with pytest.raises(StillWaiting):
            bring_in(place, central.url, wait=0)
        desk.state = "issued"
        _, said = bring_in(place, central.url)
    assert "Going on" in said[0]
    assert (place.key.read_bytes(), desk.asked) == (key, 1)


STEPS = ["Place.save", "keys.make_key", "Server.ask", "Server.look", "Place.take", "Place._write", "Place.drop"]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_cut_off_anywhere_it_goes_on(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, after: bool
) -> None:
    """The power fails before or after a step, the first and third time; then the command is given again, and again."""
    place, cuts = Place(tmp_path / "pki"), 0
    owner = {"Place": Place, "Server": Server, "keys": keys}[step.partition(".")[0]]
    name = step.partition(".")[2]
    real = getattr(owner, name)
    taken = 0

    def cut(*given: Any, **more: Any) -> Any:
        nonlocal taken
        taken += 1
        fails = taken in (1, 3)
        if fails and not after:
            raise PowerCut
        found = real(*given, **more)
        if fails:
            raise PowerCut
        return found

    monkeypatch.setattr(owner, name, cut)
    desk.state = "waiting"
    with FakeCentral(desk).running() as central:
        while not (place.cert.exists() and place.state() is None):
            try:
                bring_in(place, central.url, wait=0)
            except PowerCut:
                cuts += 1
            except StillWaiting:
                desk.state = "issued"
    assert cuts, "the step was never taken"
    assert b"OK" in openssl("verify", "-CAfile", str(place.chain), str(place.cert))
    assert keys.certificate_fingerprint(place.cert.read_bytes()) == keys.fingerprint(place.key)


class PowerCut(BaseException):
    pass


def test_refused_is_said_with_its_reason(desk: Desk, tmp_path: Path) -> None:
    desk.state, desk.reason = "refused", "nobody stands there"
    place = Place(tmp_path / "pki")
    with FakeCentral(desk).running() as central:
        with pytest.raises(NotPermittedError, match="refused by the operator: nobody stands there"):
            bring_in(place, central.url)
        desk.state = "issued"
        first = desk.request
        bring_in(place, central.url, anew=True)
    assert desk.request != first, "a new key"
    assert place.cert.exists()


@pytest.mark.parametrize("fault", ["key", "name", "chain", "damaged"])
def test_a_certificate_that_is_not_ours_is_not_written(desk: Desk, tmp_path: Path, fault: str) -> None:
    place = Place(tmp_path / "pki")
    with FakeCentral(desk).running() as central:
        with pytest.raises(StillWaiting):
            bring_in(place, central.url, wait=0)
        desk.state = "issued"
        other = Authority(tmp_path / "other")
        desk.certificate = {
            "key": other.issue("gw-1").cert.read_text(),
            "name": desk.authority.sign_request(keys.make_request(place.new_key, "gw-2"), "gw-2"),
            "chain": other.sign_request(desk.request, "gw-1"),
            "damaged": "-----BEGIN CERTIFICATE-----",
        }[fault]
        with pytest.raises(ReportError):
            bring_in(place, central.url)
    assert not place.cert.exists()
    assert not place.key.exists()


def test_a_bad_link_while_waiting_is_borne(desk: Desk, tmp_path: Path) -> None:
    answers = iter([True, False, False, True])

    def said(method: str, path: str, body: dict[str, Any], secret: str) -> tuple[int, Any]:
        if method == "GET" and not next(answers):
            desk.state = "issued"
            return 503, {"detail": "The database is busy."}
        return desk(method, path, body, secret)

    with FakeCentral(said).running() as central:
        _, lines = bring_in(Place(tmp_path / "pki"), central.url)
    assert sum("still trying" in line for line in lines) == 1


def test_the_group_of_the_service_may_read_the_key(desk: Desk, tmp_path: Path) -> None:
    desk.state = "issued"
    place = Place(tmp_path / "pki", grp.getgrgid(os.getgid()).gr_name)
    with FakeCentral(desk).running() as central:
        bring_in(place, central.url)
    assert stat.S_IMODE(place.key.stat().st_mode) == 0o640
    with pytest.raises(ConfigError, match="no-such-group"):
        Place(tmp_path / "pki2", "no-such-group").begin()


def test_the_command_in_words_and_exit_codes(desk: Desk, tmp_path: Path) -> None:
    desk.state = "issued"
    arguments = ["enrol", "--code", CODE.lower(), "--dir", str(tmp_path / "pki")]
    with FakeCentral(desk).running() as central:
        done = CliRunner().invoke(cli, [*arguments, "--server", central.url + "/"])
        assert done.exit_code == 0, done.output
        for words in ("The code is for gateway gw-1", "A key was made here", "Fingerprint  ", "Certificate written"):
            assert words in done.output
        again = CliRunner().invoke(cli, [*arguments, "--server", central.url])
        assert (again.exit_code, "--anew" in again.output) == (2, True)
    plain = CliRunner().invoke(cli, [*arguments, "--server", "http://metergate.example.net"])
    assert (plain.exit_code, "without TLS" in plain.output) == (2, True)


def test_without_openssl_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.enrol.keys.shutil.which", lambda _: None)
    with pytest.raises(ConfigError, match="apt-get install openssl"):
        keys.make_key(tmp_path / "key")
