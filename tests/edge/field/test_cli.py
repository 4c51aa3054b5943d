"""The commands as people and scripts meet them: words, exit codes, and JSON whose keys docs/field.md names."""

import json
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from edge.field import cli as field_cli
from edge.field.folder import Folder
from metergate.cli import main
from metergate.processes import Child, metergate

ROOT = Path(__file__).parents[3]
SERIAL = "12345678"


@pytest.fixture(scope="module")
def meter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A simulated meter in a process of its own: commands have event loops of their own."""
    log = tmp_path_factory.mktemp("meter") / "meter.log"
    child = Child("meter", metergate("edge", "simulate", "--json", "--days", "3", "--meter", f"{SERIAL}@tcp:0"), log)
    found = json.loads(child.wait_for_lines(1)[0])
    yield f"127.0.0.1:{found['port']}"
    child.stop()


def field(folder: Folder, *arguments: str | Path, code: int = 0) -> Result:
    result = CliRunner().invoke(main, ["field", "--folder", str(folder.path), *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


def told(folder: Folder, *arguments: str | Path, code: int = 0) -> Any:
    return json.loads(field(folder, *arguments, "--json", code=code).stdout)


#: Keys of each command's answer. A key may come; none of these may go or change.
KEYS: dict[str, set[str]] = {
    "ports": {"ports"},
    "identify": {"place", "protocol", "serial", "model", "baud", "variant", "readable", "words", "detail", "attempts"},
    "read": {
        "place",
        "meter",
        "serial",
        "at",
        "who",
        "why",
        "through",
        "clock_drift",
        "kinds",
        "stored",
        "errors",
        "items",
    },
    "convert": {"file", "serial", "channels", "intervals", "notes"},
    "check": {"place", "ok", "points"},
    "audit": {"place", "ok", "verdict", "diagnosis", "steps", "also", "serial", "seconds"},
    "bundle": {"bundle", "bytes"},
    "sync": {"laptop", "sent", "left"},
}  # fmt: skip
KEYS["profile"] = KEYS["read"] | {"files"}


def test_json_is_stable(folder: Folder, meter: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METERGATE_FIELD_WHY", "test")
    answers = {
        "ports": told(folder, "ports"),
        "identify": told(folder, "identify", meter),
        "read": told(folder, "read", meter, "--kind", "registers"),
        "profile": told(folder, "profile", meter, "-o", tmp_path / "p.csv"),
        "check": told(folder, "check", meter, "--serial", SERIAL, "--save", tmp_path / "e.toml"),
        "audit": told(folder, "audit", meter, "--serial", SERIAL),
        "bundle": told(folder, "bundle"),
    }
    public = tmp_path / "p.abnt"
    answers["convert"] = told(folder, "convert", tmp_path / "p.csv", public, "--nibble-order", "high_first")
    assert {name: set(answer) for name, answer in answers.items()} == {n: KEYS[n] for n in answers}
    assert set(KEYS) == set(answers) | {"sync"}
    assert (answers["read"]["serial"], answers["read"]["why"], answers["read"]["errors"]) == (SERIAL, "test", [])
    assert answers["read"]["items"][0]["type"] == "RegisterReading"
    assert Path(answers["bundle"]["bundle"]).stat().st_size == answers["bundle"]["bytes"]
    assert answers["profile"]["files"] == [str(tmp_path / "p.csv")]
    assert set(answers["identify"]["attempts"][0]) == {"tried", "came"}
    assert set(answers["audit"]["steps"][0]) == {"step", "ok", "words"}
    assert set(answers["check"]["points"][0]) == {"what", "ok", "found", "expected", "advice"}
    assert told(folder, "check", meter, "--expect", tmp_path / "e.toml")["ok"]


def test_the_document_names_every_key() -> None:
    text = (ROOT / "docs/field.md").read_text()
    for command, keys in KEYS.items():
        row = re.search(rf"^\| `{command}` \|(.*)$", text, re.MULTILINE)
        assert row is not None, command
        assert set(re.findall(r"`(\w+)`", row[1])) >= keys, command


def test_people_get_words(folder: Folder, meter: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("METERGATE_FIELD_WHY", raising=False)
    assert "it can be read" in field(folder, "identify", meter).stdout
    shown = field(folder, "--who", "ana", "read", meter, "--kind", "instantaneous", "--why", "visit").stdout
    assert "kept on this laptop" in shown
    assert "UA" in shown
    assert "I14: all well" in field(folder, "audit", meter).stdout
    assert "wrong" in field(folder, "check", meter, "--serial", "87654321", code=1).stdout
    assert [entry["who"] for entry in folder.entries()][1] == "ana"
    assert "Missing option '--why'" in field(folder, "read", meter, code=2).output


def test_trouble_ends_in_words_and_a_code(folder: Folder, meter: str, tmp_path: Path, unused_port: int) -> None:
    nowhere = f"127.0.0.1:{unused_port}"
    assert "is no place" in field(folder, "identify", "ttyUSB0", code=2).stderr
    assert "nothing listens" in field(folder, "identify", nowhere, code=3).stderr
    assert "nothing listens" in field(folder, "read", nowhere, "--why", "x", code=3).stderr
    assert "no connection" in field(folder, "audit", nowhere, code=3).stdout
    assert ".csv" in field(folder, "profile", meter, "--why", "x", "-o", tmp_path / "p.txt", code=2).stderr
    assert "begins" in field(folder, "read", meter, "--why", "x", "--to", "2026-01-01", code=2).stderr
    span = ("--from", "2026-01-02", "--to", "2026-01-01")
    assert "is not before" in field(folder, "read", meter, "--why", "x", *span, code=2).stderr
    old = ("--from", "2020-01-01", "--to", "2020-01-02", "--why", "x", "-o", tmp_path / "p.csv")
    assert "holds no interval" in field(folder, "profile", meter, *old, code=1).stderr
    assert not (tmp_path / "p.csv").exists()
    assert "give one" in field(folder, "check", meter, "--expect", "a", "--central", "b", code=2).stderr
    asked = ("check", meter, "--central", "http://x", "--meter", "m")
    assert "--key-file" in field(folder, *asked, code=2).stderr
    assert "--central needs --meter" in field(folder, "check", meter, "--central", "http://x", code=2).stderr
    nowhere_on_earth = ("--why", "x", "--zone", "X", "--from", "2026-01-01")
    assert "zone database" in field(folder, "read", meter, *nowhere_on_earth, code=2).stderr
    assert "no broker" in field(folder, "sync", "--broker", "x", code=2).stderr
    assert told(Folder(tmp_path / "new"), "sync", "--broker", "mqtt://127.0.0.1:1/acme")["sent"] == 0


def test_the_screens_need_textual_and_nothing_else_does(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(field_cli, "find_spec", lambda name: None if name == "textual" else find_spec(name))
    said = field(folder, code=2).stderr
    assert "install metergate[field]" in said
    assert "every command works without it" in said
