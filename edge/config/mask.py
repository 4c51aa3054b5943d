"""Secrets leave the gateway only as asterisks, and asterisks that come back mean: the secret you have."""

import re
import tomllib
from typing import Any, Final

from edge.config.check import LISTS
from edge.config.model import SECRET_KEYS
from edge.errors import ConfigError

MASK: Final = "********"

_ASSIGNMENT: Final = re.compile(
    rf"""(?P<key>(?<![\w.-])["']?(?:{"|".join(sorted(SECRET_KEYS))})["']?\s*=\s*)(?P<value>"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
)


def mask(text: str) -> str:
    """Return the TOML text with every secret replaced; raises :class:`ConfigError` rather than let one through."""
    masked = _ASSIGNMENT.sub(lambda found: f'{found["key"]}"{MASK}"' if len(found["value"]) > 2 else found[0], text)
    for path, value in _secrets(tomllib.loads(masked)):
        if value not in ("", MASK):
            raise ConfigError(
                f'{".".join(path)} is written in a way that cannot be masked: write it as key = "value" on one line'
            )
    return masked


def unmask(text: str, current: str) -> str:
    """Put the secrets of ``current`` where ``text`` has the mask; raises :class:`ConfigError` where there is none."""
    if MASK not in text:
        return text
    count = 0

    def number(found: re.Match[str]) -> str:
        nonlocal count
        if found["value"][1:-1] != MASK:
            return found[0]
        count += 1
        return f'{found["key"]}"{MASK}{count - 1}"'

    numbered = _ASSIGNMENT.sub(number, text)
    known = dict(_secrets(tomllib.loads(current)))
    try:
        secrets = _secrets(tomllib.loads(numbered))
    except tomllib.TOMLDecodeError:
        return text  # reading it as a configuration will say what is wrong
    for path, value in secrets:
        if isinstance(value, str) and value.startswith(MASK) and value != MASK:
            if path not in known:
                raise ConfigError(f"{'.'.join(path)} is masked, but this gateway has no such secret: write it out")
            numbered = numbered.replace(f'"{value}"', _quoted(str(known[path])), 1)
    return numbered


def _secrets(data: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    """(path, value) of every secret; members of lists go by their name, so that order does not matter."""
    found: list[tuple[tuple[str, ...], Any]] = []
    if isinstance(data, dict):
        for key, value in data.items():
            if key in SECRET_KEYS and not isinstance(value, dict | list):
                found.append(((*path, key), value))
            else:
                found += _secrets(value, (*path, key))
    elif isinstance(data, list):
        label = LISTS.get(path[-1] if path else "", ("name", None))[0]
        for index, member in enumerate(data):
            name = member.get(label, index) if isinstance(member, dict) else index
            found += _secrets(member, (*path, str(name)))
    return found


def _quoted(value: str) -> str:
    escaped = "".join(
        f"\\u{ord(letter):04x}"
        if ord(letter) < 32 or letter == "\x7f"
        else {"\\": "\\\\", '"': '\\"'}.get(letter, letter)
        for letter in value
    )
    return f'"{escaped}"'
