"""Entity tags and preconditions: nothing is changed that its maker has not seen."""

import asyncio
from typing import Any

import pytest
from httpx import AsyncClient
from litestar.testing import AsyncTestClient

from central.api.routes import api_router
from tests.central.world import Side, bearer

Client = AsyncTestClient[Any]
URL = "/api/v1/customers/c-1"


async def test_the_same_answer_has_the_same_tag_and_is_not_sent_twice(program: AsyncClient) -> None:
    first = await program.get(URL)
    tag = first.headers["etag"]
    assert tag.startswith('"')
    for known in (tag, f'"other", W/{tag}', "*"):
        again = await program.get(URL, headers={"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
    assert (await program.get(URL, headers={"If-None-Match": '"other"'})).json() == first.json()
    assert (await program.put(URL, json={"name": "changed"})).status_code == 200
    assert (await program.get(URL, headers={"If-None-Match": tag})).status_code == 200


async def test_a_compressed_answer_has_another_tag_that_names_the_same(program: AsyncClient) -> None:
    url = "/api/v1/meters/meter-1"
    plain = await program.get(url, headers={"Accept-Encoding": "identity"})
    packed = await program.get(url, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["etag"] == plain.headers["etag"][:-1] + '-gzip"'
    again = await program.get(url, headers={"If-None-Match": packed.headers["etag"]})
    assert (again.status_code, again.headers["etag"]) == (304, packed.headers["etag"])
    done = await program.patch(url, json={"name": "x"}, headers={"If-Match": packed.headers["etag"]})
    assert done.status_code == 200


async def test_a_change_is_made_to_what_was_seen_only(program: AsyncClient) -> None:
    tag = (await program.get(URL)).headers["etag"]
    assert (await program.put(URL, json={"name": "one"}, headers={"If-Match": tag})).status_code == 200
    late = await program.put(URL, json={"name": "two"}, headers={"If-Match": tag})
    assert late.status_code == 412
    assert late.headers["content-type"] == "application/problem+json"
    assert "Read it again" in late.json()["detail"]
    now = await program.get(URL)
    assert late.headers["etag"] == now.headers["etag"]
    assert now.json()["name"] == "one"


@pytest.mark.parametrize("url", [URL, "/api/v1/gateways/gw-1", "/api/v1/meters/meter-1"])
async def test_a_change_answers_the_tag_of_what_is_there_now(program: AsyncClient, url: str) -> None:
    tag = (await program.get(url)).headers["etag"]
    for name in ("one", "two"):
        done = await program.put(url, json={"name": name}, headers={"If-Match": tag})
        assert done.status_code == 200, done.text
        tag = done.headers["etag"]
    assert (await program.get(url)).headers["etag"] == tag


async def test_weak_and_foreign_tags_name_nothing_and_what_is_no_tag_is_refused(program: AsyncClient) -> None:
    tag = (await program.get(URL)).headers["etag"]
    for status, header in (
        (412, f"W/{tag}"), (412, '""'), (412, '"a", "b"'),
        (422, tag.strip('"')), (422, "nonsense"), (422, '"a" "b"'), (422, ""), (422, '"' + "x" * 1000 + '"'),
    ):  # fmt: skip
        answer = await program.put(URL, json={"name": "x"}, headers={"If-Match": header})
        assert answer.status_code == status, (header, answer.text)
    assert (await program.put(URL, json={"name": "x"}, headers={"If-Match": f'"a", {tag}'})).status_code == 200


async def test_if_match_any_wants_something_there(program: AsyncClient) -> None:
    url = "/api/v1/customers/new"
    refused = await program.put(url, json={"name": "x"}, headers={"If-Match": "*"})
    assert refused.status_code == 412
    assert (await program.get(url)).status_code == 404
    assert (await program.put(URL, json={"name": "x"}, headers={"If-Match": "*"})).status_code == 200


async def test_if_none_match_any_makes_and_never_replaces(program: AsyncClient) -> None:
    url, only_new = "/api/v1/customers/new", {"If-None-Match": "*"}
    made = await program.put(url, json={"name": "first"}, headers=only_new)
    assert made.status_code == 201
    assert made.headers["etag"] == (await program.get(url)).headers["etag"]
    assert (await program.put(url, json={"name": "second"}, headers=only_new)).status_code == 412
    assert (await program.get(url)).json()["name"] == "first"


async def test_of_two_who_saw_the_same_one_wins(program: AsyncClient) -> None:
    """Both writers come at once with the tag of the same state, again and again."""
    for turn in range(8):
        seen = {"If-Match": (await program.get(URL)).headers["etag"]}
        names = [f"{turn}-{writer}" for writer in range(3)]
        answers = await asyncio.gather(*(program.put(URL, json={"name": name}, headers=seen) for name in names))
        assert sorted(each.status_code for each in answers) == [200, 412, 412], [each.text for each in answers]
        won = next(name for name, each in zip(names, answers, strict=True) if each.status_code == 200)
        assert (await program.get(URL)).json()["name"] == won


async def test_a_blind_change_between_makes_the_careful_one_fail_or_come_first(program: AsyncClient) -> None:
    for turn in range(8):
        tag = (await program.get(URL)).headers["etag"]
        blind, careful = await asyncio.gather(
            program.put(URL, json={"name": f"{turn}-blind"}),
            program.put(URL, json={"name": f"{turn}-careful"}, headers={"If-Match": tag}),
        )
        name = (await program.get(URL)).json()["name"]
        assert blind.status_code == 200
        assert (careful.status_code, name) in ((412, f"{turn}-blind"), (200, f"{turn}-blind"))


async def test_of_two_who_make_the_same_one_does(program: AsyncClient) -> None:
    for turn in range(4):
        url = f"/api/v1/customers/new-{turn}"
        answers = await asyncio.gather(
            *(program.put(url, json={"name": str(n)}, headers={"If-None-Match": "*"}) for n in range(2))
        )
        codes = sorted(each.status_code for each in answers)
        assert codes in ([201, 409], [201, 412]), [each.text for each in answers]


async def test_what_only_others_may_change_stays_hidden(client: Client, ours: Side, theirs: Side) -> None:
    """Preconditions tell nothing of another tenant's objects."""
    for header in ({"If-Match": "*"}, {"If-Match": '"x"'}):
        answer = await client.patch("/api/v1/groups/1", json={"name": "x"}, headers=bearer(theirs.write_key) | header)
        assert answer.status_code == 412
        assert "nothing at this address" in answer.json()["detail"]


async def test_a_list_has_a_tag_too(program: AsyncClient) -> None:
    tag = (await program.get("/api/v1/meters")).headers["etag"]
    assert (await program.get("/api/v1/meters", headers={"If-None-Match": tag})).status_code == 304
    assert (await program.get("/api/v1/meters", headers={"If-Match": '"old"'})).status_code == 412


def test_every_change_goes_through_the_exchange() -> None:
    """Who opens a session of their own escapes preconditions and idempotency keys."""
    for route in api_router().routes:
        for handler in getattr(route, "route_handlers", ()):
            if handler.http_methods & {"PUT", "PATCH", "DELETE", "POST"}:
                assert "db" in handler.parsed_fn_signature.parameters, handler.handler_name
