"""Templates to answers: one Jinja environment, what every page may use, and the headers of every page."""

import hashlib
import time
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from litestar import Request
from litestar.response import Response
from litestar.static_files import create_static_files_router
from markupsafe import Markup

from central.accounts.principal import Principal
from central.web import ccee_words, i18n, labels, rights_words
from central.web.told import told

_FOLDER: Final = Path(__file__).parent
_STATIC: Final = _FOLDER / "static"
_HIDDEN: Final = Markup('aria-hidden="true"')
HTML: Final = "text/html; charset=utf-8"

#: Pages load from here and nowhere else. Styles may be inline: chart tooltips and grids set them.
HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@cache
def security_policy(tiles_url: str) -> str:
    """The Content-Security-Policy; ``tiles_url`` is where map tiles come from, if from anywhere."""
    parts = urlsplit(tiles_url.replace("{s}", "*"))
    images = f" {parts.scheme}://{parts.netloc}" if parts.netloc else ""
    return (
        "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
        f"img-src 'self' data:{images}; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )


@cache
def static_path() -> str:
    """URL prefix of the static files; it changes with their content, so that browsers may keep them for ever."""
    digest = hashlib.sha256()
    for path in sorted(_STATIC.rglob("*")):
        if path.is_file() and (path.parent.name != "vendor" or path.name == ".stamp"):
            digest.update(path.relative_to(_STATIC).as_posix().encode() + b"\0" + path.read_bytes())
    return f"/static/{digest.hexdigest()[:12]}"


def static_router() -> Any:
    """Router of the static files, open to everyone."""
    return create_static_files_router(
        path=static_path(),
        directories=[_STATIC],
        name="web-static",
        opt={"public": True, "assets": True},
        after_request=_keep_for_ever,
        include_in_schema=False,
    )


def _keep_for_ever(response: Any) -> Any:
    response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    return response


def icon(name: str, label: str = "") -> Markup:
    """Draw an icon of the sprite; with ``label`` it is read out, else it is decoration."""
    what = Markup('role="img" aria-label="{}"').format(label) if label else _HIDDEN
    drawing = Markup('<svg class="icon" {}><use href="{}/vendor/icons.svg#{}"></use></svg>')
    return drawing.format(what, static_path(), name)


def _when(at: int | None, zone: ZoneInfo) -> str:
    """Distance to now, with the exact local instant in the tooltip."""
    language = i18n.current()
    if at is None:
        return i18n.NOTHING
    exact = language.instant(at, zone, seconds=True)
    words = language.ago(at, int(time.time()))
    return Markup('<time datetime="{}" title="{}">{}</time>').format(_iso(at), exact, words)


def _iso(at: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def _json(value: Any) -> Markup:
    """Data for a script tag of type ``application/json``; nothing in it can end the tag."""
    text = msgspec.json.encode(value).decode()
    return Markup(text.replace("<", "\\u003c").replace("&", "\\u0026").replace("'", "\\u0027"))  # noqa: S704


@cache
def environment() -> Environment:
    env = Environment(
        loader=FileSystemLoader(_FOLDER / "templates"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    env.install_gettext_callables(i18n.gettext, i18n.ngettext, newstyle=True)  # type: ignore[attr-defined]
    env.globals.update(
        icon=icon,
        static=static_path(),
        L=i18n.current,
        languages=i18n.LANGUAGES,
        when=_when,
        label=labels,
        ccee=ccee_words,
        rights=rights_words,
        nothing=i18n.NOTHING,
    )
    env.filters["json"] = _json
    env.filters["told"] = told
    return env


def page(request: Request[Any, Any, Any], template: str, status: int = 200, /, **context: Any) -> Response[str]:
    """Render a page for whoever asks."""
    principal = viewer(request)
    context.setdefault("zone", ZoneInfo(principal.zone if principal else "UTC"))
    context.update(me=principal, path=request.url.path, now=int(time.time()))
    context["units"] = i18n.UNITS.get(i18n.current().code, {})
    web = request.app.state.settings.web
    context["tiles"] = {"url": web.tiles_url, "credit": web.tiles_credit}
    body = environment().get_template(template).render(**context)
    headers = HEADERS | {"Content-Security-Policy": security_policy(web.tiles_url)}
    return Response(body, status_code=status, media_type=HTML, headers=headers)


def viewer(request: Request[Any, Any, Any]) -> Principal | None:
    """Who asks; None before the login."""
    user = request.scope.get("user")
    return user if isinstance(user, Principal) else None
