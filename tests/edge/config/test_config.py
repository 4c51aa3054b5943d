"""The configuration: the example, every way of being wrong in words, renamed keys, secrets."""

import json
import tomllib
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.config import MASK, Config, ConfigProblems, SerialLine, driver_settings, hash_of, load, mask, parse, unmask
from edge.config.model import RENAMED
from edge.errors import ConfigError

EXAMPLE = Path(__file__).parents[3] / "edge/example.toml"

GOOD = """
gateway = "gw1"
tenant = "t"
[uplink]
host = "localhost"
password = "s3cret"
[spool]
path = "/var/lib/x/spool.db"
[[lines]]
name = "a"
kind = "tcp"
address = "10.0.0.1:4001"
[[lines]]
name = "b"
kind = "serial"
address = "/dev/ttyUSB0"
[[meters]]
id = "m1"
serial = "12345678"
line = "a"
[[meters]]
id = "m2"
serial = "87654321"
line = "b"
[meters.settings]
permit_close_bill = true
"""


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigProblems) as caught:
        parse(text)
    assert str(caught.value).startswith("configuration is not a usable configuration:")
    return [str(problem) for problem in caught.value.problems]


def test_the_example_loads_and_shows_every_table_and_key() -> None:
    loaded = load(EXAMPLE)
    assert not loaded.warnings
    assert loaded.config.schedule_of(loaded.config.meters[1]).instantaneous == 300
    assert loaded.config.schedule_of(loaded.config.meters[1]).profile == 900
    text = EXAMPLE.read_text()
    for table in (
        Config,
        type(loaded.config.uplink),
        type(loaded.config.spool),
        type(loaded.config.schedule),
        SerialLine,
    ):
        for key in table.__struct_fields__:
            assert key in text or key in ("enabled", "password"), f"{key} is not in the example"


def test_examples_values_are_the_defaults() -> None:
    """What the example shows as a default is the default."""
    shown = tomllib.loads(EXAMPLE.read_text())
    minimal = parse('gateway="g"\ntenant="t"\n[uplink]\nhost="h"\n[spool]\npath="/p"\n').config
    for table in ("schedule", "permissions", "remote"):
        for key, value in shown[table].items():
            assert getattr(getattr(minimal, table), key) == value, f"{table}.{key}"
    for key in (
        "port",
        "tls",
        "keepalive_seconds",
        "batch_bytes",
        "batch_rows",
        "window",
        "ack_seconds",
        "state_seconds",
    ):
        assert getattr(minimal.uplink, key) == shown["uplink"][key], key
    for key in ("retention_days", "limit_bytes", "free_bytes", "evidence_days"):
        assert getattr(minimal.spool, key) == shown["spool"][key], key


def test_hash_names_the_text() -> None:
    assert parse(GOOD).hash == hash_of(GOOD) != hash_of(GOOD + "\n")


