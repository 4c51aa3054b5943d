"""Every kind of thing the registry holds, declared once: its fields, what they refer to, and who may change it.

Checks, lists, search, forms, history, import, export and the API's shapes are made from here. Labels, in four
languages, stand in ``central.web.registry_words``.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from central.accounts.permissions import Permission
from central.registry.fields import (
    Calendar,
    Choice,
    Dates,
    Day,
    Email,
    Flag,
    Hours,
    Integer,
    Key,
    Members,
    Number,
    Periods,
    Ratio,
    Reference,
    Text,
    Type,
    Zone,
)
from central.registry.models import (
    Activity,
    ActivityClass,
    CommercialActivity,
    CommunicationModule,
    Customer,
    CustomerGroup,
    DaylightSaving,
    Gateway,
    Holiday,
    HolidayGroup,
    InstallationStatus,
    Lot,
    Meter,
    MeteringPoint,
    MeterModel,
    OpeningHours,
    SearchWord,
    Tariff,
)


class _Special:
    """What a default can be besides a value."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


STAYS: Final[Any] = _Special("STAYS")  # PUT leaves it as it is
AS_KEY: Final[Any] = _Special("AS_KEY")  # what the thing's key says


@dataclass(frozen=True, eq=False)
class Field:
    """One field: ``default`` is what PUT and a new thing take where nothing is said. ``section`` groups forms."""

    name: str
    type: Type
    default: Any = ""
    required: bool = False
    section: str = ""
    column: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the table that hold it; none: a table of its own does."""
        return (self.column,) if self.column else self.type.columns(self.name)

    def store(self, value: Any) -> dict[str, Any]:
        """Columns for a value; a reference's is its id."""
        return {self.column: value} if self.column else self.type.store(self.name, value)


_KEY: Final = Key()


@dataclass(frozen=True, eq=False)
class Kind:
    """``name`` is its word in addresses of pages and files, ``path`` that of the API; ``group`` its place in menus.

    ``numbered`` kinds have no key: the API goes by their number, files by what ``central.registry.labels`` makes.
    ``key_column`` names a thing to the outside. ``searched``: fields whose words find it, under ``word_kind``.
    """

    name: str
    path: str
    label: str
    model: Any
    group: str
    fields: tuple[Field, ...]
    permission: Permission = Permission.REGISTRY
    key_column: str = "key"
    key: Key | None = _KEY
    word_kind: int = 0
    searched: tuple[str, ...] = ()

    @property
    def numbered(self) -> bool:
        return self.key is None

    @property
    def table(self) -> str:
        return str(self.model.__tablename__)

    @property
    def key_attribute(self) -> Any:
        """The mapped column that names a thing to the outside."""
        return getattr(self.model, self.key_column)

    @property
    def created_at(self) -> bool:
        return "created_at" in self.model.__table__.columns

    def field(self, name: str) -> Field:
        """One field by its name; KeyError: there is none."""
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, Field]:
        return {field.name: field for field in self.fields}


_NAME: Final = Field("name", Text(), AS_KEY, required=True)
_PLACE: Final = (
    Field("latitude", Number(-90, 90), None, section="place"),
    Field("longitude", Number(-180, 180), None, section="place"),
)
_NOTE: Final = Text(10_000, long=True)
_WIRE: Final = Key(wire=True)


def _reference(name: str, kind: str = "", *, numbered: bool = False, section: str = "", default: Any = None) -> Field:
    return Field(name, Reference(kind or name, numbered), default, section=section)


def _list(name: str, path: str, label: str, model: Any) -> Kind:
    """A list of words of the utility's own."""
    return Kind(name, path, label, model, "additional", (_NAME,))


