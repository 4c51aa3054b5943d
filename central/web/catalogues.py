"""Keep the catalogues in step with the source: ``python -m central.web.catalogues`` updates every ``.po``."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from central.ccee.verdicts import words
from central.web.i18n import LANGUAGES, LOCALE_FOLDER
from shared.quantities import MEASURANDS, POST_LABELS, PROCESS_LABELS

_WEB: Final = Path(__file__).parent
_METHODS: Final = [("**.py", "python"), ("templates/**.html", "jinja2")]
#: Headers of a catalogue want a date; a fixed one keeps every update free of noise.
_DATE: Final = datetime(2026, 1, 1, tzinfo=UTC)
_KEYWORDS: Final = {"_": None, "N_": None, "gettext": None, "ngettext": (1, 2)}


def extract() -> Catalog:
    """Every message of pages and code, and what stands as data in ``shared.quantities`` and the verdicts."""
    catalogue = Catalog(project="Metergate", version="", copyright_holder="", charset="utf-8")
    found = extract_from_dir(_WEB, _METHODS, {"**.html": {"newstyle_gettext": "true"}}, _KEYWORDS)
    for file, _line, message, comments, context in found:
        catalogue.add(message, None, [(Path(file).as_posix(), 0)], auto_comments=comments, context=context)
    for label in _labels():
        catalogue.add(label, None, [("shared/quantities.py", 0)])
    for text in words():
        catalogue.add(text, None, [("central/ccee/verdicts.py", 0)])
    return catalogue


def path(code: str) -> Path:
    """The catalogue of a language."""
    return LOCALE_FOLDER / code / "LC_MESSAGES" / "metergate.po"


def read(code: str) -> Catalog:
    with path(code).open("rb") as source:
        return read_po(source, locale=code)


def update(code: str, template: Catalog) -> Catalog:
    """Bring one catalogue in step and write it; what is new in it has no translation yet."""
    catalogue = read(code) if path(code).is_file() else Catalog(locale=code)
    catalogue.update(template, no_fuzzy_matching=True)
    catalogue.obsolete.clear()
    if code == "en":  # the source strings are English
        for message in catalogue:
            if message.id:
                message.string = message.id
    write(code, catalogue)
    return catalogue


def write(code: str, catalogue: Catalog) -> None:
    """Write a catalogue in one form, so that a change shows as what it is."""
    catalogue.project, catalogue.version = "Metergate", "1"
    catalogue.header_comment = f"# {LANGUAGES[code]}: pages of Metergate."
    catalogue.fuzzy = False
    catalogue.creation_date = catalogue.revision_date = _DATE
    catalogue.last_translator = catalogue.language_team = "Metergate"
    catalogue.msgid_bugs_address = ""
    path(code).parent.mkdir(parents=True, exist_ok=True)
    with path(code).open("wb") as target:
        write_po(target, catalogue, width=120, include_lineno=False, sort_output=True)


def untranslated(catalogue: Catalog) -> list[str]:
    """Messages of a catalogue that have no translation, or a doubtful one."""
    wanting = []
    for message in catalogue:
        forms = list(message.string) if isinstance(message.string, list | tuple) else [message.string]
        short = message.pluralizable and len(forms) < catalogue.num_plurals
        if message.id and (message.fuzzy or short or not all(forms)):
            wanting.append(str(message.id))
    return wanting


def _labels() -> Iterator[str]:
    words = [label for measurand in MEASURANDS.values() for label in (measurand.label, measurand.power_label)]
    yield from dict.fromkeys([*words, *POST_LABELS.values(), *PROCESS_LABELS.values()])


def main() -> int:
    template, wanting = extract(), 0
    for code in LANGUAGES:
        for message in untranslated(update(code, template)):
            wanting += 1
            sys.stdout.write(f"{code}: no translation of {message!r}\n")
    return 1 if wanting else 0


if __name__ == "__main__":
    sys.exit(main())
