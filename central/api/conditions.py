"""Entity tags and preconditions (RFC 9110 §8.8.3 and §13): a change made only to what its maker has seen."""

import hashlib
import re
from typing import Final

from litestar.datastructures import Headers

from central.api.problems import ApiError, invalid

_TAG: Final = re.compile(r'(W/)?"([!#-~]*)"')
#: ``*``, or entity tags with commas between them; at most so long.
PATTERN: Final = r'^(\*|(W/)?"[!#-~]*"([ \t]*,[ \t]*(W/)?"[!#-~]*")*)$'
LONGEST: Final = 1000
NAMES: Final = ("If-Match", "If-None-Match")
#: What a tag gains when its answer is sent compressed: other octets need another strong tag.
CODED: Final = "-gzip"


def tag_of(body: bytes) -> str:
    """The strong entity tag of an answer's octets, with its quotes."""
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def coded(tag: str) -> str:
    """The tag of the same answer, compressed."""
    return f'{tag[:-1]}{CODED}"'


def check_syntax(headers: Headers) -> None:
    """Refuse (422) conditions that are no lists of entity tags."""
    for name in NAMES:
        if name in headers:
            text = given(headers, name)
            if len(text) > LONGEST or not re.fullmatch(PATTERN, text):
                raise invalid(
                    name, f'{text[:64]!r} is no entity tag: write it as it came, with its quotes, or "*" bare'
                )


def given(headers: Headers, name: str) -> str:
    """A list header as one text, "" without it."""
    return ", ".join(headers.getall(name, []))


def conditional(headers: Headers) -> bool:
    """Whether the request is to be done on a condition."""
    return bool(given(headers, "if-match") or given(headers, "if-none-match"))


def named(header: str, tag: str | None, *, weak: bool) -> str | None:
    """The entry of a tag list that is ``tag``, "*" for any; None: not among them. ``weak``: W/ does not matter."""
    if tag is None:
        return None
    if header.strip() == "*":
        return "*"
    for match in _TAG.finditer(header):
        if f'"{match[2].removesuffix(CODED)}"' == tag and (weak or not match[1]):
            return match[0]
    return None


def check(headers: Headers, tag: str | None) -> None:
    """Refuse (412) when the request's preconditions do not hold for what is there now; ``tag`` None: nothing is."""
    check_match(headers, tag)
    none_match = given(headers, "if-none-match")
    if none_match and named(none_match, tag, weak=True) is not None:
        raise ApiError(
            412,
            "This is there already, and If-None-Match says it must not be. Without that header it would be replaced.",
            headers={"ETag": tag or ""},
        )


def check_match(headers: Headers, tag: str | None) -> None:
    """Refuse (412) when If-Match is given and does not name what is there now."""
    match = given(headers, "if-match")
    if not match or named(match, tag, weak=False) is not None:
        return
    if tag is None:
        raise ApiError(412, "There is nothing at this address that If-Match could name.")
    raise ApiError(
        412,
        f"This has changed since you read it: it is {tag} now, If-Match says {match[:100]}. "
        "Read it again, and make your change to that.",
        headers={"ETag": tag},
    )
