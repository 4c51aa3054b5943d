"""What a meter should say: from a file, from the aggregator, or as it was found and kept for next time."""

import json
import tomllib
import urllib.error
import urllib.parse
import urllib.request
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from edge.drivers.contract import Identity
from edge.errors import ConfigError, LinkError
from shared.calendar import CalendarError, TariffCalendar
from shared.quantities import Post

TIMEOUT: Final = 20.0  # s
MAX_ANSWER: Final = 4 << 20
_POSTS: Final = {Post.PEAK: "peak", Post.OFF_PEAK: "off_peak", Post.RESERVED: "reserved"}

Ratio = Annotated[list[int], Meta(min_length=2, max_length=2)]
Time = Annotated[str, Meta(pattern=r"^[0-2][0-9]:[0-5][0-9]$")]


class Expectation(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Only what is given is checked. ``constants`` by channel, ``ratios`` pairs of answer 80, ``posts`` start times."""

    meter: str = ""  # id at the aggregator
    serial: str = ""
    model: str = ""
    firmware: str = ""
    clock_tolerance: Annotated[int, Meta(ge=1, le=86400)] = 30  # s
    profile_step: int | None = None  # s
    demand_minutes: int | None = None
    constants: list[Ratio] | None = None
    ratios: list[Ratio] | None = None
    quantities: list[int | None] | None = None
    posts: dict[str, list[Time]] | None = None


def from_file(path: Path) -> Expectation:
    """Read a TOML file; :class:`ConfigError` names what is wrong in it."""
    try:
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), Expectation)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(f"{path}: {error}") from error


def to_toml(expectation: Expectation) -> str:
    """The file of an expectation; JSON's texts and lists are TOML's too."""
    shown = msgspec.to_builtins(expectation)
    posts = shown.pop("posts", None)
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in shown.items() if value is not None]
    if posts:
        lines += ["", "[posts]", *(f"{name} = {json.dumps(starts)}" for name, starts in posts.items())]
    return "\n".join(lines) + "\n"


def as_found(identity: Identity, meter: str) -> Expectation:
    """What a meter says now, to be held against it at the next visit."""
    detail = identity.detail
    quantities = detail.get("quantities")
    return Expectation(
        meter=meter,
        serial=identity.serial,
        model=identity.model,
        firmware=detail.get("firmware", ""),
        profile_step=detail.get("profile_step"),
        demand_minutes=detail.get("demand_minutes"),
        constants=detail.get("constants"),
        ratios=_whole(detail.get("ratios")),
        quantities=None if quantities is None or None in quantities else quantities,
        posts={name: sorted(set(starts)) for name, starts in detail.get("posts", {}).items()},
    )


def _whole(pairs: Any) -> Any:
    return None if not pairs or any(None in pair for pair in pairs) else pairs


# -- from the aggregator -----------------------------------------------------------------------------------------------


def from_central(url: str, key: str, meter: str) -> Expectation:
    """Ask the aggregator's API for a meter, its gateway's configuration and its tariff calendar.

    Raises :class:`LinkError` when it is out of reach, :class:`ConfigError` for what it refuses.
    """
    told = _get(url, key, f"/api/v1/meters/{urllib.parse.quote(meter, safe='')}")
    expectation = Expectation(meter=meter, serial=str(told.get("serial", "")))
    gateway = (told.get("gateway") or {}).get("key")
    if gateway:
        _from_gateway(expectation, _get(url, key, f"/api/v1/gateways/{gateway}/configuration").get("toml", ""))
    if told.get("calendar"):
        expectation.posts = posts_of(str(told["calendar"]))
    return expectation


def _from_gateway(expectation: Expectation, toml: str) -> None:
    """What the configuration in force expects of the meter; a gateway that never sent one says nothing."""
    try:
        config = tomllib.loads(toml)
    except tomllib.TOMLDecodeError:
        return
    meter: dict[str, Any] = next((m for m in config.get("meters", []) if m.get("id") == expectation.meter), {})
    constants = meter.get("settings", {}).get("expected_constants")
    if constants:
        expectation.constants = [list(pair) for pair in constants]
    schedule = config.get("schedule", {}) | meter.get("schedule", {})
    expectation.clock_tolerance = int(schedule.get("clock_tolerance", expectation.clock_tolerance))


def posts_of(calendar: str, on: date | None = None) -> dict[str, list[str]]:
    """Start times of each post on a working day, as a meter shows them; :class:`ConfigError` for no calendar."""
    today = on or date.today()  # noqa: DTZ011 - the person's own day
    try:
        found = msgspec.json.decode(calendar, type=TariffCalendar)
        version = next(
            v for v in found.versions if v.valid_from <= today and (v.valid_to is None or today < v.valid_to)
        )
    except StopIteration:
        raise ConfigError("the aggregator's calendar of this meter has no version that is valid today") from None
    except (msgspec.MsgspecError, CalendarError) as error:
        raise ConfigError(f"the aggregator's calendar of this meter cannot be used: {error}") from error
    starts: dict[str, list[str]] = {}
    for slot in version.plans[version.week[0]]:  # Monday
        if slot.post in _POSTS:
            starts.setdefault(_POSTS[slot.post], []).append(slot.at.isoformat("minutes"))
    return starts


def _get(url: str, key: str, path: str) -> dict[str, Any]:
    if not url.startswith(("http://", "https://")):
        raise ConfigError(f"{url!r} is no address of an aggregator: write it as https://metering.example.net")
    request = urllib.request.Request(url.rstrip("/") + path, headers={"Authorization": f"Bearer {key}"})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310 - http and https only, see above
            return msgspec.json.decode(answer.read(MAX_ANSWER), type=dict[str, Any])
    except urllib.error.HTTPError as error:
        with error:
            said = {401: "the key is not accepted", 403: "the key may not read this", 404: "it is not known there"}
            raise ConfigError(f"{url}{path}: {said.get(error.code, error.reason)} ({error.code})") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise LinkError(f"{url} is out of reach: {reason}; use --expect with a file kept by --save") from error
