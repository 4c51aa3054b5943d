"""Bills and the calendar of a month, as programs get them."""

from typing import Any

import pytest
from litestar.testing import AsyncTestClient

from tests.central.world import DAY, Side, bearer

Client = AsyncTestClient[Any]


async def test_billing(client: Client, ours: Side) -> None:
    answer = await client.get("/api/v1/meters/meter-1/billing?periods=12", headers=bearer(ours.read_key))
    assert answer.status_code == 200
    body = answer.json()
    assert (body["quantity"], body["unit"], body["demand_unit"], body["lot"]) == ("1.8.0", "kWh", "kW", "lot-1")
    assert len(body["periods"]) == 12
    assert [period["open"] for period in body["periods"]] == [False] * 11 + [True]
    assert all(period["first_day"].endswith("-05") and period["last_day"].endswith("-04") for period in body["periods"])
    assert body["bill_date"].startswith(body["periods"][-1]["month"])
    for before, after in zip(body["periods"], body["periods"][1:], strict=False):
        assert before["last_day"] < after["first_day"]
    (told,) = [period for period in body["periods"] if period["source"]]
    assert told["first_day"] <= f"{DAY}" <= told["last_day"]
    assert (told["source"], told["demand_source"], told["gaps"] > 0) == ("profile", "profile", True)
    total, *posts = told["posts"]
    assert total["label"] == "Total"
    assert sum(float(post["energy"]["exact"]) for post in posts) == pytest.approx(float(total["energy"]["exact"]))
    assert total["projected"] is None


@pytest.mark.parametrize(
    ("query", "words"),
    [("quantity=1.29.0", "is no energy"), ("quantity=1.8.1", "is no energy"), ("quantity=x", "OBIS"),
     ("periods=0", ""), ("periods=25", "")],
)  # fmt: skip
async def test_bad_questions(client: Client, ours: Side, query: str, words: str) -> None:
    answer = await client.get(f"/api/v1/meters/meter-1/billing?{query}", headers=bearer(ours.read_key))
    assert answer.status_code in (400, 422)
    assert words in answer.text


async def test_calendar(client: Client, ours: Side) -> None:
    answer = await client.get(f"/api/v1/meters/meter-1/calendar?month={DAY:%Y-%m}", headers=bearer(ours.read_key))
    assert answer.status_code == 200
    body = answer.json()
    assert len(body["days"]) == 31
    day = body["days"][DAY.day - 1]
    assert day == {
        "day": DAY.isoformat(), "registers": True, "missed": False, "profile": pytest.approx(95 / 96),
        "billing_date": False,
    }  # fmt: skip
    assert [each["day"] for each in body["days"] if each["billing_date"]] == [f"{DAY:%Y-%m}-05"]
    assert body["read"] == 1
    assert body["expected"] == 31 - DAY.day + 1  # nothing is expected before its first day held
    assert (await client.get("/api/v1/meters/meter-1/calendar", headers=bearer(ours.read_key))).status_code == 200
    for month in ("2026-13", "0001-01", "x"):
        answer = await client.get(f"/api/v1/meters/meter-1/calendar?month={month}", headers=bearer(ours.read_key))
        assert answer.status_code == 422
