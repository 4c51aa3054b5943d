"""What goes wrong at the controller, in words."""

from collections.abc import Sequence


class ProvisionError(Exception):
    """The text names the thing, the value and the way out."""


class SheetProblems(ProvisionError):
    """A sheet that is refused whole: every wrong place with its row."""

    def __init__(self, source: str, problems: Sequence[tuple[int, str]]) -> None:
        lines = [f"row {row}: {text}" for row, text in sorted(problems)]
        more = [f"... and {len(lines) - 50} more"] if len(lines) > 50 else []
        super().__init__("\n".join([f"{source} is refused, nothing was written:", *lines[:50], *more]))
        self.problems = list(problems)
