"""The picture in the terminal: arrows where they belong, no wider than 80 columns, readable without colour."""

import io
import math
import struct

from rich.console import Console

from edge.drivers.abnt.convert import snapshot
from edge.drivers.abnt.layout import Instantaneous
from edge.field import phasors
from edge.field.canvas import Canvas
from shared.phasors import diagram, signed
from shared.wire import InstantSnapshot
from tests.edge.drivers.abnt import vectors

VALUES = {32: 220.0, 52: 110.0, 72: 220.0, 141: 0.0, 142: 240.0, 143: 120.0, 31: 5.0, 51: 10.0, 151: 30.0, 152: 0.0}


def test_arrows_of_values() -> None:
    found = diagram(VALUES.get)
    assert found is not None
    arrows = {(each.kind, each.phase): (each.share, each.angle) for each in found.phasors}
    assert arrows == {
        ("volt", "a"): (1.0, 0.0), ("volt", "b"): (0.5, -120.0), ("volt", "c"): (1.0, 120.0),
        ("amp", "a"): (0.5, -30.0), ("amp", "b"): (1.0, -120.0),
    }  # fmt: skip
    assert (found.top_volt, found.top_amp, found.assumed) == (220.0, 10.0, False)
    assert diagram({31: 5.0}.get) is None
    bare = diagram({32: 220.0, 52: 220.0}.get)
    assert bare is not None
    assert bare.assumed
    assert [each.angle for each in bare.phasors] == [0.0, -120.0]
    assert signed(540.0) == -180.0


def test_a_dot_is_where_it_was_put() -> None:
    canvas = Canvas(2, 1)
    canvas.dot(0, 0)
    canvas.dot(3, 3)
    canvas.dot(9, 9)
    canvas.dot(-1, 0)
    assert canvas.lines()[0].plain == "\N{BRAILLE PATTERN DOTS-1}\N{BRAILLE PATTERN DOTS-8}"
    canvas.text(3, 0, "UA")
    assert canvas.lines()[0].plain == "UA"


def test_names_stand_at_the_tips() -> None:
    found = diagram({32: 220.0, 52: 220.0, 72: 220.0, 141: 0.0, 142: 240.0, 143: 120.0}.get)
    assert found is not None
    rows = [line.plain for line in phasors.drawing(found).lines()]
    where = {
        name: (row, text.index(name)) for row, text in enumerate(rows) for name in ("UA", "UB", "UC") if name in text
    }
    middle = phasors.ROWS / 2
    assert abs(where["UA"][0] - middle) <= 1
    assert where["UA"][1] > phasors.COLUMNS * 0.8
    assert where["UB"][0] > middle + 5  # -120 degrees: below, to the left
    assert where["UC"][0] < middle - 5
    assert where["UB"][1] < phasors.COLUMNS / 2


def test_a_real_meters_values_fit_80_columns() -> None:
    """Answer 14 of a meter in the field (heliopas)."""
    taken = snapshot(Instantaneous.decode(vectors.INSTANTANEOUS[:256]), "m", 0)
    found = phasors.of_snapshot(taken)
    assert found is not None
    output = io.StringIO()
    Console(file=output, width=80, color_system=None).print(phasors.picture(found))
    text = output.getvalue()
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80
    assert len(text.splitlines()) <= 24
    assert "UA      129.3 V    +0.0" in text
    for name in ("UA", "UB", "UC", "IA", "IB", "IC"):
        assert name in text


def test_what_is_odd_is_said_and_what_is_not_is_not() -> None:
    healthy = diagram(dict.fromkeys((32, 52, 72), 220.0).get)
    assert healthy is not None
    assert phasors.oddities(healthy) == []
    found = diagram({**VALUES, 151: 170.0}.get)
    assert found is not None
    assert phasors.oddities(found) == ["UB low: fuse?", "IA flows back"]


def test_no_voltage_no_picture() -> None:
    empty = InstantSnapshot("m", 0, ["32.7.0"], struct.pack("<f", math.nan))
    assert phasors.of_snapshot(empty) is None
