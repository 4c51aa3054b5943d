"""Changes of single tables of a configuration file, the rest of its text left as its author wrote it."""

import re
import tomllib
from typing import Final

import msgspec

from edge.config.load import Loaded, parse
from edge.config.model import Forward
from edge.errors import ConfigError

_HEADER: Final = re.compile(r"\s*\[")
_METER: Final = re.compile(r"\s*\[\[\s*meters\s*\]\]")
_INNER: Final = re.compile(r"\s*\[\[?\s*meters\s*\.\s*([\w-]+)")


def with_forward(loaded: Loaded, meter: str, table: str) -> str:
    """The file's text with ``table`` (lines of TOML; empty: none) as the forward of a meter.

    :class:`ConfigError` when there is no such meter, the table is wrong, or the text is written in a way that is not
    understood here: what comes out says exactly what it should, or nothing comes out.
    """
    numbers = [number for number, each in enumerate(loaded.config.meters) if each.id == meter]
    if not numbers:
        known = ", ".join(each.id for each in loaded.config.meters) or "none"
        raise ConfigError(f"no meter {meter} here; there are: {known}")
    wanted = _parsed(table) if table.strip() else None
    text = _replaced(loaded.text, numbers[0], table if wanted else "")
    meters = list(loaded.config.meters)
    meters[numbers[0]] = msgspec.structs.replace(meters[numbers[0]], forward=wanted)
    if parse(text, "the new configuration").config != msgspec.structs.replace(loaded.config, meters=meters):
        raise ConfigError(f"the forward of {meter} cannot be changed alone in this file: send a whole configuration")
    return text


def _parsed(table: str) -> Forward:
    try:
        return msgspec.convert(tomllib.loads(table), Forward)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(f"not a forward: {error}") from error


def _replaced(text: str, number: int, table: str) -> str:
    """Cut the forward out of the ``number``-th meter and put ``table`` behind its other lines."""
    kept: list[str] = []
    tail: list[str] = []  # of what is cut: remarks at its end belong to what follows
    count, inside, cutting, end = -1, False, False, None
    for line in text.splitlines():
        if _HEADER.match(line):
            if _METER.match(line):
                count += 1
            inner = _INNER.match(line)
            inside = count == number and (bool(_METER.match(line)) or inner is not None)
            cutting = inside and inner is not None and inner[1] == "forward"
            kept += tail
            tail = []
        elif inside and re.match(r"\s*forward\s*[.=]", line):
            continue
        if not cutting:
            kept.append(line)
        elif not line.strip() or line.lstrip().startswith("#"):
            tail.append(line)
        else:
            tail = []
        if inside and not cutting and line.strip() and not line.lstrip().startswith("#"):
            end = len(kept)
    kept += tail
    if table and end is not None:
        kept[end:end] = ["[meters.forward]", *table.strip().splitlines()]
    return "\n".join(kept) + "\n"
