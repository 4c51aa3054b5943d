"""What stands behind the question mark, and the media type wanted; refused with the parameter's name."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from litestar import Request
from litestar.enums import ParamType

from central.api.problems import ApiError, Fault, invalid, nearest

EARLIEST: Final = 0
_KNOWN: Final = "query_parameters"
LATEST: Final = 253_402_300_799  # end of year 9999


def parse_instant(text: str, name: str) -> int:
    """Return UTC seconds of RFC 3339 with offset, or of whole seconds since 1970; else 422 naming the parameter."""
    text = text.strip()
    seconds = int(text) if text.isascii() and text.isdigit() and len(text) <= 12 else _rfc3339(text, name)
    if not EARLIEST <= seconds <= LATEST:
        raise invalid(name, f"{text!r} is outside 1970 to 9999")
    return seconds


def _rfc3339(text: str, name: str) -> int:
    if len(text) >= 6 and text[-6] == " ":  # a '+' that was not escaped in the address
        text = f"{text[:-6]}+{text[-5:]}"
    try:
        moment = datetime.fromisoformat(text.upper()) if "T" in text.upper() else None
        offset = moment.utcoffset() if moment else None
        if moment is None or offset is None:
            raise ValueError
        return int((moment.replace(tzinfo=UTC) - offset - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1))
    except (ValueError, OverflowError):
        raise invalid(
            name, f"{text[:64]!r} is no instant: write 2026-03-31T00:00:00-03:00, ...Z, or whole seconds since 1970"
        ) from None


def instant_text(seconds: int) -> str:
    """Return RFC 3339 in UTC, whole seconds."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")


def optional_text(seconds: int | None) -> str | None:
    return None if seconds is None else instant_text(seconds)


def parse_span(
    start: str | None, end: str | None, *, longest: int, default: int, now: Callable[[], float] = time.time
) -> tuple[int, int]:
    """Return [from, to) in UTC seconds; ``to`` is now and ``from`` is ``default`` seconds before it unless given."""
    last = parse_instant(end, "to") if end is not None else int(now())
    first = parse_instant(start, "from") if start is not None else max(EARLIEST, last - default)
    if first >= last:
        raise invalid("from", f"{instant_text(first)} is not before 'to' {instant_text(last)}")
    if last - first > longest:
        raise invalid("from", f"the range of {(last - first) / 86400:.1f} days is over the limit of {longest // 86400}")
    return first, last


def open_span(start: str | None, end: str | None) -> tuple[int | None, int | None]:
    """Return [from, to) in UTC seconds; None is open."""
    first = parse_instant(start, "from") if start is not None else None
    last = parse_instant(end, "to") if end is not None else None
    if first is not None and last is not None and first >= last:
        raise invalid("from", "has to be before 'to'")
    return first, last


def parse_day(text: str, name: str = "day") -> date:
    """Return the date ``YYYY-MM-DD``, 1971 to 9998: the days around it exist in every zone."""
    try:
        if len(text) != 10:
            raise ValueError
        day = date.fromisoformat(text)
    except ValueError:
        raise invalid(name, f"{text[:32]!r} is no day: write 2026-03-31") from None
    if not 1970 < day.year < 9999:
        raise invalid(name, f"{text} is outside 1971 to 9998")
    return day


def parse_month(text: str, name: str = "month") -> date:
    """Return the first day of ``YYYY-MM``."""
    try:
        if len(text) != 7:
            raise ValueError
        return date.fromisoformat(f"{text}-01")
    except ValueError:
        raise invalid(name, f"{text[:32]!r} is no month: write 2026-03") from None


def parse_choice(text: str, name: str, known: Sequence[str]) -> str:
    """Return ``text`` when it is one of ``known``."""
    if text not in known:
        raise invalid(name, f"{text[:64]!r} is not one of {', '.join(known)}", nearest(text, known))
    return text


async def refuse_unknown(request: Request[Any, Any, Any]) -> None:
    """Refuse query parameters that the handler does not have, naming the nearest one it has; and repeated ones."""
    if not request.query_params:
        return
    known = _known(request)
    faults = [
        Fault(name, f"unknown parameter; known here: {', '.join(sorted(known)) or 'none'}", nearest(name, known))
        for name in request.query_params
        if name not in known
    ]
    faults += [
        Fault(name, "given more than once")
        for name in request.query_params
        if known.get(name) is False and len(request.query_params.getall(name)) > 1
    ]
    if faults:
        raise ApiError(422, f"The query is not usable: {faults[0].path}: {faults[0].message}", faults)


def _known(request: Request[Any, Any, Any]) -> dict[str, bool]:
    """Names of the handler's query parameters, and whether each may be repeated; worked out once and kept with it."""
    handler = request.route_handler
    known: dict[str, bool] | None = handler.opt.get(_KNOWN)
    if known is None:
        model = handler.create_kwargs_model(path_parameters=request.path_params)
        known = {p.field_alias: p.is_sequence for p in model.expected_query_params if p.param_type == ParamType.QUERY}
        handler.opt[_KNOWN] = known
    return known


def wanted(request: Request[Any, Any, Any], offered: Sequence[str]) -> str:
    """Return the offered media type that Accept likes best (RFC 9110 §12.5.1; the first without a header); else 406."""
    header = request.headers.get("accept", "").strip()
    if not header:
        return offered[0]
    ranges = [_media_range(part) for part in header.split(",")]
    best, best_quality = "", 0.0
    for kind in offered:
        quality = max(
            (r for r in ranges if r[0] in (kind, kind.split("/")[0] + "/*", "*/*")), key=_precision, default=("", 0.0)
        )[1]
        if quality > best_quality:
            best, best_quality = kind, quality
    if not best:
        raise ApiError(406, f"Accept {header[:100]!r} matches none of {', '.join(offered)}.")
    return best


def _media_range(text: str) -> tuple[str, float]:
    kind, *parameters = (part.strip().lower() for part in text.split(";"))
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return kind, min(max(float(parameter[2:]), 0.0), 1.0)
            except ValueError:
                return kind, 0.0
    return kind, 1.0


def _precision(entry: tuple[str, float]) -> int:
    return 0 if entry[0] == "*/*" else 1 if entry[0].endswith("/*") else 2
