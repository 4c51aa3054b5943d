"""Settings of the aggregator: a TOML file and METERGATE_* variables, checked whole before anything starts.

A section's field ``[broker] port`` is the variable ``METERGATE_BROKER_PORT``; a field outside sections such as
``data_dir`` is ``METERGATE_DATA_DIR``. A variable wins over the file named by ``METERGATE_SETTINGS``. Secrets are never
settings: a password is read from the file that a setting names.
"""

import difflib
import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_type_hints
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta, inspect

from shared.ids import IdError, check_id

PREFIX: Final = "METERGATE_"
FILE_VARIABLE: Final = "METERGATE_SETTINGS"

Dialect = Literal["sqlite", "postgresql"]
_DRIVERS: Final[dict[str, Dialect]] = {"sqlite+aiosqlite": "sqlite", "postgresql+asyncpg": "postgresql"}

Port = Annotated[int, Meta(ge=1, le=65535)]
Positive = Annotated[int, Meta(ge=1)]


class SettingsError(ValueError):
    """A setting that cannot be used; the text names it, its source and the way out."""


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of all sections."""


class DatabaseSettings(Section, frozen=True):
    url: str = ""  # "" = sqlite file in data_dir; postgresql+asyncpg://user@host/name beyond one machine
    password_file: str = ""  # PostgreSQL password; else .pgpass or the server's own rule
    pool: Annotated[int, Meta(ge=1, le=200)] = 10


class BrokerSettings(Section, frozen=True):
    host: str = "127.0.0.1"
    port: Port = 1883
    username: str = ""
    password_file: str = ""
    ca_file: str = ""  # set: TLS
    cert_file: str = ""
    key_file: str = ""
    client_id: str = ""  # "" = random: several workers may run


class WebSettings(Section, frozen=True):
    host: str = "127.0.0.1"
    port: Port = 8010
    base_url: str = ""  # as browsers see it, behind a proxy
    secure_cookies: bool = False  # True behind TLS
    #: Map tiles such as "https://tiles.example.org/{z}/{x}/{y}.png": the one thing pages load from elsewhere; "" = none
    tiles_url: str = ""
    tiles_credit: str = ""  # who made them, shown on the map


class IngestSettings(Section, frozen=True):
    share: str = ""  # name of the shared subscription; set it when several workers run (PostgreSQL)
    queue_bytes: Annotated[int, Meta(ge=1 << 20)] = 32 << 20  # memory for what is received and not yet committed
    group_items: Positive = 2000  # rows per transaction
    group_batches: Positive = 64
    resend_seconds: Annotated[int, Meta(ge=1, le=86400)] = 60  # a command without result is sent again


class RetentionSettings(Section, frozen=True):
    """Days; readings, registers and events are kept for ever."""

    snapshots: Positive = 90
    health: Positive = 400
    rejected: Positive = 180
    deliveries: Positive = 30  # messages to webhooks
    captures: Positive = 30  # octets of the CCEE's connections; the connections themselves are kept
    reports: Positive = 30  # files made in the background
    enrolments: Positive = 400  # codes, requests and certificates of gateways, since the code was made


class CceeSettings(Section, frozen=True):
    """When the CCEE is expected: local hours of the meter."""

    window_from: Annotated[int, Meta(ge=0, le=23)] = 0
    window_to: Annotated[int, Meta(ge=1, le=24)] = 10
    grace_minutes: Annotated[int, Meta(ge=1, le=1440)] = 75  # longest session (60 min) and its way here


class AlarmSettings(Section, frozen=True):
    """How people and programs are told of alarms; without smtp_host no e-mail is sent."""

    smtp_host: str = ""
    smtp_port: Port = 587
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    smtp_ca_file: str = ""  # "" = the authorities this machine trusts
    smtp_username: str = ""
    smtp_password_file: str = ""
    sender: str = "metergate@localhost"
    language: Literal["pt_BR", "es", "ru", "en"] = "pt_BR"
    tries: Annotated[int, Meta(ge=1, le=100)] = 12  # a message is given up after so many, a day with the default


class OidcSettings(Section, frozen=True):
    """Login through an identity provider (OpenID Connect); off without an issuer."""

    issuer: str = ""  # as its discovery document writes it, such as https://login.example.org/realms/utility
    client_id: str = ""
    client_secret_file: str = ""  # "" = a public client: PKCE alone
    scopes: str = "openid profile email"
    label: str = ""  # on the button; "" = "Log in with the company account"
    login_claim: str = (
        "preferred_username"  # the claim that is the login name; one that people cannot change themselves
    )
    roles_claim: str = ""  # the claim that names groups or roles; "" = roles are given here only
    roles: str = ""  # what its values mean here: "metering-admins=administrator, metering=operator"
    unknown: Literal["refuse", "viewer"] = "refuse"  # somebody whom nobody has entered here
    ca_file: str = ""  # "" = the authorities this machine trusts

    @property
    def role_map(self) -> dict[str, str]:
        """Role key by the claim's value."""
        parts = (each.rpartition("=") for each in self.roles.split(",") if each.strip())
        return {value.strip(): role.strip() for value, _, role in parts}


