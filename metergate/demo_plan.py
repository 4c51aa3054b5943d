"""What the demonstration shows: two gateways with six meters each, their customers and places, the files for both."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

TENANT: Final = "demo"
ZONE: Final = "America/Sao_Paulo"
#: Customers of the generated neighbourhood, their months of readings, and how many have load profiles.
NEIGHBOURS: Final = 600
NEIGHBOUR_MONTHS: Final = 13
NEIGHBOUR_PROFILES: Final = 12
#: Days of load profile that each simulated meter remembers: three full months before the present one.
MEMORY_DAYS: Final = 112


#: The group that holds the two industrial districts.
INDUSTRY: Final = "Distritos industriais"


@dataclass(frozen=True)
class Person:
    """Somebody with a login: role, and the group or gateway where it holds ("": everywhere)."""

    login: str
    name: str
    role: str
    group: str = ""
    gateway: str = ""


PEOPLE: Final = (
    Person("admin", "Administração", "administrator"),
    Person("operador", "Olga, centro de operação", "operator"),
    Person("faturamento", "Bento, faturamento", "billing"),
    Person("campo", "Célia, equipe de campo norte", "field", gateway="gw-norte"),
    Person("consulta", "Davi, consulta da indústria", "viewer", group=INDUSTRY),
)


@dataclass(frozen=True)
class DemoMeter:
    serial: str
    customer: str
    group: str
    lot: str
    address: str
    latitude: float
    longitude: float
    kind: str  # tcp or pty

    @property
    def id(self) -> str:
        return f"MG-{self.serial}"


@dataclass(frozen=True)
class DemoGateway:
    id: str
    name: str
    place: str
    latitude: float
    longitude: float
    faults: tuple[str, ...]
    meters: tuple[DemoMeter, ...]

    @property
    def module(self) -> str:
        return f"{self.id}-lte"


def _meters(first: int, group: str, lot: str, rows: tuple[tuple[str, str, float, float], ...]) -> tuple[DemoMeter, ...]:
    return tuple(
        DemoMeter(str(first + i), name, group, lot, address, latitude, longitude, "tcp" if i % 2 == 0 else "pty")
        for i, (name, address, latitude, longitude) in enumerate(rows)
    )


GATEWAYS: Final = (
    DemoGateway(
        "gw-norte",
        "Distrito Industrial Norte",
        "Subestação Norte, Joinville",
        -26.2562,
        -48.8669,
        (),
        _meters(
            12_345_601,
            "Distrito Industrial Norte",
            "10",
            (
                ("Metalúrgica Aurora", "Rua Dona Francisca, 8300", -26.2380, -48.8790),
                ("Fundição Três Barras", "Rua dos Portugueses, 2250", -26.2461, -48.8755),
                ("Plásticos Babitonga", "Av. Edmundo Doubrawa, 1001", -26.2290, -48.8702),
                ("Têxtil Cubatão", "Rua Rui Barbosa, 1240", -26.2437, -48.8589),
                ("Frigorífico Pirabeiraba", "Rodovia SC-418, km 3", -26.2088, -48.9053),
                ("Compressores Norte", "Rua Rui Barbosa, 1020", -26.2452, -48.8560),
            ),
        ),
    ),
    DemoGateway(
        "gw-sul",
        "Distrito Industrial Sul",
        "Subestação Sul, Joinville",
        -26.3464,
        -48.8290,
        # this one stands at a bad place: noise, lost acknowledgements, a meter that asks for patience
        ("noise:0.02", "drop-ack:0.02", "wait:0.02:2"),
        _meters(
            12_345_701,
            "Distrito Industrial Sul",
            "11",
            (
                ("Aciaria Itaum", "Rua Florianópolis, 1500", -26.3325, -48.8263),
                ("Cerâmica Paranaguamirim", "Rua Monsenhor Gercino, 6200", -26.3540, -48.8011),
                ("Laticínios Boehmerwald", "Rua São Paulo, 3400", -26.3398, -48.8441),
                ("Papel e Celulose Petrópolis", "Rua Petrópolis, 900", -26.3361, -48.8207),
                ("Moinho Fátima", "Rua Fátima, 2011", -26.3392, -48.8122),
                ("Câmaras Frias Itinga", "Rua Waldemiro José Borges, 4800", -26.3777, -48.8345),
            ),
        ),
    ),
)


def gateway_toml(
    gateway: DemoGateway, broker_port: int, addresses: dict[str, str], folder: Path, forwards: dict[str, int]
) -> str:
    """Write a gateway's configuration; ``addresses`` gives each serial its ``host:port`` or terminal.

    ``forwards``: the ports by which the CCEE reaches some of them, by serial.
    """
    parts = [
        "# Written anew by every start of the demonstration.",
        f'gateway = "{gateway.id}"\ntenant = "{TENANT}"\nzone = "{ZONE}"',
        f'[uplink]\nhost = "127.0.0.1"\nport = {broker_port}\ntls = false',
        f'[spool]\npath = "{folder / "spool.db"}"',
        "[remote]\napply_grace = 20",
        # faster than in the field and at any hour of the day, so that there is something to see
        '[schedule]\nprofile = 60\nregisters = 300\ninstantaneous = 10\nevents = 120\nclock = 600\nccee_window = ""',
        f"backfill_days = {MEMORY_DAYS}",
        f'[[modules]]\nname = "{gateway.module}"\nkind = "simulated"',
    ]
    for meter in gateway.meters:
        name = f"{meter.kind}-{meter.serial}"
        kind = "serial" if meter.kind == "pty" else "tcp"
        parts.append(f'[[lines]]\nname = "{name}"\nkind = "{kind}"\naddress = "{addresses[meter.serial]}"')
        parts.append(
            f'[[meters]]\nid = "{meter.id}"\nserial = "{meter.serial}"\nline = "{name}"\n'
            f'protocol = "abnt"\nmodule = "{gateway.module}"'
        )
        if meter.serial in forwards:
            parts.append(
                f'[meters.forward]\nport = {forwards[meter.serial]}\nlisten = "127.0.0.1"\nallow = ["127.0.0.0/8"]\n'
                'mode = "shared"\nresume_seconds = 5'
            )
    return "\n".join(parts) + "\n"


def registry_toml() -> str:
    """Write the registry: who is measured where, by which meter, through which gateway."""
    since = (datetime.now(UTC) - timedelta(days=MEMORY_DAYS + 7)).replace(hour=3, minute=0, second=0, microsecond=0)
    parts = [_table("models", key="abnt-sim", maker="Metergate", name="Simulador ABNT", protocol="abnt")]
    parts.append(_table("groups", name=INDUSTRY))
    for gateway in GATEWAYS:
        place = {"latitude": gateway.latitude, "longitude": gateway.longitude}
        parts.append(_table("gateways", key=gateway.id, name=gateway.name, place=gateway.place, **place))
        parts.append(_table("modules", key=gateway.module, name=f"LTE {gateway.name}", gateway=gateway.id))
        group, lot = gateway.meters[0].group, gateway.meters[0].lot
        parts.append(_table("groups", name=group, parent=INDUSTRY))
        parts.append(_table("lots", key=lot, name=f"Lote {lot}", reading_day=int(lot)))
        for meter in gateway.meters:
            customer, point = f"UC-{meter.serial}", f"PM-{meter.serial}"
            place = {"latitude": meter.latitude, "longitude": meter.longitude}
            parts.append(_table("customers", key=customer, name=meter.customer, group=f"{INDUSTRY} / {group}", lot=lot))
            parts.append(
                _table("points", key=point, name="Cabine primária", customer=customer, address=meter.address, **place)
            )
            parts.append(
                _table("meters", key=meter.id, serial=meter.serial, model="abnt-sim", gateway=gateway.id, point=point,
                       module=gateway.module, since=since)
            )  # fmt: skip
    return "\n".join(parts)


def _table(kind: str, **values: str | float | datetime) -> str:
    """One ``[[kind]]`` entry of TOML; strings of JSON are strings of TOML."""
    lines = [f"[[{kind}]]"]
    for name, value in values.items():
        text = value.isoformat() if isinstance(value, datetime) else json.dumps(value, ensure_ascii=False)
        lines.append(f"{name} = {text}")
    return "\n".join(lines) + "\n"
