"""Live progress in memory: newest word per line and meter, fresh only, bounded."""

import pytest

from central.fleet import progress as module
from central.fleet.progress import ProgressBoard
from shared.wire import Progress


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def _progress(meter: str, done: int, command: str | None = None, line: str = "l1") -> Progress:
    return Progress(1, line, meter, "profile", done, 10, command)


def test_newest_word_of_each_meter() -> None:
    board = ProgressBoard()
    for progress in (_progress("m2", 1), _progress("m1", 1), _progress("m2", 5, "c9")):
        board.put("t", "g", progress)
    board.put("t", "other", _progress("m3", 1))
    board.put("elsewhere", "g", _progress("m4", 1, "c1"))
    assert [(each.meter, each.done) for each in board.of_gateway("t", "g")] == [("m1", 1), ("m2", 5)]
    assert {key: each.done for key, each in board.of_commands("t").items()} == {"c9": 5}


def test_what_is_not_renewed_is_over() -> None:
    clock = Clock()
    board = ProgressBoard(clock)
    board.put("t", "g", _progress("m1", 1))
    clock.now = module.FRESH_S / 2
    board.put("t", "g", _progress("m2", 1))
    clock.now = module.FRESH_S + 1
    assert [each.meter for each in board.of_gateway("t", "g")] == ["m2"]


def test_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST", 3)
    board = ProgressBoard()
    for number in range(5):
        board.put("t", "g", _progress(f"m{number}", number))
    assert [each.meter for each in board.of_gateway("t", "g")] == ["m2", "m3", "m4"]