@pytest.mark.parametrize(
    ("old", "new", "path", "text"),
    [
        ("host = ", "hots = ", "line 5, uplink.hots", "unknown key 'hots'; did you mean 'host'?"),
        ('name = "b"', 'name = "b"\nbauds = 9600', "line 15, lines[1].bauds (b)", "did you mean 'baud'?"),
        ('line = "a"', 'line = "a"\nxyzzy = 1', "line 21, meters[0].xyzzy (m1)", "known here: id, serial"),
        ('tenant = "t"', 'tenat = "t"', "line 3, tenat", "did you mean 'tenant'?"),
        ("permit_close_bill", "permit_closebill", "settings.permit_closebill (m2)", "did you mean 'permit_close_bill'"),
        ("permit_close_bill = true", 'link = "x25"', "meters[1].settings.link (m2)", "invalid enum value 'x25'"),
        ('line = "b"', 'line = "bb"', "line 24, meters[1].line (m2)", "no line is called 'bb'; did you mean 'b'?"),
        ('line = "b"', 'line = "b"\nmodule = "gprs"', "meters[1].module (m2)", "'gprs'; there are: none"),
        ('line = "b"', 'line = "b"\nprotocol = "dlms"', "meters[1].protocol (m2)", "protocol 'dlms' is unknown: abnt"),
        ('serial = "87654321"', 'serial = "12345678"', "meters[1] (m2)", "12345678' is taken already by meters[0]"),
        ('id = "m2"', 'id = "m1"', "meters[1] (m1)", "id 'm1' is taken already by meters[0]"),
        ('name = "b"', 'name = "a"', "lines[1] (a)", "name 'a' is taken already by lines[0]"),
        ('serial = "12345678"', 'serial = "12"', "meters[0].serial (m1)", "8 digits in quotes"),
        ('"10.0.0.1:4001"', '"10.0.0.1"', "line 12, lines[0].address (a)", "host:port of a tcp line"),
        ('"10.0.0.1:4001"', '"10.0.0.1:99999"', "lines[0].address (a)", "port of '10.0.0.1:99999' is not within"),
        ('"/dev/ttyUSB0"', '"/dev/ttyUSB0"\nbaud = 5', "line 17, lines[1].baud (b)", "expected `int` >= 50"),
        ('"/dev/ttyUSB0"', '"/dev/ttyUSB0"\nbaud = "9600"', "lines[1].baud (b)", "expected `int`, got `str`"),
        ('kind = "tcp"', 'kind = "udp"', "lines[0].kind (a)", "invalid value 'udp'; there are: tcp, serial"),
        ('gateway = "gw1"', 'gateway = "gw/1"', "line 2, gateway", "1 to 48 letters"),
        ('gateway = "gw1"', 'gateway = "gw1"\nzone = "Brazil"', "line 3, zone", "'Brazil' is not a time zone"),
        ('gateway = "gw1"', 'gateway = "gw1"\nzone = "Mars"', "line 3, zone", "'Mars' is not a time zone"),
        ('password = "s3cret"', 'cert_file = "/c"', "line 4, uplink", "only useful together"),
        ('password = "s3cret"', 'tls = false\nca_file = "/c"', "uplink.tls", "certificates are given"),
        ('password = "s3cret"', 'password = "a"\npassword_file = "/p"', "uplink", "keep one"),
        ('tenant = "t"', "tenant = ", "", "not TOML"),
        ('tenant = "t"', "", "", "missing required field `tenant`"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(old: str, new: str, path: str, text: str) -> None:
    assert GOOD.count(old) >= 1
    said = problems(GOOD.replace(old, new, 1))
    assert any(path in line and text in line for line in said), said


def test_all_problems_are_said_at_once() -> None:
    broken = GOOD.replace("host", "hots").replace("tenant", "tenat").replace("serial = ", "serail = ")
    assert len(problems(broken)) == 4


@pytest.mark.parametrize(("table", "old"), list(RENAMED))
def test_renamed_keys_warn_and_work(table: str, old: str) -> None:
    new = RENAMED[table, old]
    text = GOOD.replace('password = "s3cret"', 'ca_file = "/ca"\nusername = "u"\ncert_file = "/c"\nkey_file = "/k"')
    text = text.replace('gateway = "gw1"', 'gateway = "gw1"\nzone = "UTC"').replace(
        '/dev/ttyUSB0"', '/dev/ttyUSB0"\nbaud = 300'
    )
    text = text.replace('line = "a"', 'line = "a"\nprotocol = "abnt"')
    renamed = text.replace(f"[{new}]", f"[{old}]") if f"[{new}]" in text else text.replace(f"\n{new} = ", f"\n{old} = ")
    assert renamed != text
    loaded = parse(renamed)
    assert loaded.config == parse(text).config
    assert all(f"is called {new!r} here" in warning.text for warning in loaded.warnings)
    assert loaded.warnings


def test_both_names_at_once_keep_the_right_one() -> None:
    loaded = parse(GOOD.replace('host = "localhost"', 'host = "localhost"\nuser = "old"\nusername = "new"'))
    assert loaded.config.uplink.username == "new"
    assert "the other is ignored" in loaded.warnings[0].text


def test_driver_settings_come_from_the_whole_file() -> None:
    config = parse(GOOD.replace('tenant = "t"', 'tenant = "t"\nzone = "America/Manaus"')).config
    assert driver_settings(config, config.meters[0]) == {"zone": "America/Manaus", "link": "tcp", "serial": "12345678"}
    second = driver_settings(config, config.meters[1])
    assert (second["link"], second["permit_close_bill"]) == ("usb", True)


def test_missing_and_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"does not exist.*example.toml"):
        load(tmp_path / "no.toml")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "binary")


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda data: data.decode("latin-1")))
def test_any_text_is_refused_in_words(text: str) -> None:
    with pytest.raises(ConfigProblems):
        parse(text)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(GOOD)), st.integers(0, 30), st.text(max_size=10))
