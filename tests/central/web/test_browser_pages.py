"""Every page there is, in a real browser: whole, in the reader's words, at a desk and on a phone, nothing foreign.

The pages come from the list of routes: a new one is looked at by itself. Its path may need a line in ``FILLED``.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from central.reports.catalogue import REPORTS
from central.settings import Settings
from central.web import catalogues
from tests.central.application import application
from tests.central.handlers import Case, cases
from tests.central.web.browser import DESKTOP, PHONE, TOO_WIDE, Watched, visit
from tests.central.web.seed import LOGIN, PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

#: Parameters of paths -> what stands there, by the names of :class:`tests.central.handlers.Case`. Kinds of the registry
#: share their templates: one of each sort of form.
FILLED: Final[dict[str, tuple[str, ...]]] = {
    "meters.key": ("m-0002", "m-0007"), "gateways.key": ("gw-mooca", "gw-lapa"), "command_id": ("conf-invalid",),
    "connection_id": ("1",), "customers.key": ("UC400047673",), "forwards.key": ("m-0001",), "number": ("1",),
    "kind": ("customer", "meter", "tariff", "daylight_saving"), "registry.key": ("UC400047673",), "user_id": ("1",),
    "reports.key": tuple(REPORTS),
}  # fmt: skip
#: What a page is asked beside its path, and further views of it.
ASKED: Final[dict[str, tuple[str, ...]]] = {
    "/groups/{number}": ("", "?tab=registration", "?tab=reports"),
    "/registry/{kind}/{key}": ("", "?tab=relations", "?tab=history"),
    "/meters/{key}/registration": ("?part=customer", "?part=meter"),
    "/ccee": ("", "?show=failed"),
    "/alarms": ("", "?state=closed"),
}
#: Routes that show no page to who is logged in, in a utility that is set up.
ELSEWHERE: Final = {"/login", "/setup", "/login/provider", "/login/provider/back"}
#: Pieces of pages, data and files: nothing to look at as such.
PIECES: Final = re.compile(
    r"/(data|dashboard|tree|registry/(pick|export)|reports/jobs)/.*|.*[./](csv|pcapng|state|form|totals|export)"
)
#: How a page begins.
PAGE: Final = "<!doctype html>"
#: What only a mistake brings onto a page.
RAW: Final = re.compile(r"%\(\w+\)|\{\{|\bundefined\b|\bNaN\b|\[object |^None$|\bUndefined\b")
#: All that a reader is told: text on screen, and what is said of images, buttons and fields.
TOLD: Final = """() => {
  const told = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const parent = walker.currentNode.parentElement;
    if (parent.closest("script, style, code, pre, textarea, .font-monospace")) continue;
    told.add(walker.currentNode.data.trim());
  }
  for (const part of document.querySelectorAll("[aria-label], [title], [placeholder]"))
    for (const name of ["aria-label", "title", "placeholder"]) told.add((part.getAttribute(name) ?? "").trim());
  return [...told].filter(Boolean);
}"""
#: What axe-core finds, and where first.
AXE: Final = "axe.run().then((r) => r.violations.map((v) => `${v.id}: ${v.nodes[0].html.slice(0, 200)}`))"
#: Charts and grids have taken the new width.
SETTLED: Final = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


@dataclass(frozen=True)
class World:
    """What stands in the paths: the seeded objects, and what the tests brought."""

    filled: Mapping[str, Sequence[str]]

    def paths(self, case: Case) -> Iterator[str]:
        """The addresses of a route."""
        names = case.parameters
        unknown = [name for name in names if name not in self.filled]
        assert not unknown, f"say in FILLED how {case.path} is filled: {unknown}"
        for values in product(*(self.filled[name] for name in names)):
            if case.path.startswith("/registry/import/") and values[0] != FILLED["kind"][0]:
                continue  # the sheet that was brought is one of customers
            path = case.url(dict(zip(names, values, strict=True)))
            for query in ASKED.get(case.path, ("",)):
                alone = case.path == "/reports/{key}" and REPORTS[values[0]].one
                yield f"{path}{query}{'?meter=m-0002' if alone else ''}"


@pytest.fixture(scope="module")
def pages(address: str, settings: Settings) -> Iterator[list[str]]:
    """Addresses of all pages: whatever answers with a whole document."""
    found: list[str] = []
    missed: list[str] = []
    with httpx.Client(base_url=address, headers={"accept": "text/html"}) as client:
        world = World({**FILLED, "token": (_brought(client),)})
        for case in cases(application(settings)):
            if case.method != "GET" or case.api or case.path in ELSEWHERE or PIECES.fullmatch(case.path):
                continue
            answers = {path: client.get(path) for path in world.paths(case)}
            documents = {path: answer.status_code for path, answer in answers.items() if _is_document(answer)}
            shown = [path for path, status in documents.items() if status == 200]
            found += shown
            missed += [case.path] if documents and not shown else []
    assert not missed, f"no page is found there: mend FILLED for {missed}"
    yield found
    with httpx.Client(base_url=address, headers={"accept": "text/html"}) as client:  # the world is others' as well
        assert client.post("/webhooks/1/remove", data=_log_in(client)).status_code == 303


def _brought(client: httpx.Client) -> str:
    """Log in, enter a program that is told, and bring a sheet of customers; returns the sheet's token."""
    token = _log_in(client)
    hook = client.post("/webhooks", data={**token, "url": "https://example.org/hook", "kind-alarm.opened": "1"})
    sheet = {"file": ("new.csv", "key;name\nUC1;Um\n;Dois\n", "text/csv")}
    answer = client.post("/registry/import/customer", data=token, files=sheet)
    assert (hook.status_code // 100, answer.status_code) == (2, 303), (hook.text, answer.text)
    return answer.headers["location"].rpartition("/")[2]


def _log_in(client: httpx.Client) -> dict[str, str]:
    """Log in; returns what each form carries."""
    assert client.post("/login", data={"login": LOGIN, "password": PASSWORD}).status_code == 303
    return {"_csrf": client.get("/profile").text.split('name="_csrf" value="')[1].split('"')[0]}


def _is_document(answer: httpx.Response) -> bool:
    return answer.headers.get("content-type", "").startswith("text/html") and answer.text[:15].lower() == PAGE


def test_the_pages_are_found(pages: list[str]) -> None:
    """The list is not empty by mistake: a page of each part is in it."""
    assert {"/", "/meters/m-0002/billing", "/groups/1?tab=reports", "/registry/tariff/new", "/reports/consumption",
            "/reports/profile?meter=m-0002", "/webhooks/1", "/profile/second-factor", "/ccee/connections/1",
            "/gateways/gw-mooca/config/conf-invalid", "/users/1", "/audit"} <= set(pages)  # fmt: skip


@pytest.mark.parametrize(("code", "locale", "sizes"), [
    ("pt_BR", "pt-BR", (DESKTOP, PHONE)), ("ru", "ru", (PHONE, DESKTOP)),
])  # fmt: skip
def test_every_page(browser: Any, address: str, pages: list[str], code: str, locale: str, sizes: Any) -> None:
    foreign = _untranslated(code)
    wrong: list[tuple[str, Any]] = []
    scheme = "light" if code == "ru" else "dark"
    with visit(browser, address, sizes[0], locale, color_scheme=scheme, reduced_motion="reduce") as watched:
        for path in pages:
            watched.page.set_viewport_size(sizes[0])
            watched.faults.clear()
            status = watched.open(path).status
            wrong += [(path, fault) for fault in (status, *watched.faults) if fault != 200]
            wrong += [(path, each) for each in _seen(watched, sizes, foreign)]
    assert not wrong, "\n".join(f"{path}: {each}" for path, each in wrong)


def _seen(watched: Watched, sizes: Sequence[dict[str, int]], foreign: set[str]) -> Iterator[Any]:
    """What is wrong with the page that is open."""
    page = watched.page
    if (heads := page.locator("h1").count()) != 1:
        yield f"{heads} h1"
    told = set(page.evaluate(TOLD))
    yield from sorted(told & foreign)
    yield from (text for text in told if RAW.search(text))
    for size in sizes:
        page.set_viewport_size(size)
        page.evaluate(SETTLED)
        if page.evaluate(TOO_WIDE) > 0:
            page.wait_for_timeout(500)  # a chart may take the new width later
        if (over := page.evaluate(TOO_WIDE)) > 0:
            yield f"{over} px too wide at {size['width']}"


def _untranslated(code: str) -> set[str]:
    """English words that are others in a language."""
    return {
        message.id for message in catalogues.read(code)
        if isinstance(message.id, str) and message.id and message.string != message.id
    }  # fmt: skip


def test_accessible(browser: Any, address: str, pages: list[str]) -> None:
    """No finding of axe-core, which is no part of the project: ``npm install axe-core``, AXE_CORE=.../axe.min.js."""
    source = Path(os.environ.get("AXE_CORE", "axe.min.js"))
    if not source.is_file():
        pytest.skip("axe-core is not there: AXE_CORE does not name its axe.min.js")
    found = []
    with visit(browser, address, DESKTOP, "pt-BR", bypass_csp=True) as watched:
        for path in pages:
            watched.open(path)
            watched.page.evaluate(source.read_text())
            found += [f"{path}: {each}" for each in watched.page.evaluate(AXE)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(("path", "status", "size"), [("/login", 200, PHONE), ("/nothing", 404, DESKTOP)])
def test_pages_of_strangers(browser: Any, address: str, path: str, status: int, size: dict[str, int]) -> None:
    context = browser.new_context(viewport=size, locale="ru")
    watched = Watched(context.new_page(), address)
    if path != "/login":
        watched.log_in()
        watched.faults.clear()
    assert watched.open(path).status == status
    assert list(_seen(watched, (size,), _untranslated("ru"))) == []
    assert [fault for fault in watched.faults if "404" not in fault] == []
    context.close()
