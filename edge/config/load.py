"""From TOML text to a checked :class:`Config`: all that is wrong is said at once, with path and line."""

import hashlib
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from edge.config.check import LINE_KINDS, LISTS, TABLES, Problem, relations, rename_keys, unknown, unknown_keys
from edge.config.model import Config, Line, Meter, TcpLine
from edge.errors import ConfigError

_ID: Final = "1 to 48 letters, digits, _ . - and a letter or digit first"
#: What a pattern asks for, by the key.
_FORMS: Final = {
    "gateway": _ID, "tenant": _ID, "id": _ID, "name": _ID,
    "serial": "8 digits in quotes, as the meter itself answers",
    "reader_serial": "6 digits in quotes",
    "address": "host:port of a tcp line, the whole path (/dev/...) of a serial one",
    "path": "a whole path, beginning with /",
}  # fmt: skip


class ConfigProblems(ConfigError):
    """A configuration that is refused; ``problems`` holds all that was found."""

    def __init__(self, source: str, problems: list[Problem]) -> None:
        self.source = source
        self.problems = problems
        lines = "\n".join(f"  {problem}" for problem in problems)
        super().__init__(f"{source} is not a usable configuration:\n{lines}")


@dataclass(frozen=True)
class Loaded:
    """A checked configuration with its text, its hash (over the text) and warnings about old names."""

    config: Config
    text: str
    hash: str
    warnings: tuple[Problem, ...] = ()


def load(path: Path) -> Loaded:
    """Read and check a file; raises :class:`ConfigError` in words for the person who wrote it."""
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"{path} does not exist; an annotated example comes with the program (example.toml)"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    return parse(text, str(path))


def parse(text: str, source: str = "configuration") -> Loaded:
    """Check a TOML text; raises :class:`ConfigProblems` naming everything wrong with it."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigProblems(source, [Problem("", f"not TOML: {error}")]) from error
    warnings = rename_keys(data)
    problems = unknown_keys(data)
    config: Config | None = None
    if not problems:
        try:
            config = msgspec.convert(data, Config)
        except msgspec.ValidationError as error:
            problems = [_explain(error)]
    if config is not None:
        problems = relations(config) or driver_problems(config)
    if problems or config is None:
        raise ConfigProblems(source, [_placed(problem, text, data) for problem in problems])
    return Loaded(config, text, hash_of(text), tuple(_placed(warning, text, data) for warning in warnings))


def hash_of(text: str) -> str:
    """Names a configuration: 16 hexadecimal digits over its text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def driver_problems(config: Config) -> list[Problem]:
    """Let each meter's driver judge its own ``settings``."""
    from edge.drivers import settings_type  # drivers read their tables: only for whole configurations

    problems: list[Problem] = []
    for number, meter in enumerate(config.meters):
        where = f"meters[{number}]"
        try:
            kind = settings_type(meter.protocol)
        except ConfigError as error:
            problems.append(Problem(f"{where}.protocol", str(error)))
            continue
        known = [field.encode_name for field in msgspec.structs.fields(kind) if field.encode_name != "serial"]
        strange = [key for key in meter.settings if key not in known]
        problems += [Problem(f"{where}.settings.{key}", unknown(key, known)) for key in strange]
        if not strange:
            try:
                msgspec.convert(driver_settings(config, meter), kind)
            except msgspec.ValidationError as error:
                problem = _explain(error)
                own = "" if problem.path == "serial" else "settings."  # the driver judges the meter's serial too
                problems.append(Problem(f"{where}.{own}{problem.path}".rstrip("."), problem.text))
    return problems


def driver_settings(config: Config, meter: Meter) -> dict[str, Any]:
    """A meter's ``settings`` and what the rest of the file says, where its driver has a setting of that name.

    serial: the meter's. zone: the gateway's. link: "tcp", or "usb" or "serial" by the name of the port.
    """
    from edge.drivers import settings_type

    line = next((line for line in config.lines if line.name == meter.line), None)
    known = {"zone": config.zone, "link": "tcp" if line is None else link_of(line)}
    fields = settings_type(meter.protocol).__struct_fields__
    given = {**known, **meter.settings, "serial": meter.serial}
    return {key: value for key, value in given.items() if key in fields or key in meter.settings}


def link_of(line: Line) -> str:
    """The kind of link a driver paces itself by: ``tcp``, or ``usb`` or ``serial`` by the name of the port."""
    if isinstance(line, TcpLine):
        return "tcp"
    return "usb" if re.search("USB|ACM|usb|pts", line.address) else "serial"


def _explain(error: msgspec.ValidationError) -> Problem:
    """msgspec's sentence, cut into path and text, with what a pattern or a word asks for."""
    text, _, path = str(error).partition(" - at `$")
    path = path.rstrip("`").lstrip(".")
    key = path.rpartition(".")[2]
    if "matching regex" in text and key in _FORMS:
        text += f": {_FORMS[key]}"
    elif key == "kind" and path.startswith("lines["):
        text += f"; there are: {', '.join(LINE_KINDS)}"
    return Problem(path, text[:1].lower() + text[1:])


def _placed(problem: Problem, text: str, data: dict[str, Any]) -> Problem:
    """Add the member's name and, where a plain search finds it, the line number to a path."""
    path = problem.path
    table, number, key = "", -1, path
    member = re.match(r"(\w+)\[(\d+)\]\.?(.*)", path)
    shown = path
    if member:
        table, number, key = member[1], int(member[2]), member[3]
        entry = data.get(table, [{}])[number]
        label = entry.get(LISTS[table][0]) if table in LISTS and isinstance(entry, dict) else None
        shown = f"{path} ({label})" if isinstance(label, str) else path
    elif path in TABLES:
        table, key = path, ""
    elif "." in path:
        table, _, key = path.partition(".")
    line = _find_line(text, table, number, key.rpartition(".")[2])
    return Problem(f"line {line}, {shown}" if line else shown, problem.text)


def _find_line(text: str, table: str, number: int, key: str) -> int:
    """Line of ``key`` in ``[table]`` or the ``number``-th ``[[table]]``; of the header where it is not; 0 unknown."""
    header = rf"\s*\[\[\s*{re.escape(table)}\s*\]\]" if number >= 0 else rf"\s*\[\s*{re.escape(table)}\s*\]"
    seen, found = (0, 0) if table else (1, 0)
    wanted = max(number, 0) + 1
    for position, line in enumerate(text.splitlines(), 1):
        if table and re.match(header, line):
            seen += 1
            if seen == wanted:
                found = position
        elif re.match(r"\s*\[", line) and (not table or not re.match(rf"\s*\[\[?\s*{re.escape(table)}\.", line)):
            if seen == wanted:
                return found
        elif seen == wanted and key and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", line):
            return position
    return found
