"""Profiles, registers, instantaneous values, events and figures of one meter, read with other people's readers."""

import csv
import io
import time
from fractions import Fraction
from typing import Any

import msgspec
import pyarrow as pa  # type: ignore[import-untyped]
import pytest
from litestar.testing import AsyncTestClient

from tests.central.world import COUNTS, DEN, ESTIMATED_AT, MISSING_AT, NUM, RATIO, START, Side, bearer

Client = AsyncTestClient[Any]
SCALE = Fraction(NUM * RATIO, DEN)
PROFILE = "/api/v1/meters/meter-1/profile"
DAY = {"from": str(START), "to": str(START + 86400)}


async def test_profile_as_json(client: Client, ours: Side) -> None:
    answer = await client.get(PROFILE, params=DAY, headers=bearer(ours.read_key))
    body = answer.json()
    assert answer.status_code == 200
    assert answer.headers["vary"].lower().startswith("accept")
    assert (body["step"], body["stamp"], body["unit"], body["channel"]) == (900, "interval_start", "kWh", "1.29.0")
    assert (body["from"], body["to"]) == ("2026-03-10T03:00:00Z", "2026-03-11T03:00:00Z")
    assert Fraction(body["scale"]["num"], body["scale"]["den"]) == SCALE
    assert body["raw"] == [None if i == MISSING_AT else n for i, n in enumerate(COUNTS)]
    assert body["values"][MISSING_AT] is None
    assert body["values"][95] == pytest.approx(float(COUNTS[95] * SCALE))
    assert body["flags"][MISSING_AT] == body["quality"]["missing"]
    assert body["flags"][ESTIMATED_AT] == body["quality"]["estimated"]


async def test_profile_as_arrow(client: Client, ours: Side) -> None:
    kind = "application/vnd.apache.arrow.stream"
    answer = await client.get(PROFILE, params=DAY, headers=bearer(ours.read_key) | {"Accept": kind})
    assert answer.headers["content-type"] == kind
    table = pa.ipc.open_stream(answer.content).read_all()
    assert table.schema.field("start").type == pa.timestamp("s", "UTC")
    assert table["raw"].to_pylist() == [None if i == MISSING_AT else n for i, n in enumerate(COUNTS)]
    assert table["value"].null_count == 1
    assert table["flags"].to_pylist()[MISSING_AT] == 1
    meta = {k.decode(): v.decode() for k, v in table.schema.metadata.items()}
    assert Fraction(int(meta["scale_num"]), int(meta["scale_den"])) == SCALE
    assert (meta["unit"], meta["stamp"]) == ("kWh", "interval_start")


