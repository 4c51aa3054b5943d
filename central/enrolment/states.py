"""What an enrolment goes through, as a table; an unlisted pair is refused."""

from typing import Final

from central.errors import Conflict

#: open: a code nobody has used. waiting: a gateway asked with it. approved: to be signed where the authority is.
#: issued: the certificate is here. refused and revoked: by a person. locked: too many wrong tries.
STATES: Final = ("open", "waiting", "approved", "issued", "refused", "revoked", "locked")
#: What still waits for somebody.
PENDING: Final = ("open", "waiting", "approved")

_NEXT: Final[dict[str, dict[str, str]]] = {
    "open": {"ask": "waiting", "revoke": "revoked", "lock": "locked"},
    "waiting": {"approve": "approved", "refuse": "refused"},
    "approved": {"issue": "issued", "refuse": "refused"},
}


def after(state: str, event: str) -> str:
    """The state that follows; raises :class:`Conflict` where the event cannot happen."""
    try:
        return _NEXT[state][event]
    except KeyError:
        raise Conflict(f"This enrolment is {state}: it cannot be changed in this way any more.") from None