def test_mutations_are_taken_or_refused_in_words(at: int, length: int, put: str) -> None:
    with suppress(ConfigProblems):
        parse(GOOD[:at] + put + GOOD[at + length :])


# -- secrets ---------------------------------------------------------------------------------------------------------


def test_mask_and_back() -> None:
    masked = mask(GOOD)
    assert "s3cret" not in masked
    assert MASK in masked
    assert unmask(masked, GOOD) == GOOD
    edited = masked.replace('host = "localhost"', 'host = "other"')
    assert unmask(edited, GOOD) == GOOD.replace('host = "localhost"', 'host = "other"')


def test_secrets_of_meters_follow_the_meter_not_its_place() -> None:
    text = GOOD + '[[meters]]\nid = "m3"\nserial = "1"\nline = "b"\nsettings = { token = "three" }\n'
    text = text.replace("permit_close_bill = true", 'password = "two"')
    masked = mask(text)
    moved = (
        masked.replace('id = "m2"', 'id = "tmp"').replace('id = "m3"', 'id = "m2"').replace('id = "tmp"', 'id = "m3"')
    )
    data = tomllib.loads(
        unmask(
            moved,
            text.replace('settings = { token = "three" }', 'settings = { token = "three", password = "p3" }').replace(
                'password = "two"', 'password = "two"\ntoken = "t2"'
            ),
        )
    )
    assert [meter.get("settings") for meter in data["meters"]] == [None, {"password": "p3"}, {"token": "t2"}]


def test_a_mask_without_a_secret_behind_it_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"uplink.password is masked, but this gateway has no such secret"):
        unmask(mask(GOOD), GOOD.replace('password = "s3cret"', ""))


def test_a_secret_in_an_unusual_dress_is_not_let_through() -> None:
    with pytest.raises(ConfigError, match="cannot be masked"):
        mask(GOOD.replace('password = "s3cret"', 'password = """s3cret"""'))


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=20).filter(lambda t: t != MASK))
def test_any_secret_survives_mask_and_unmask(secret: str) -> None:
    quoted = json.dumps(secret, ensure_ascii=True)
    if "\\ud" in quoted or "\x7f" in secret:
        return  # JSON's surrogate pairs are no TOML
    text = GOOD.replace('"s3cret"', quoted)
    again = unmask(mask(text), text)
    assert tomllib.loads(again)["uplink"]["password"] == secret


FORWARDED = GOOD.replace('line = "a"\n', 'line = "a"\n[meters.forward]\nport = 14001\n', 1)


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("port = 14001", "prot = 14001", "meters[0].forward.prot (m1): unknown key 'prot'; did you mean 'port'?"),
        ("port = 14001", 'port = 1\nallow = ["10.0.0.1/8"]', "10.0.0.1/8 has host bits set; a network is"),
        ("port = 14001", 'port = 1\nlisten = "eth0"', "'eth0' is not an address of this machine"),
        ("port = 14001", 'port = 1\nmode = "exclusive"', "is needed in mode 'exclusive'"),
        ("port = 14001", 'port = 1\ntarget = "c"', "no line is called 'c'"),
        ('line = "a"', "", "has no 'line', and no [meters.forward] with a 'target'"),
        (
            'line = "b"',
            'line = "b"\n[meters.forward]\nport = 14001',
            "port 14001 is taken already by meters[0].forward",
        ),
        ("[[lines]]", '[schedule]\nccee_window = "0-10"\n[[lines]]', "schedule.ccee_window"),
    ],
)
def test_wrong_forwards(old: str, new: str, text: str) -> None:
    assert parse(FORWARDED).config.meters[0].forward is not None
    assert any(text in problem for problem in problems(FORWARDED.replace(old, new, 1)))


def test_a_meter_that_is_only_forwarded_needs_no_line() -> None:
    target = 'target = "10.9.0.1:4059"\nmode = "exclusive"\n'
    text = FORWARDED.replace('line = "a"\n', "", 1).replace("port = 14001\n", f"port = 14001\n{target}")
    assert parse(text).config.meters[0].line == ""
    apart = text.replace('line = "b"', 'line = "b"\n[meters.forward]\nport = 14001\nlisten = "10.0.0.2"')
    meters = parse(apart.replace("port = 14001\n", 'port = 14001\nlisten = "10.0.0.1"\n', 1)).config.meters
    assert [meter.forward.listen for meter in meters if meter.forward] == ["10.0.0.1", "10.0.0.2"]