async def test_profile_as_csv(client: Client, ours: Side) -> None:
    answer = await client.get(PROFILE, params=DAY, headers=bearer(ours.read_key) | {"Accept": "text/csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    assert "attachment" in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == 96
    assert rows[0]["start"] == "2026-03-10T03:00:00Z"
    assert (rows[MISSING_AT]["value"], rows[MISSING_AT]["raw"], rows[MISSING_AT]["quality"]) == ("", "", "missing")
    assert rows[ESTIMATED_AT]["quality"] == "estimated"
    for i, row in enumerate(rows):
        if i != MISSING_AT:
            assert Fraction(row["value"]) == COUNTS[i] * SCALE
            assert int(row["raw"]) * Fraction(int(row["scale_num"]), int(row["scale_den"])) == COUNTS[i] * SCALE


async def test_long_csv_is_whole(client: Client, ours: Side) -> None:
    """Chunks neither repeat nor lose an interval, also when the range begins within one."""
    span = {"from": str(START - 400 * 86400 + 100), "to": str(START + 200 * 86400 - 700)}
    answer = await client.get(PROFILE, params=span, headers=bearer(ours.read_key) | {"Accept": "text/csv"})
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == 600 * 96
    assert len({row["start"] for row in rows}) == len(rows)
    held = [int(row["raw"]) for row in rows if row["raw"]]
    assert held == [n for i, n in enumerate(COUNTS) if i != MISSING_AT]


async def test_profile_as_msgpack(client: Client, ours: Side) -> None:
    for kind in ("application/vnd.msgpack", "application/msgpack"):
        answer = await client.get(PROFILE, params=DAY, headers=bearer(ours.read_key) | {"Accept": kind})
        assert answer.headers["content-type"] == kind
        body = msgspec.msgpack.decode(answer.content)
        assert body["raw"] == [None if i == MISSING_AT else n for i, n in enumerate(COUNTS)]


async def test_instants(client: Client, ours: Side) -> None:
    for text in (
        "2026-03-10T00:00:00-03:00",
        "2026-03-10T03:00:00Z",
        "2026-03-10T05:07:00 02:00",  # a '+' that became a blank on its way
        "2026-03-10t03:00:00.999z",
        str(START),
    ):
        answer = await client.get(PROFILE, params={**DAY, "from": text}, headers=bearer(ours.read_key))
        assert answer.json()["from"] == "2026-03-10T03:00:00Z", text


async def test_bad_values_name_their_parameter(client: Client, ours: Side) -> None:
    for query, path in (
        ({"from": "yesterday"}, "from"),
        ({"from": "2026-03-10"}, "from"),
        ({"from": "2026-03-10T00:00:00"}, "from"),
        ({"to": "1e9"}, "to"),
        ({"to": "99999999999999"}, "to"),
        ({"from": str(START), "to": str(START)}, "from"),
        ({"from": "0", "to": str(START)}, "from"),
        ({"channel": "1.8.0"}, "channel"),
        ({"channel": "one"}, "channel"),
        ({"channel": "3.29.0"}, "channel"),
    ):
        answer = await client.get(PROFILE, params=query, headers=bearer(ours.read_key))
        assert answer.status_code == 422, query
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["errors"][0]["path"] == path


async def test_registers(client: Client, ours: Side) -> None:
    url = "/api/v1/meters/meter-1/registers"
    body = (await client.get(url, headers=bearer(ours.read_key))).json()
    assert [item["at"] for item in body["items"]] == sorted((item["at"] for item in body["items"]), reverse=True)
    assert len(body["items"]) == 3
    energy, demand = body["items"][0]["registers"]
    assert (energy["quantity"], energy["raw"], energy["unit"]) == ("1.8.0", 123456, "kWh")
    assert energy["raw"] * Fraction(energy["scale"]["num"], energy["scale"]["den"]) == Fraction(123456 * RATIO, 1000)
    assert energy["value"] == pytest.approx(123456 * RATIO / 1000)
    assert demand["at"] == "2026-03-10T03:15:00Z"
    closed = (await client.get(url, params={"period": "1"}, headers=bearer(ours.read_key))).json()
    assert [item["period"] for item in closed["items"]] == [1]


async def test_instantaneous(client: Client, ours: Side) -> None:
    url = "/api/v1/meters/meter-1/instantaneous"
    last = (await client.get(url, headers=bearer(ours.read_key))).json()
    assert last["items"][0]["values"] == {"32.7.0": 127.5, "52.7.0": None}
    assert last["quantities"]["32.7.0"] == {"label": "Voltage phase A", "unit": "V"}
    recent = (await client.get(url, params={"from": str(int(time.time()) - 600)}, headers=bearer(ours.read_key))).json()
    assert len(recent["items"]) == 3
    future = (await client.get(url, params={"to": "4000000000"}, headers=bearer(ours.read_key))).json()
    assert future["items"] == []
    assert (await client.get(url, params={"from": "0"}, headers=bearer(ours.read_key))).status_code == 422


async def test_events(client: Client, ours: Side) -> None:
    url = "/api/v1/meters/meter-1/events"
    body = (await client.get(url, params={"kind": "outage"}, headers=bearer(ours.read_key))).json()
    assert len(body["items"]) == 3
    assert body["items"][0] | {"id": 0, "received_at": ""} == {
        "id": 0, "meter": "meter-1", "gateway": None, "kind": "outage", "at": "2026-03-10T03:00:02Z",
        "until": "2026-03-10T03:01:02Z", "detail": {"phase": "A"}, "received_at": "",
    }  # fmt: skip
    wrong = await client.get(url, params={"kind": "outrage"}, headers=bearer(ours.read_key))
    assert wrong.json()["errors"][0]["nearest"] == "outage"


async def test_availability(client: Client, ours: Side) -> None:
    url = "/api/v1/meters/meter-1/availability"
    body = (await client.get(url, params={"month": "2026-03"}, headers=bearer(ours.read_key))).json()
    assert len(body["days"]) == 31
    day = body["days"][9]
    assert (day["day"], day["held"], day["expected"], day["missing"]) == ("2026-03-10", 95, 96, 1)
    assert day["quality"] == ["missing", "estimated"]
    assert body["days"][10]["held"] == 0
    for month in ("2026-13", "2026-3", "March", "0000-01"):
        assert (await client.get(url, params={"month": month}, headers=bearer(ours.read_key))).status_code == 422


async def test_consumption_and_demand(client: Client, ours: Side) -> None:
    query = {"months": "36"}
    consumption = (
        await client.get("/api/v1/meters/meter-1/consumption", params=query, headers=bearer(ours.read_key))
    ).json()
    march = next(month for month in consumption["months"] if month["month"] == "2026-03")
    total = next(post for post in march["posts"] if post["post"] == 0)
    assert Fraction(total["exact"]) == (sum(COUNTS) - COUNTS[MISSING_AT]) * SCALE
    assert total["energy"] == pytest.approx(float(Fraction(total["exact"])))
    assert sum(Fraction(post["exact"]) for post in march["posts"] if post["post"]) == Fraction(total["exact"])
    assert not march["complete"]
    mean = (sum(COUNTS) - COUNTS[MISSING_AT]) / total["intervals"]
    assert total["load_factor"] == pytest.approx(mean / COUNTS[95])
    assert (
        next(month for month in consumption["months"] if month["month"] == "2026-02")["posts"][0]["load_factor"] is None
    )
    demand = (await client.get("/api/v1/meters/meter-1/demand", params=query, headers=bearer(ours.read_key))).json()
    maximum = next(m for m in demand["months"] if m["month"] == "2026-03")["posts"][0]["maximum"]
    assert Fraction(maximum["exact"]) == COUNTS[95] * SCALE * 4
    assert maximum["at"] == "2026-03-11T02:45:00Z"
    assert (await client.get("/api/v1/meters/meter-1/demand", params={"months": "0"},
                             headers=bearer(ours.read_key))).status_code == 422  # fmt: skip


async def test_channels(client: Client, ours: Side) -> None:
    body = (await client.get("/api/v1/meters/meter-1/channels", headers=bearer(ours.read_key))).json()
    assert body["items"] == [
        {"channel": "1.29.0", "label": "Active energy delivered", "unit": "kWh", "first": "2026-03-10",
         "last": "2026-03-10", "step": 900}
    ]  # fmt: skip
