"""Every word on every page exists in all four languages, and no template has words of its own."""

import re
from pathlib import Path

import pytest

from central.web import catalogues
from central.web.i18n import LANGUAGES

TEMPLATES = Path(catalogues.__file__).parent / "templates"
#: Names and signs that are the same everywhere.
SAME = {"Metergate", "CSV", "CCEE"}
_PLACEHOLDER = re.compile(r"%\(\w+\)[sd]")
_JINJA = re.compile(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", re.DOTALL)
_SPOKEN = re.compile(r'\b(?:aria-label|title|placeholder|alt|data-confirm|hx-confirm)="([^"]*)"')


@pytest.mark.parametrize("code", LANGUAGES)
def test_catalogue_is_complete(code: str) -> None:
    """Run ``python -m central.web.catalogues`` and translate what it lists."""
    template, catalogue = catalogues.extract(), catalogues.read(code)
    wanted = {str(message.id) for message in template if message.id}
    assert {str(message.id) for message in catalogue if message.id} == wanted
    assert catalogues.untranslated(catalogue) == []


@pytest.mark.parametrize("code", LANGUAGES)
def test_placeholders_are_kept(code: str) -> None:
    for message in catalogues.read(code):
        if not message.id:
            continue
        source = message.id[-1] if isinstance(message.id, list | tuple) else message.id
        forms = message.string if isinstance(message.string, list | tuple) else [message.string]
        for form in forms:
            assert sorted(_PLACEHOLDER.findall(str(form))) == sorted(_PLACEHOLDER.findall(source)), source


def test_untranslated_is_noticed() -> None:
    catalogue = catalogues.read("ru")
    catalogue.add("A new sentence")
    catalogue.add(("%(num)d thing", "%(num)d things"), ("один", "два"))
    assert len(catalogues.untranslated(catalogue)) == 2


@pytest.mark.parametrize("path", sorted(TEMPLATES.rglob("*.html")), ids=lambda path: path.name)
def test_templates_have_no_words_outside_gettext(path: Path) -> None:
    text = _JINJA.sub("", path.read_text())
    shown = re.sub(r"<[^>]*>|&\w+;", "\n", text)
    words = set(re.findall(r"[A-Za-zÀ-ÿ]{2,}", shown)) | {
        word for spoken in _SPOKEN.findall(text) for word in re.findall(r"[A-Za-zÀ-ÿ]{2,}", spoken)
    }
    assert words - SAME - {"mg"} == set()


@pytest.mark.parametrize("path", sorted(TEMPLATES.rglob("*.html")), ids=lambda path: path.name)
def test_templates_have_no_inline_script(path: Path) -> None:
    text = path.read_text()
    for tag in re.findall(r"<script[^>]*>", text):
        assert "src=" in tag or 'type="application/json"' in tag
    assert re.search(r"\son[a-z]+=|javascript:|\shx-on|\sstyle=", text) is None
