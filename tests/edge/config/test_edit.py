"""One meter's forward changed in a file: the rest of its text stays to the letter."""

import pytest

from edge.config import parse
from edge.config.edit import with_forward
from edge.errors import ConfigError

HEAD = """# by hand
gateway = "gw1"
tenant = "t"
[uplink]
host = "localhost"
[spool]
path = "/x/spool.db"
[[lines]]
name = "a"   # the hall
kind = "tcp"
address = "10.0.0.1:4001"
"""
FIRST = """[[meters]]
id = "m1"
serial = "12345678"
line = "a"
"""
SECOND = """
# the second
[[meters]]   # under the stairs
id = "m2"
serial = "87654321"
line = "a"
[meters.schedule]
profile = 300
"""
FORWARD = 'port = 14001\nallow = ["10.20.0.0/24"]'
TABLE = f"[meters.forward]\n{FORWARD}\n"


def edited(text: str, meter: str, table: str) -> str:
    return with_forward(parse(text), meter, table)


def test_open_change_and_close_each_leave_the_rest_alone() -> None:
    text = HEAD + FIRST + SECOND
    opened = edited(text, "m1", FORWARD)
    assert opened == HEAD + FIRST + TABLE + SECOND
    changed = edited(opened, "m1", FORWARD.replace("14001", "14002"))
    assert changed == opened.replace("14001", "14002")
    assert edited(changed, "m1", "") == text
    both = edited(opened, "m2", FORWARD.replace("14001", "14002"))
    assert both == HEAD + FIRST + TABLE + SECOND + TABLE.replace("14001", "14002")
    assert edited(edited(both, "m1", ""), "m2", "\n") == text
    modes = [meter.forward.mode for meter in parse(both).config.meters if meter.forward]
    assert modes == ["shared", "shared"]


@pytest.mark.parametrize(
    "own",
    [
        FIRST + 'forward = { port = 1, allow = ["10.0.0.0/8"] }\n',
        FIRST + 'forward.port = 1\nforward.allow = ["10.0.0.0/8"]\n',
        FIRST + '[meters.forward]\nport = 1 # why\n\n# [x]\nallow = ["10.0.0.0/8"]\n[meters.schedule]\nprofile = 60\n',
    ],
)
def test_however_it_was_written(own: str) -> None:
    changed = parse(edited(HEAD + own + SECOND, "m1", FORWARD)).config.meters
    assert changed[0].forward is not None
    assert changed[0].forward.port == 14001
    assert changed[1] == parse(HEAD + FIRST + SECOND).config.meters[1]
    assert parse(edited(HEAD + own + SECOND, "m1", "")).config.meters[0].forward is None


def test_what_is_not_understood_is_refused_whole() -> None:
    lines = HEAD.partition("[[lines]]")[0]
    inline = lines.replace("[uplink]", 'meters = [{ id = "m1", serial = "12345678", line = "a" }]\n[uplink]')
    inline += HEAD[len(lines) :]
    with pytest.raises(ConfigError, match="cannot be changed alone in this file: send a whole configuration"):
        edited(inline, "m1", FORWARD)


@pytest.mark.parametrize("table", ["port = 1]", "port = 'x'", "prot = 1", "[[meters]]\nid = 'm3'", "port = 99999"])
def test_wrong_tables(table: str) -> None:
    with pytest.raises(ConfigError, match="not a forward"):
        edited(HEAD + FIRST, "m1", table)
