import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import ids
from shared.ids import IdError, Topic


@pytest.mark.parametrize("value", ["a", "0", "Gw-1_x.y", "m" * 48])
def test_usable(value: str) -> None:
    assert ids.check_id(value) == value


@pytest.mark.parametrize("value", ["", "m" * 49, "-a", ".a", "..", "a/b", "a+", "#", "a b", "ç", "a\n", "a\0", "١"])
def test_refused_by_name(value: str) -> None:
    with pytest.raises(IdError, match="gateway"):
        ids.check_id(value, "gateway")


@given(value=st.text(max_size=60))
def test_what_passes_is_safe_as_topic_level_file_name_and_certificate_name(value: str) -> None:
    try:
        ids.check_id(value)
    except IdError:
        return
    assert value.isascii()
    assert not set(value) & set("/+#$\\ \0\n")
    assert value not in (".", "..")


@pytest.mark.parametrize("kind", ids.KINDS)
def test_topic_round_trip(kind: ids.Kind) -> None:
    topic = Topic("acme", "gw-1", kind)
    assert str(topic) == f"mg/1/acme/gw-1/{kind}"
    assert Topic.parse(str(topic)) == topic


@pytest.mark.parametrize(
    "text",
    ["", "mg/1/acme/gw", "mg/1/acme/gw/up/x", "mg/2/acme/gw/up", "xx/1/acme/gw/up", "mg/1/acme/gw/down", "mg/1//gw/up",
     "mg/1/+/gw/up", "mg/1/acme/#/up", "/mg/1/acme/gw/up", "mg/1/acme/gw/up\n"],
)  # fmt: skip
def test_foreign_topics(text: str) -> None:
    with pytest.raises(IdError):
        Topic.parse(text)


def test_filters() -> None:
    assert ids.topic_filter("up") == "mg/1/+/+/up"
    assert ids.topic_filter("up", share="ingest") == "$share/ingest/mg/1/+/+/up"
    assert ids.topic_filter("ack", "acme") == "mg/1/acme/+/ack"