class WebhookSettings(Section, frozen=True):
    """How programs are told of what happens."""

    tries: Annotated[int, Meta(ge=1, le=100)] = 15  # a message is given up after so many, a day and a half by default
    local_targets: bool = False  # may messages go to this machine itself and to link-local addresses


class EnrolmentSettings(Section, frozen=True):
    """How gateways are let in. Without an issuer, ``metergate provision sign`` signs where the authority is."""

    code_hours: Annotated[int, Meta(ge=1, le=720)] = 24  # a one-time code is good so long
    issuer_cert: str = ""  # PEM: the certificate that signs, then those above it up to the root
    issuer_key: str = ""  # PEM, its owner's only
    days: Annotated[int, Meta(ge=1, le=3660)] = 730  # a certificate signed here lasts so long
    server_cert: str = ""  # PEM that gateways meet over HTTPS; its key's pin stands in the command beside the code


class ReportSettings(Section, frozen=True):
    """How reports figure reactive excess from profiles: what no source establishes (dossier brazil-billing §6)."""

    capacitive_from: Literal["23:30", "00:00", "00:30"] = "00:00"  # local; six hours in which capacitive energy counts
    zero_active: Literal["limit", "zero"] = "limit"  # hours with reactive energy alone
    reverse: Literal["absolute", "skip"] = "absolute"  # hours that were fed in
    direction: Literal["own", "net"] = "own"  # hours with both kinds of reactive energy


class Settings(Section, frozen=True):
    """All settings of central's processes; ``tenant`` is created at the first start."""

    data_dir: str = "data"
    tenant: str = "default"
    tenant_name: str = "Default"
    zone: str = "America/Sao_Paulo"
    database: DatabaseSettings = DatabaseSettings()
    broker: BrokerSettings = BrokerSettings()
    web: WebSettings = WebSettings()
    ingest: IngestSettings = IngestSettings()
    retention: RetentionSettings = RetentionSettings()
    ccee: CceeSettings = CceeSettings()
    alarms: AlarmSettings = AlarmSettings()
    oidc: OidcSettings = OidcSettings()
    webhooks: WebhookSettings = WebhookSettings()
    reports: ReportSettings = ReportSettings()
    enrolment: EnrolmentSettings = EnrolmentSettings()

    @property
    def database_url(self) -> str:
        """The database in force: ``database.url``, else ``metergate.sqlite`` in ``data_dir``."""
        return self.database.url or f"sqlite+aiosqlite:///{Path(self.data_dir).absolute() / 'metergate.sqlite'}"


_SECTIONS: Final[dict[str, type[Section]]] = {
    name: kind
    for name, kind in get_type_hints(Settings).items()
    if isinstance(kind, type) and issubclass(kind, Section)
}


