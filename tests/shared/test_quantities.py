import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.quantities import (
    ACTIVE_DELIVERED,
    ACTIVE_PROFILE,
    MEASURANDS,
    POST_LABELS,
    POSTS,
    PROCESS_LABELS,
    Post,
    Process,
    Quantity,
    QuantityError,
)


def test_posts_are_the_e_of_their_registers() -> None:
    assert {post.name: int(post) for post in Post} == {
        "TOTAL": 0,
        "PEAK": 1,
        "OFF_PEAK": 2,
        "RESERVED": 3,
        "INTERMEDIATE": 4,
    }
    assert set(POSTS) == set(Post) - {Post.TOTAL}
    assert set(POST_LABELS) == set(Post)
    assert set(PROCESS_LABELS) == set(Process)


@given(c=st.integers(0, 255), d=st.integers(0, 255), e=st.integers(0, 255))
def test_text_and_integer_forms(c: int, d: int, e: int) -> None:
    quantity = Quantity(c, d, e)
    assert Quantity.parse(str(quantity)) == quantity
    assert Quantity.from_code(quantity.code) == quantity
    assert 0 <= quantity.code <= 0xFFFFFF


@pytest.mark.parametrize(
    "text",
    ["", "1.8", "1.8.0.0", "1.8.256", "1.8.-1", "1.8.+1", "01.8.0", "1.8.", "1,8,0", "1.8.0\n", "١.8.0", "1.8.²"],
)
def test_refused_texts(text: str) -> None:
    with pytest.raises(QuantityError):
        Quantity.parse(text)


def test_endless_digits_are_refused_too() -> None:
    with pytest.raises(QuantityError):
        Quantity.parse("9" * 5000 + ".8.0")


@given(text=st.text(alphabet="0123456789.+- x", max_size=14))
def test_what_is_parsed_prints_the_same(text: str) -> None:
    try:
        quantity = Quantity.parse(text)
    except QuantityError:
        return
    assert str(quantity) == text


@pytest.mark.parametrize("code", [-1, 0x1000000])
def test_refused_codes(code: int) -> None:
    with pytest.raises(QuantityError):
        Quantity.from_code(code)


def test_units_follow_the_process() -> None:
    # IEC 62056-6-1: 1.8.0 active energy import, 1.6.1 its maximum in tariff 1, 1.29.0 its profile, 32.7.0 voltage L1
    assert Quantity.parse("1.8.0") == ACTIVE_DELIVERED
    assert Quantity.parse("1.29.0") == ACTIVE_PROFILE
    assert ACTIVE_DELIVERED.unit == ACTIVE_PROFILE.unit == "kWh"
    assert Quantity.parse("1.6.1").unit == Quantity.parse("1.2.1").unit == Quantity.parse("1.5.0").unit == "kW"
    assert Quantity.parse("32.7.0").unit == "V"
    assert Quantity.parse("3.7.0").unit == "var"
    assert Quantity.parse("200.8.0").unit == ""


def test_labels() -> None:
    assert Quantity.parse("1.8.0").label == "Active energy delivered"
    assert Quantity.parse("3.29.0").label == "Reactive energy delivered"
    assert Quantity.parse("3.7.0").label == "Reactive power delivered"
    assert Quantity.parse("1.6.1").label == "Active power delivered"
    assert Quantity.parse("12.7.0").label == "Voltage"
    assert Quantity.parse("200.8.0").label == "200.8.0"
    assert all(0 <= c <= 255 and measurand.label for c, measurand in MEASURANDS.items())
    assert len({measurand.label for measurand in MEASURANDS.values()}) == len(MEASURANDS)


def test_with_post_and_process() -> None:
    assert str(ACTIVE_DELIVERED.with_post(Post.PEAK).with_process(Process.MAXIMUM_DEMAND)) == "1.6.1"
