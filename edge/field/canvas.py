"""A small canvas of braille dots for the terminal: two by four dots a character, about square."""

import math
from typing import Final

from rich.text import Text

#: Bits of the eight dots of a character, by column and row (Unicode braille patterns from U+2800).
_DOTS: Final = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
_BLANK: Final = 0x2800


class Canvas:
    """``columns`` by ``rows`` characters; dots count from the upper left. What lies outside is not drawn."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self._bits = [[0] * columns for _ in range(rows)]
        self._styles = [[""] * columns for _ in range(rows)]
        self._texts: dict[tuple[int, int], tuple[str, str]] = {}

    def dot(self, x: float, y: float, style: str = "") -> None:
        column, row = int(x) // 2, int(y) // 4
        if 0 <= x < 2 * self.columns and 0 <= y < 4 * self.rows:
            self._bits[row][column] |= _DOTS[int(x) % 2][int(y) % 4]
            self._styles[row][column] = style or self._styles[row][column]

    def line(self, x0: float, y0: float, x1: float, y1: float, style: str = "", dash: int = 0) -> None:
        """A straight line; ``dash`` > 0 draws as many dots, then leaves as many out."""
        steps = max(1, math.ceil(max(abs(x1 - x0), abs(y1 - y0))))
        for step in range(steps + 1):
            if not dash or step // dash % 2 == 0:
                self.dot(round(x0 + (x1 - x0) * step / steps), round(y0 + (y1 - y0) * step / steps), style)

    def circle(self, x: float, y: float, radius: float, style: str = "", every: int = 1) -> None:
        """A circle; ``every`` > 1 leaves dots out."""
        steps = max(8, round(2 * math.pi * radius))
        for step in range(0, steps, every):
            angle = 2 * math.pi * step / steps
            self.dot(round(x + radius * math.cos(angle)), round(y + radius * math.sin(angle)), style)

    def text(self, x: float, y: float, words: str, style: str = "") -> None:
        """Words whose middle stands at a dot, over whatever is drawn there."""
        column = min(max(int(x) // 2 - len(words) // 2, 0), self.columns - len(words))
        row = min(max(int(y) // 4, 0), self.rows - 1)
        for offset, letter in enumerate(words):
            self._texts[row, column + offset] = (letter, style)

    def lines(self) -> list[Text]:
        """One line of text for each row."""
        found = []
        for row in range(self.rows):
            line = Text()
            for column in range(self.columns):
                bits = self._bits[row][column]
                drawn = chr(_BLANK + bits) if bits else " "
                letter, style = self._texts.get((row, column), (drawn, self._styles[row][column]))
                line.append(letter, style)
            found.append(line)
        return found
