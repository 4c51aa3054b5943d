"""The enrolment from the code to the certificate, in words for the person who stands there; given again it goes on."""

import secrets
import time
from collections.abc import Callable
from typing import Any, Final

from edge.enrol import keys
from edge.enrol.place import Place, State
from edge.enrol.server import Server, Throttled
from edge.errors import ConfigError, LinkError, NotPermittedError, ReportError
from shared.ids import IdError, check_id

Say = Callable[[str], None]
_EVERY_S: Final = 3.0
_LATER_S: Final = 15.0
_BUSY_S: Final = 300.0  # a person who answers does it within so long


class StillWaiting(LinkError):
    """Nobody has decided yet; the request stays, the command goes on with it."""


def enrol(place: Place, server: Server, code: str, say: Say, *, anew: bool = False, wait: float = 3600.0) -> str:
    """Bring this gateway in and return its id; raises :class:`edge.errors.EdgeError` in words.

    ``anew`` gives up an enrolment that goes on, and replaces a certificate that is in force. ``wait``: s for a
    decision, after which the command may be given again.
    """
    place.begin()
    if anew:
        place.drop()
        place.begin()
    state = place.state()
    if state is None and place.cert.exists() and not anew:
        name, end = keys.certificate_facts(place.cert.read_bytes())
        raise ConfigError(f"{place.cert} is there already: {name} until {end}; --anew replaces it with a new key")
    state = _going_on(state, server, code, say) if state else _begin(place, server, code, say)
    answer = _asked(place, server, state, say)
    answer = _decided(server, state, answer, say, wait)
    _take(place, state, answer)
    say(f"Certificate written: {place.cert}, until {keys.certificate_facts(place.cert.read_bytes())[1]}.")
    say(f"Key {place.key}, authorities {place.chain}.")
    return state.gateway


def _going_on(state: State, server: Server, code: str, say: Say) -> State:
    if state.server != server.url or _plain(state.code) != _plain(code):
        raise ConfigError(
            f"an enrolment at {state.server} with another code ({state.code[:5]}-...) goes on here: give it again, or "
            "--anew to begin with this code"
        )
    say(f"Going on with the request of gateway {state.gateway}.")
    return state


def _begin(place: Place, server: Server, code: str, say: Say) -> State:
    gateway = server.whose(code)
    try:
        check_id(gateway, "gateway")
    except IdError as error:
        raise ReportError(f"central names a gateway that cannot be: {error}") from error
    say(f"The code is for gateway {gateway}.")
    state = State(server.url, code, gateway, secrets.token_urlsafe(32))
    place.save(state)
    return state


def _asked(place: Place, server: Server, state: State, say: Say) -> dict[str, Any]:
    """The request, made where it is not yet; the fingerprint to be compared is shown."""
    if not place.new_key.exists():
        keys.make_key(place.new_key)
        say("A key was made here (EC P-256); it stays on this machine.")
    own = keys.fingerprint(place.new_key)
    if state.number:
        answer = server.look(state.number, state.secret)
    else:
        answer = server.ask(state.code, state.secret, keys.make_request(place.new_key, state.gateway))
        state.number = int(answer["id"])
        place.save(state)
    if answer.get("fingerprint") != own:
        raise NotPermittedError("central has the request of another key: begin with a new code and --anew")
    say("")
    say(f"    Gateway      {state.gateway}")
    say(f"    Fingerprint  {' '.join(own[at : at + 4] for at in range(0, 16, 4))}")
    say("")
    return answer


def _decided(server: Server, state: State, answer: dict[str, Any], say: Say, wait: float) -> dict[str, Any]:
    """Look until the certificate is there; a bad link is borne, a refusal ends it."""
    begun, said, cut_off = time.monotonic(), "", False
    while True:
        found = str(answer.get("state"))
        if found == "issued":
            return answer
        if found == "refused":
            reason = str(answer.get("reason") or "no reason was given")
            raise NotPermittedError(f"refused by the operator: {reason}; a new code and --anew begin again")
        if found not in ("waiting", "approved"):
            raise NotPermittedError(f"the request is {found}: a new code and --anew begin again")
        if found != said:
            say(_WAITING[found])
            said = found
        waited = time.monotonic() - begun
        if waited >= wait:
            raise StillWaiting(f"not decided after {waited / 60:.0f} min; the same command goes on waiting")
        time.sleep(min(_EVERY_S if waited < _BUSY_S else _LATER_S, wait - waited))
        try:
            answer, cut_off = server.look(state.number, state.secret), False
        except Throttled as error:
            time.sleep(min(error.wait, max(0.0, wait - waited)))
        except LinkError as error:
            if not cut_off:
                say(f"{error}; still trying ...")
            cut_off = True


_WAITING: Final = {
    "waiting": "Waiting for approval: somebody at central compares the fingerprint. Ctrl-C is safe.",
    "approved": "Approved. Waiting for the authority to sign.",
}


def _take(place: Place, state: State, answer: dict[str, Any]) -> None:
    certificate, chain = str(answer.get("certificate", "")), str(answer.get("chain", ""))
    own = keys.fingerprint(place.new_key)
    if keys.certificate_fingerprint(certificate.encode()) != own:
        raise ReportError("central sent a certificate of another key; nothing was written")
    name, _ = keys.certificate_facts(certificate.encode())
    if name != state.gateway:
        raise ReportError(f"central sent a certificate of {name!r}, not of {state.gateway}; nothing was written")
    if not keys.verifies(place.draft("gateway.pem", certificate), place.draft("ca.pem", chain)):
        raise ReportError("the certificate is not signed by the authorities that came with it; nothing was written")
    place.take(certificate, chain)


def _plain(code: str) -> str:
    return "".join(each for each in code.upper() if each.isalnum())
