"""Language choice, and how each language writes numbers, units and instants."""

from zoneinfo import ZoneInfo

import pytest

from central.web.i18n import LANGUAGES, choose, language

SAO_PAULO = ZoneInfo("America/Sao_Paulo")


@pytest.mark.parametrize(
    ("wanted", "accept", "expected"),
    [
        (("ru", "es"), "en", "ru"),
        (("", "es"), "en", "es"),
        ((None, "xx"), "fr, ru;q=0.4, en-GB;q=0.9", "en"),
        ((None, None), "pt-PT,en;q=0.1", "pt_BR"),
        ((None, None), "de, fr;q=0.5", "pt_BR"),
        ((None, None), "ru;q=nonsense, es;q=0", "pt_BR"),
        ((None, None), "", "pt_BR"),
    ],
)
def test_choose(wanted: tuple[str | None, ...], accept: str, expected: str) -> None:
    assert choose(wanted, accept) == expected


def test_numbers() -> None:
    written = {code: language(code).number(-1234567.891, 2) for code in LANGUAGES}
    assert written == {
        "pt_BR": "−1.234.567,89",
        "es": "−1.234.567,89",
        "ru": "−1\N{NO-BREAK SPACE}234\N{NO-BREAK SPACE}567,89",
        "en": "−1,234,567.89",
    }
    assert language("en").number(None) == "–"


def test_a_share_below_one_is_never_shown_as_all() -> None:
    assert language("en").percent(0.99999, 1) == "99.9%"
    assert language("ru").percent(1, 1) == "100,0\N{NO-BREAK SPACE}%"
    assert language("pt_BR").percent(None) == "–"


def test_units() -> None:
    assert language("pt_BR").amount(729_012.3, "kWh") == "729,0\N{NO-BREAK SPACE}MWh"
    assert language("ru").amount(9_999.4, "kWh") == "9\N{NO-BREAK SPACE}999\N{NO-BREAK SPACE}кВт·ч"
    assert language("es").amount(0.93, "1", 3) == "0,930"
    assert language("en").amount(21.96, "deg", 1) == "22.0\N{NO-BREAK SPACE}°"


def test_instants_are_local() -> None:
    at = 1_795_219_200  # 2026-11-21 00:00 UTC
    assert language("pt_BR").instant(at, SAO_PAULO) == "20/11/2026 21:00"
    assert language("ru").instant(at, SAO_PAULO) == "20.11.2026 21:00"
    assert language("en").instant(at, SAO_PAULO, seconds=True) == "20 Nov 2026, 21:00:00"


def test_words_of_time() -> None:
    assert language("pt_BR").ago(1000, 1180) == "há 3 minutos"
    assert language("es").ago(1000, 1000) == "hace 1 segundo"
    assert language("ru").duration(5400) == "1 ч 30 мин"
    assert language("en").duration(90061) == "1 d 1 h"


def test_plurals_of_russian() -> None:
    russian = language("ru")
    written = [russian.ngettext("%(num)d day", "%(num)d days", n) % {"num": n} for n in (1, 3, 5, 21)]
    assert written == ["1 день", "3 дня", "5 дней", "21 день"]


def test_brazilian_terms() -> None:
    words = ("Peak", "Off-peak", "Intermediate", "Reserved", "Load profile", "Meter", "Gateway", "Maximum demand")
    assert [language("pt_BR").gettext(word) for word in words] == [
        "Ponta", "Fora ponta", "Intermediário", "Reservado", "Memória de massa", "Medidor", "Controlador",
        "Demanda máxima",
    ]  # fmt: skip