def load(file: str | Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read settings from ``file`` (else the one named by METERGATE_SETTINGS, if any), then METERGATE_* variables.

    Raises :class:`SettingsError` for an unreadable file, an unknown name (with the nearest known one), or a bad value.
    """
    env = os.environ if environ is None else environ
    path = file or env.get(FILE_VARIABLE) or None
    values = _read_file(Path(path)) if path else {}
    for name, text in _from_environment(env).items():
        section, _, field = name.rpartition(".")
        (values.setdefault(section, {}) if section else values)[field] = text
    return _checked(msgspec.convert(values, Settings, strict=False))


def dialect_of(url: str) -> Dialect:
    """Return the database a URL names; raises :class:`SettingsError` for others than the two that are spoken."""
    scheme = url.split("://", 1)[0]
    if scheme not in _DRIVERS:
        known = " or ".join(f"{name}://..." for name in _DRIVERS)
        raise SettingsError(f"settings: database.url begins with {scheme!r}: only {known} is spoken")
    return _DRIVERS[scheme]


def secret(file: str, what: str) -> str | None:
    """Return the first line of the secret's file, None when no file is set; raises :class:`SettingsError`."""
    if not file:
        return None
    try:
        text = Path(file).read_text().split("\n", 1)[0].strip()
    except OSError as error:
        raise SettingsError(f"{what}: {file!r} cannot be read: {error.strerror}") from error
    if not text:
        raise SettingsError(f"{what}: {file!r} is empty: put the password on its first line")
    return text


def variables() -> dict[str, str]:
    """Every environment variable that is understood, with the setting it sets, such as ``broker.port``."""
    names: dict[str, str] = {}
    for field in get_type_hints(Settings):
        if field in _SECTIONS:
            names |= {f"{PREFIX}{field}_{sub}".upper(): f"{field}.{sub}" for sub in get_type_hints(_SECTIONS[field])}
        else:
            names[f"{PREFIX}{field}".upper()] = field
    return names


def _read_file(path: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(path.read_text())
    except OSError as error:
        raise SettingsError(f"settings file {str(path)!r} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"settings file {str(path)!r} is not TOML: {error}") from error
    for name, value in values.items():
        _known(name, get_type_hints(Settings), f"{path}: ")
        if name in _SECTIONS:
            if not isinstance(value, dict):
                raise SettingsError(f"{path}: '{name}' is a section: write [{name}]")
            for field, setting in value.items():
                _known(field, get_type_hints(_SECTIONS[name]), f"{path}: [{name}] ")
                _fits(f"{name}.{field}", setting, f"{path}: [{name}] {field} = ")
        else:
            _fits(name, value, f"{path}: {name} = ")
    url = values.get("database", {}).get("url", "")
    if isinstance(url, str) and "@" in url and urlsplit(url).password:
        raise SettingsError(
            f"{path}: database.url holds a password: put that into a file named in database.password_file"
        )
    return values


def _known(name: str, known: Iterable[str], where: str) -> None:
    names = list(known)
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.0)[0]
        known_text = ", ".join(sorted(names))
        raise SettingsError(f"{where}unknown setting {name!r}: did you mean {near!r}? Known: {known_text}")


def _fits(name: str, value: object, where: str) -> None:
    """Refuse a value that the setting of this dotted name cannot have; ``where`` is what stands before the value."""
    section, _, field = name.rpartition(".")
    kind = get_type_hints(_SECTIONS[section] if section else Settings, include_extras=True)[field]
    try:
        msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{where}{value!r} is not {_expected(kind)}") from error


def _expected(kind: Any) -> str:
    """Say in words what a setting of this type may be."""
    match inspect.type_info(kind):
        case inspect.IntType(ge=low, le=None):
            return f"a whole number from {low} on"
        case inspect.IntType(ge=low, le=high):
            return f"a whole number {low} to {high}"
        case inspect.BoolType():
            return "true or false"
        case inspect.LiteralType(values=words):
            return "one of " + ", ".join(repr(word) for word in words)
        case _:
            return "a text in quotes"


def _from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Settings by dotted name. Another program's variable is left alone unless it looks like a misspelling."""
    known = variables()
    found = {}
    for variable, text in environ.items():
        if not variable.startswith(PREFIX) or variable == FILE_VARIABLE:
            continue
        if variable in known:
            _fits(known[variable], text, f"environment: {variable}=")
            found[known[variable]] = text
            continue
        near = difflib.get_close_matches(variable, known, n=1, cutoff=0.85)
        if near:
            raise SettingsError(f"environment: unknown variable {variable}: did you mean {near[0]}?")
    return found


def _checked(settings: Settings) -> Settings:
    try:
        check_id(settings.tenant, "tenant")
        ZoneInfo(settings.zone)
    except IdError as error:
        raise SettingsError(f"settings: {error}") from error
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise SettingsError(f"settings: zone {settings.zone!r} is no time zone such as 'America/Sao_Paulo'") from error
    if dialect_of(settings.database_url) == "sqlite" and settings.ingest.share:
        raise SettingsError(
            "settings: ingest.share means several workers, which need PostgreSQL: "
            "set database.url to postgresql+asyncpg://user@host/name or leave ingest.share empty"
        )
    if settings.ccee.window_from >= settings.ccee.window_to:
        raise SettingsError(
            f"settings: ccee.window_from {settings.ccee.window_from} has to be before "
            f"ccee.window_to {settings.ccee.window_to}"
        )
    _check_oidc(settings.oidc)
    if bool(settings.enrolment.issuer_cert) != bool(settings.enrolment.issuer_key):
        raise SettingsError("settings: enrolment.issuer_cert and issuer_key belong together: set both or none")
    broker = settings.broker
    if bool(broker.cert_file) != bool(broker.key_file):
        raise SettingsError("settings: broker.cert_file and broker.key_file belong together: set both or none")
    if (broker.cert_file or broker.key_file) and not broker.ca_file:
        raise SettingsError("settings: broker.ca_file is needed with a client certificate")
    return settings


def _check_oidc(oidc: OidcSettings) -> None:
    if not oidc.issuer:
        return
    parts = urlsplit(oidc.issuer)
    local = parts.hostname in ("localhost", "127.0.0.1", "::1")
    if not parts.hostname or (parts.scheme != "https" and not (local and parts.scheme == "http")):
        raise SettingsError(
            f"settings: oidc.issuer {oidc.issuer!r} has to be an https address such as https://login.example.org"
        )
    if not oidc.client_id:
        raise SettingsError("settings: oidc.client_id is missing: the provider gave it when this server was registered")
    if "openid" not in oidc.scopes.split():
        raise SettingsError(f"settings: oidc.scopes {oidc.scopes!r} has to name 'openid'")
    if bool(oidc.roles) != bool(oidc.roles_claim):
        raise SettingsError("settings: oidc.roles and oidc.roles_claim belong together: set both or none")
    for value, role in oidc.role_map.items():
        if not value or not role:
            raise SettingsError(f"settings: oidc.roles {oidc.roles!r} is not 'value=role, value=role'")
