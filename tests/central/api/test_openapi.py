"""The document describes what is there; whatever is sent, the answer is never a fault of ours."""

import re
from typing import Any
from urllib.parse import quote

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from litestar.testing import AsyncTestClient
from openapi_spec_validator import validate

from tests.central.api.test_access import BODIES, KEYS
from tests.central.world import Side, bearer

Client = AsyncTestClient[Any]


async def test_document_is_valid_to_another_reader(client: Client) -> None:
    """The validator of the OpenAPI community accepts the whole document."""
    validate((await client.get("/api/v1/openapi.json")).json())


async def test_document(client: Client, ours: Side) -> None:
    answer = await client.get("/api/v1/openapi.json")
    document = answer.json()
    assert document["openapi"].startswith("3.1")
    assert "MeterOut" in document["components"]["schemas"]
    text = answer.text
    for reference in set(re.findall(r'"\$ref":"#/components/schemas/([^"]+)"', text)):
        assert reference in document["components"]["schemas"]
    names = [op["operationId"] for item in document["paths"].values() for op in item.values()]
    assert len(set(names)) == len(names)
    for path, item in document["paths"].items():
        assert path.startswith("/api/v1/")
        for operation in item.values():
            assert "application/problem+json" in operation["responses"]["default"]["content"]
            assert operation["description"].replace("`", "").startswith(operation["summary"])
            assert " " in operation["summary"] or operation["operationId"] == "me"
    profile = document["paths"]["/api/v1/meters/{key}/profile"]["get"]["responses"]["200"]["content"]
    assert {"application/json", "text/csv", "application/vnd.apache.arrow.stream"} <= set(profile)
    assert "http" not in "".join(s["url"] for s in document["servers"])


async def test_the_index_leads_everywhere(client: Client, ours: Side) -> None:
    found = (await client.get("/api/v1", headers=bearer(ours.read_key))).json()
    assert found["addresses"]["meters"] == "/api/v1/meters"
    assert found["addresses"]["ccee.weeks.meters"] == "/api/v1/ccee/weeks/meters"
    document = (await client.get(found["openapi"])).json()
    readable = {path for path, item in document["paths"].items() if "get" in item and "{" not in path}
    assert set(found["addresses"].values()) == readable


_TEXT = st.text(max_size=30)
_ODD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), _TEXT,
    st.sampled_from([
        "", "0", "-1", "99999999999999999999", "1.29.0", "2026-03", "2026-03-10T00:00:00Z", "253402300799", "\x00",
        "../..", "%", "' OR 1=1", "9999-12-31T23:59:59-12:00", "1970-01-01T00:00:00+12:00", "NaN", "\ud7ff\U0010ffff",
    ]),
)  # fmt: skip
_JSON = st.recursive(_ODD, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3))


@st.composite
def requests(draw: st.DrawFn, document: dict[str, Any]) -> tuple[str, str, dict[str, str], Any, dict[str, str]]:
    """A request to an operation that exists, right in some places and odd in others."""
    path = draw(st.sampled_from(sorted(document["paths"])))
    method = draw(st.sampled_from(sorted(document["paths"][path])))
    operation = document["paths"][path][method]
    right = KEYS.get(path.split("/")[3], "1")
    filled = re.sub(
        r"\{\w+\}", lambda _: quote(draw(st.sampled_from([right, "1"]) | _TEXT.filter(_addressable)), safe=""), path
    )
    names = [p["name"] for p in operation.get("parameters", ()) if p.get("in") == "query"]
    query = {
        name: str(draw(_ODD)) for name in draw(st.lists(st.sampled_from(names), max_size=3) if names else st.just([]))
    }
    body: Any = BODIES.get(operation["operationId"])
    if body is not None:
        named = st.sampled_from(sorted(body)) if body else _TEXT
        body = draw(st.just(body) | _JSON | st.builds(lambda k, v: {**body, k: v}, named, _JSON))
    headers = draw(
        st.dictionaries(st.sampled_from(["Accept", "Idempotency-Key"]), st.text("azAZ09*/;=, ", max_size=20))
    )
    return method, filled, query, body, headers


def _addressable(text: str) -> bool:
    return bool(text) and "/" not in text and text not in (".", "..")


async def test_no_request_is_a_fault_of_ours(client: Client, ours: Side) -> None:
    document = (await client.get("/api/v1/openapi.json")).json()
    seen = set()

    cases: list[Any] = []

    @settings(max_examples=250, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(requests(document))
    def collect(case: Any) -> None:
        cases.append(case)

    collect()
    for method, path, query, body, headers in cases:
        answer = await client.request(
            method.upper(), path, params=query, json=body, headers=bearer(ours.write_key) | headers
        )
        seen.add(answer.status_code)
        assert answer.status_code < 500, (method, path, query, body, headers)
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == "application/problem+json", (method, path, query, body)
    assert {200, 404, 422} <= seen
