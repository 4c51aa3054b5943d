"""Codes that people type."""

import re

from hypothesis import given
from hypothesis import strategies as st

from central.enrolment.codes import ALPHABET, new_code, parse


def test_a_code_is_two_groups_of_five_and_none_like_another() -> None:
    codes = [new_code() for _ in range(300)]
    assert all(re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{5}-[0-9A-HJKMNP-TV-Z]{5}", code.text) for code in codes)
    assert len({code.text for code in codes}) == 300
    assert set("".join(code.text for code in codes)) == {*ALPHABET, "-"}, "every letter occurs"


@given(st.text(ALPHABET, min_size=10, max_size=10), st.sampled_from(["-", " ", "", " – ", "_"]), st.booleans())
def test_typed_in_any_way_it_is_the_same(plain: str, between: str, lower: bool) -> None:
    typed = plain[:5] + between + plain[5:]
    typed = typed.replace("1", "l").replace("0", "o") if lower else typed.replace("1", "I").replace("0", "O")
    code = parse(f" {typed.lower() if lower else typed} ")
    assert code is not None
    assert code.text == f"{plain[:5]}-{plain[5:]}"


@given(st.text(max_size=80))
def test_anything_else_is_none(text: str) -> None:
    code = parse(text)
    assert code is None or parse(code.text) == code


def test_what_cannot_be_a_code() -> None:
    for text in ("", "AAAAA", "AAAAA-AAAA", "AAAAA-AAAAAA", "UUUUU-UUUUU", "AAAAA-AAAA!", "ÀAAAA-AAAAA"):
        assert parse(text) is None, text
