"""A configuration changed through the pages, and demand resets: who may, what is asked first, what is said after."""

import re

import pytest

from tests.central.web.conftest import HTML, Client, csrf, log_in
from tests.central.web.seed import APPLIED, CONFIG, CONFIG_HASH, OPERATOR

GATEWAY = "/gateways/gw-mooca"
TEXT = CONFIG.replace("GATEWAY", "gw-mooca")
CHANGED = TEXT.replace("900", "300")


def form(client: Client, text: str, **more: str) -> dict[str, str]:
    return {"_csrf": csrf(client), "toml": text.replace("\n", "\r\n"), "base": CONFIG_HASH, **more}


def text_of(page: str) -> str:
    """What stands in the editor."""
    found = re.search(r"<textarea[^>]*>\n(.*?)</textarea>", page, re.DOTALL)
    assert found
    return found[1].replace("&#34;", '"')


def listed(client: Client) -> list[dict[str, str]]:
    answer = client.get("/api/v1/commands?gateway=gw-mooca&limit=100").json()["items"]
    return [one for one in answer if one["kind"] == "apply_config"]


def test_editor_holds_what_is_in_force_secrets_masked(client: Client) -> None:
    assert f'href="{GATEWAY}/config"' in client.get(GATEWAY, headers=HTML).text
    page = client.get(f"{GATEWAY}/config", headers=HTML).text
    assert text_of(page) == TEXT
    assert f'name="base" value="{CONFIG_HASH}"' in page
    assert "leave them, and the gateway keeps the secret it has" in page


def test_difference_is_shown_before_anything_is_sent(client: Client) -> None:
    before = len(listed(client))
    page = client.post(f"{GATEWAY}/config/check", data=form(client, CHANGED)).text
    assert '<div class="minus"><span class="sign">−</span><span>profile = 900</span>' in page
    assert '<div class="plus"><span class="sign">+</span><span>profile = 300</span>' in page
    assert text_of(page) == CHANGED
    assert len(listed(client)) == before
    again = client.post(f"{GATEWAY}/config", data=form(client, CHANGED, back="1")).text
    assert text_of(again) == CHANGED
    assert len(listed(client)) == before


@pytest.mark.parametrize(
    ("text", "base", "words"),
    [
        (TEXT, CONFIG_HASH, "This is what is in force already."),
        (TEXT + "[[broken", CONFIG_HASH, "this is not TOML"),
        (CHANGED, "0000000000000000", "Another configuration has come into force since you began"),
        (CHANGED + "#" * 200_000, CONFIG_HASH, "longer than 200000 characters"),
    ],
)
def test_not_worth_sending(client: Client, text: str, base: str, words: str) -> None:
    before = len(listed(client))
    for path in ("/config/check", "/config"):
        answer = client.post(GATEWAY + path, data=form(client, text, base=base))
        assert answer.status_code == 422
        assert words in answer.text
        assert f'name="base" value="{CONFIG_HASH}"' in answer.text  # the next try starts from what is in force now
    assert len(listed(client)) == before


def test_applied_once_and_followed(client: Client) -> None:
    page = client.post(f"{GATEWAY}/config/check", data=form(client, CHANGED)).text
    command = re.findall(r'name="command" value="([0-9a-f]{24})"', page)[0]
    for _ in range(2):
        answer = client.post(
            f"{GATEWAY}/config", data=form(client, CHANGED, command=command), headers=HTML, follow_redirects=False
        )
        assert (answer.status_code, answer.headers["location"]) == (303, f"{GATEWAY}/config/{command}")
    assert [one["id"] for one in listed(client)].count(command) == 1
    followed = client.get(f"{GATEWAY}/config/{command}", headers=HTML).text
    assert "Waiting for the gateway" in followed
    assert 'hx-trigger="every 2s"' in followed
    assert "Correct it" not in followed
    again = client.get(f"{GATEWAY}/config?again={command}", headers=HTML).text
    assert text_of(again) == CHANGED  # as the gateway writes its lines, not as browsers do


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("done", ["In force", "the broker was reached with it"]),
        ("invalid", ["Refused", "2 problems", "schedule.profle", "line 9", "did you mean &#39;profile&#39;?",
                     "profle = 900", "has to be of type str, is int", "Correct it"]),
        ("rolled_back", ["Rolled back", "The previous configuration is back in force.",
                         "The broker was not reached within 20 s: [Errno 111] Connection refused", "Correct it"]),
        ("not_permitted", ["Refused", "This gateway does not allow it. permissions.apply_config is off"]),
    ],
)  # fmt: skip
def test_what_became_of_it(client: Client, code: str, words: list[str]) -> None:
    page = " ".join(client.get(f"{GATEWAY}/config/conf-{code}", headers=HTML).text.split())
    for each in words:
        assert each in page
    assert "hx-trigger" not in page.split('id="config-state"')[1]
    assert ("Correct it" in page) == (code != "done")


def test_refused_text_can_be_corrected(client: Client) -> None:
    page = client.get(f"{GATEWAY}/config?again=conf-invalid", headers=HTML).text
    assert text_of(page) == TEXT.replace("profile", "profle")
    assert "2 problems" in page
    assert client.get(f"{GATEWAY}/config?again=done-1", headers=HTML).status_code == 404
    assert client.get("/gateways/gw-lapa/config?again=conf-invalid", headers=HTML).status_code == 404


def test_operators_read_and_do_not_change(stranger: Client) -> None:
    log_in(stranger, OPERATOR)
    page = stranger.get(GATEWAY, headers=HTML).text
    assert "profile = 900" in page
    assert f'{GATEWAY}/config"' not in page
    assert stranger.get(f"{GATEWAY}/config", headers=HTML).status_code == 403
    sent = form(stranger, CHANGED)
    assert stranger.post(f"{GATEWAY}/config/check", data=sent, headers=HTML).status_code == 403
    assert stranger.post(f"{GATEWAY}/config", data=sent, headers=HTML).status_code == 403
    followed = stranger.get(f"{GATEWAY}/config/conf-{APPLIED[1][0]}", headers=HTML)
    assert "2 problems" in followed.text
    assert "Correct it" not in followed.text
    assert "close-bill" not in stranger.get("/meters/m-0001/readings", headers=HTML).text
    refused = stranger.post("/meters/m-0001/close-bill", data={"_csrf": sent["_csrf"], "serial": "06647671"})
    assert refused.status_code == 403


def test_others_have_no_configuration_here(stranger: Client) -> None:
    log_in(stranger, "bob")
    for path in (f"{GATEWAY}/config", f"{GATEWAY}/config/conf-done"):
        assert stranger.get(path, headers=HTML).status_code == 404


def test_demand_reset_asks_for_the_serial(client: Client) -> None:
    page = client.get("/meters/m-0004/readings", headers=HTML).text
    assert "This closes the billing period in the meter and cannot be undone." in page
    assert 'pattern="07408071"' in page
    token = {"x-csrf-token": csrf(client)}
    for typed in ("", "07408072"):
        answer = client.post("/meters/m-0004/close-bill", headers=token, data={"serial": typed})
        assert answer.status_code == 422
        assert "not the meter&#39;s serial. Nothing was sent." in answer.text
        assert "Queued" not in answer.text
    answer = client.post("/meters/m-0004/close-bill", headers=token, data={"serial": "07408071"})
    assert answer.status_code == 200
    assert "Demand reset" in answer.text
    assert 'id="command-problem" hx-swap-oob="innerHTML"></div>' in answer.text
    assert "command-problem" not in client.get("/meters/m-0004/commands").text
