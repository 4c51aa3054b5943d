"""Profiles as files: tables and public files, written whole or not at all; conversion between both."""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from edge.drivers.abnt import public_file, public_write
from edge.drivers.abnt.commands import PROFILE_CODES
from edge.drivers.abnt.layout import Parameters
from edge.drivers.abnt.settings import AbntSettings
from edge.errors import ConfigError
from edge.export import opened
from edge.field import profile_csv
from edge.gateway import program_version
from ext.nibbles import Order
from shared.wire import ProfileBlock

STYLES: Final = (".csv", ".abnt")


@dataclass(frozen=True)
class Wish:
    """What a person says of a conversion; ``nibble_order`` and ``name_rule`` are not established: theirs to say."""

    meter: str = ""
    serial: str = ""
    zone: str = "America/Sao_Paulo"
    nibble_order: str | None = None
    name_rule: str | None = None


def style_of(path: Path) -> str:
    """``.csv`` or ``.abnt``; :class:`ConfigError` for others."""
    if path.suffix.lower() not in STYLES:
        raise ConfigError(f"{path}: the name must end with .csv (a table) or .abnt (public file of NBR 14522)")
    return path.suffix.lower()


def write_reading(output: Path, blocks: Sequence[ProfileBlock], frames: Sequence[bytes]) -> list[Path]:
    """Write what a reading brought; public files hold the answers as received, one file for each profile answer.

    A reading over a bill's end takes two answers (27 and 26), and a public file may hold one: then ``NAME-27.abnt``
    and ``NAME-26.abnt``.
    """
    if style_of(output) == ".csv":
        with opened(output) as file:
            file.write(_table(blocks))
        return [output]
    sets = {code: public_file.assemble(frames, code) for code in sorted(PROFILE_CODES)}
    found = {code: picked for code, picked in sets.items() if picked}
    if not found:
        raise ConfigError(
            f"{output}: a public file is made of the meter's own answers, and the gateway that read it does not hand "
            "them out: write a .csv and convert it"
        )
    written = []
    for code, picked in found.items():
        path = output if len(found) == 1 else output.with_name(f"{output.stem}-{code:02X}{output.suffix}")
        with opened(path) as file:
            file.write(public_file.join_frames(picked))
        written.append(path)
    return written


def convert(source: Path, target: Path, wish: Wish) -> dict[str, Any]:
    """Convert between a table and a public file; returns what ``convert --json`` shows."""
    if style_of(source) == ".abnt":
        if style_of(target) != ".csv":
            raise ConfigError(f"{source} is a public file already: the target must be a .csv")
        return _to_table(source, target, wish)
    return _to_public(source, target, wish)


def _to_table(source: Path, target: Path, wish: Wish) -> dict[str, Any]:
    data = source.read_bytes()
    serial = public_file.serial_of(data)
    contents = public_file.read(data, wish.meter or serial, _settings(wish))
    if not contents.profile:
        raise ConfigError(f"{source} holds no profile (answers 26, 27, 52)")
    with opened(target) as file:
        file.write(_table(contents.profile))
    notes = []
    if not contents.reconciled:
        notes.append(
            "nothing in the file proves the order of the nibbles: every interval is flagged unreconciled (256), "
            "never to be billed" + ("" if wish.nibble_order else "; high_first was taken, --nibble-order takes another")
        )
    return _told(target, contents.serial, contents.profile, notes)


def _to_public(source: Path, target: Path, wish: Wish) -> dict[str, Any]:
    if wish.nibble_order is None:
        raise ConfigError(
            "the order of the nibbles in profile words is not established: say which the reader of the file takes, "
            "--nibble-order high_first or low_first"
        )
    with source.open(encoding="utf-8", newline="") as file:
        blocks = profile_csv.read(file)
    meters = sorted({block.meter for block in blocks})
    if wish.meter or len(meters) != 1:
        blocks = [block for block in blocks if block.meter == wish.meter]
    if not blocks:
        raise ConfigError(f"{source} holds meters {', '.join(meters) or 'none'}: choose one with --meter")
    serial = wish.serial or blocks[0].meter
    written = public_write.write(blocks, serial, _settings(wish), cast("Order", wish.nibble_order))
    target = _named(target, written.data, wish.name_rule)
    notes = [f"{n} intervals of {channel} have quality flags, for which there is no place" for channel, n in
             written.flags_lost.items()]  # fmt: skip
    notes += [f"{c} is written with constant {num}/{den}: its counts exceed 12 bits" for c, (num, den) in
              written.rescaled.items()]  # fmt: skip
    with opened(target) as output:
        output.write(written.data)
    told = _told(target, serial, blocks, notes)
    origin = {"made_by": f"metergate {program_version()}", "made_of": source.name, "nibble_order": wish.nibble_order,
              "zone": wish.zone, "name_rule": wish.name_rule, **told}  # fmt: skip
    with opened(target.with_name(target.name + ".origin.json")) as output:
        output.write(json.dumps(origin, ensure_ascii=False, indent=1).encode() + b"\n")
    return told


def _named(target: Path, data: bytes, rule: str | None) -> Path:
    if rule is None:
        if target.is_dir():
            raise ConfigError(f"{target} is a folder: the rule for file names is not established, give a name.abnt")
        style_of(target)
        return target
    if not target.is_dir():
        raise ConfigError(f"--name-rule names the file itself: give a folder instead of {target}")
    now = Parameters.decode(data[:256]).now
    assert now is not None  # noqa: S101 - we wrote it
    return target / public_file.name_base20(public_file.serial_of(data), now)


def _settings(wish: Wish) -> AbntSettings:
    settings = msgspec.convert({"zone": wish.zone, "nibble_order": wish.nibble_order or "auto"}, AbntSettings)
    settings.zone_info()
    return settings


def _table(blocks: Sequence[ProfileBlock]) -> bytes:
    text = io.StringIO()
    profile_csv.write(blocks, text)
    return text.getvalue().encode()


def _told(path: Path, serial: str, blocks: Sequence[ProfileBlock], notes: list[str]) -> dict[str, Any]:
    channels = list(dict.fromkeys(block.channel for block in blocks))
    intervals = sum(block.count for block in blocks)
    return {"file": str(path), "serial": serial, "channels": channels, "intervals": intervals, "notes": notes}