GATEWAY: Final = Kind(
    "gateway", "gateways", "gateway", Gateway, "business", (_NAME, Field("place", _NOTE, section="place"), *_PLACE),
    key=_WIRE, word_kind=SearchWord.GATEWAY, searched=("key", "name", "place"),
)  # fmt: skip
GROUP: Final = Kind(
    "group", "groups", "customer group", CustomerGroup, "business",
    (Field("name", Text(), "", required=True), _reference("parent", "group", numbered=True)),
    key=None, key_column="id", word_kind=SearchWord.GROUP, searched=("name",),
)  # fmt: skip
CUSTOMER: Final = Kind(
    "customer", "customers", "customer", Customer, "business",
    (
        _NAME, _reference("group", numbered=True), _reference("lot"),
        Field("contract", Text(64)), Field("document", Text(64)), Field("email", Email(), section="contact"),
        Field("phone", Text(64), section="contact"), _reference("activity_class", section="activity"),
        _reference("activity", section="activity"), _reference("commercial_activity", section="activity"),
        _reference("opening_hours", section="activity"),
    ),
    key_column="external_key", word_kind=SearchWord.CUSTOMER,
    searched=("external_key", "name", "contract", "document"),
)  # fmt: skip
POINT: Final = Kind(
    "point", "points", "point", MeteringPoint, "business",
    (
        _NAME, _reference("customer"), _reference("status"), Field("starts_on", Day(), None),
        Field("ends_on", Day(), None), Field("address", _NOTE, section="place"), *_PLACE,
    ),
    word_kind=SearchWord.POINT, searched=("key", "name", "address"),
)  # fmt: skip
METER: Final = Kind(
    "meter", "meters", "meter", Meter, "business",
    (
        Field("serial", Text(64), AS_KEY, required=True), Field("name", Text()), _reference("model"),
        _reference("gateway", default=STAYS), Field("starts_on", Day(), None), Field("ends_on", Day(), None),
        Field("monitored", Flag(), True), Field("can_cut", Flag(), False),
        Field("multiplier", Ratio(), {"num": 1, "den": 1}, section="measuring"),
        Field("zone", Zone(64), section="measuring"), _reference("tariff", section="measuring"),
        _reference("holiday_group", section="measuring"), _reference("daylight_saving", section="measuring"),
        Field("calendar", Calendar(), section="measuring"),
    ),
    key=_WIRE, word_kind=SearchWord.METER, searched=("key", "serial", "name"),
)  # fmt: skip
MODULE: Final = Kind(
    "module", "modules", "module", CommunicationModule, "business",
    (
        _NAME, _reference("gateway"), Field("serial", Text(64)), Field("model", Text()), Field("address", Text()),
    ),
    key=_WIRE, word_kind=SearchWord.MODULE, searched=("key", "name", "serial", "address"),
)  # fmt: skip
MODEL: Final = Kind(
    "model", "models", "meter model", MeterModel, "additional",
    (Field("maker", Text()), _NAME, Field("protocol", Text(64)), Field("resource", Text(64), "electricity")),
)  # fmt: skip
STATUS: Final = _list("status", "statuses", "installation status", InstallationStatus)
ACTIVITY: Final = _list("activity", "activities", "activity", Activity)
COMMERCIAL: Final = _list("commercial_activity", "commercial-activities", "commercial activity", CommercialActivity)
CLASS: Final = _list("activity_class", "activity-classes", "activity class", ActivityClass)
OPENING: Final = Kind(
    "opening_hours", "opening-hours", "opening hours", OpeningHours, "additional",
    (_NAME, Field("hours", Hours(), [[] for _ in range(7)])),
)  # fmt: skip
LOT: Final = Kind(
    "lot", "lots", "lot", Lot, "billing",
    (_NAME, Field("reading_day", Integer(1, 31), 1), Field("dates", Dates(), {})), Permission.BILLING,
)  # fmt: skip
HOLIDAY: Final = Kind(
    "holiday", "holidays", "holiday", Holiday, "billing",
    (
        Field("name", Text(), "", required=True), Field("month", Integer(1, 12), None, required=True),
        Field("day", Integer(1, 31), None, required=True), Field("year", Integer(1971, 9998, optional=True), None),
    ),
    Permission.BILLING, key=None, key_column="id",
)  # fmt: skip
HOLIDAYS: Final = Kind(
    "holiday_group", "holiday-groups", "holiday group", HolidayGroup, "billing",
    (_NAME, Field("holidays", Members("holiday"), [])), Permission.BILLING,
)  # fmt: skip
DAYLIGHT: Final = Kind(
    "daylight_saving", "daylight-savings", "daylight saving", DaylightSaving, "billing",
    (
        _NAME, Field("policy", Choice(("shift_clock", "shift_post")), "shift_clock"),
        Field("periods", Periods(), []),
    ),
    Permission.BILLING,
)  # fmt: skip
TARIFF: Final = Kind(
    "tariff", "tariffs", "tariff configuration", Tariff, "billing",
    (_NAME, Field("calendar", Calendar(optional=False), "", required=True)), Permission.BILLING,
)  # fmt: skip

#: All kinds, in an order in which those that are referred to come before those that refer.
KINDS: Final[tuple[Kind, ...]] = (
    GATEWAY, GROUP, STATUS, ACTIVITY, COMMERCIAL, CLASS, OPENING, LOT, HOLIDAY, HOLIDAYS, DAYLIGHT, TARIFF, MODEL,
    CUSTOMER, POINT, MODULE, METER,
)  # fmt: skip
BY_NAME: Final[dict[str, Kind]] = {kind.name: kind for kind in KINDS}
BY_MODEL: Final[dict[Any, Kind]] = {kind.model: kind for kind in KINDS}
#: As menus show them.
GROUPS: Final[dict[str, tuple[Kind, ...]]] = {
    "business": (GATEWAY, GROUP, CUSTOMER, POINT, METER, MODULE),
    "additional": (MODEL, STATUS, ACTIVITY, COMMERCIAL, CLASS, OPENING),
    "billing": (LOT, HOLIDAY, HOLIDAYS, DAYLIGHT, TARIFF),
}
