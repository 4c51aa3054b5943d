"""What can be reached from the controller, before a playbook runs: names, SSH, the broker's and central's TLS."""

import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from cryptography import x509

from metergate.provision.inventory import Target

_TIMEOUT_S: Final = 8.0
_AT_ONCE: Final = 16
#: A certificate that ends within so many days is told of.
SOON_DAYS: Final = 30

Verdict = Literal["ok", "soon", "wrong"]


@dataclass(frozen=True)
class Finding:
    """What was tried of which machine, how it stands, and what was found."""

    host: str
    what: str
    verdict: Verdict
    text: str


@dataclass(frozen=True)
class Check:
    """One thing to try."""

    host: str
    what: str
    run: Callable[[], tuple[Verdict, str]]

    def find(self) -> Finding:
        try:
            verdict, text = self.run()
        except OSError as error:
            verdict, text = "wrong", reason(error)
        return Finding(self.host, self.what, verdict, text)


def checks(targets: Sequence[Target], ca: Path | None) -> list[Check]:
    """What to try for an inventory: SSH of each machine, and each broker and aggregator named, once."""
    found = []
    services: dict[tuple[str, str, int], str] = {}
    for target in targets:
        variables = target.variables
        host = str(variables.get("ansible_host") or target.name)
        port = _port(variables.get("ansible_port"), 22)
        if variables.get("ansible_connection") != "local":
            found.append(Check(target.name, f"name {host}", _name_of(host)))
            found.append(Check(target.name, f"SSH {host}:{port}", _ssh_of(host, port)))
        if "gateways" in target.groups and _plain(variables.get("gateway_broker_host")):
            broker = str(variables["gateway_broker_host"])
            services.setdefault(("broker", broker, _port(variables.get("gateway_broker_port"), 8883)), broker)
        names = variables.get("central_hosts")
        if "central" in target.groups and isinstance(names, list) and names and _plain(names[0]):
            services.setdefault(("central", str(names[0]), 443), str(names[0]))
    for kind, host, port in services:
        found.append(Check(host, f"{kind} {host}:{port}", _tls_of(host, port, ca)))
    return found


def run(todo: Sequence[Check]) -> Iterator[Finding]:
    """Findings as they come, several machines at a time; closing it gives up what has not begun."""
    pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="reach")
    try:
        futures: list[Future[Finding]] = [pool.submit(check.find) for check in todo]
        for future in as_completed(futures):
            yield future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def reason(error: OSError) -> str:
    """An error of the network in words."""
    match error:
        case socket.gaierror():
            return "this name is not known to DNS"
        case TimeoutError():
            return f"no answer within {_TIMEOUT_S:.0f} s: off, or a firewall in between"
        case ConnectionRefusedError():
            return "refused: nothing listens there"
        case ConnectionResetError():
            return "the connection is broken off"
        case _:
            return error.strerror or str(error) or type(error).__name__


def _plain(value: Any) -> bool:
    return isinstance(value, str) and bool(value) and "{{" not in value


def _port(value: Any, default: int) -> int:
    return int(value) if str(value).isdigit() else default


def _name_of(host: str) -> Callable[[], tuple[Verdict, str]]:
    def check() -> tuple[Verdict, str]:
        found = {str(each[4][0]) for each in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
        return "ok", ", ".join(sorted(found))

    return check


def _ssh_of(host: str, port: int) -> Callable[[], tuple[Verdict, str]]:
    def check() -> tuple[Verdict, str]:
        with socket.create_connection((host, port), _TIMEOUT_S) as link:
            banner = link.recv(256).split(b"\n", 1)[0].decode("ascii", "replace").strip()
        if not banner.startswith("SSH-"):
            return "wrong", f"something else than SSH answers: {banner[:40]!r}"
        return "ok", banner

    return check


def _tls_of(host: str, port: int, ca: Path | None) -> Callable[[], tuple[Verdict, str]]:
    def check() -> tuple[Verdict, str]:
        trusted = ssl.create_default_context()
        if ca is not None:
            trusted.load_verify_locations(str(ca))
        try:
            return _judge(_certificate(host, port, trusted))
        except ssl.SSLCertVerificationError as error:
            doubt = error.verify_message
        except ssl.SSLError as error:
            return "wrong", f"it answers, but not with TLS as expected: {error.reason or error}"
        anyone = ssl.create_default_context()
        anyone.check_hostname, anyone.verify_mode = False, ssl.CERT_NONE
        _, text = _judge(_certificate(host, port, anyone))
        return "wrong", f"its certificate is not trusted: {doubt} ({text}); --ca names the authority's file"

    return check


def _certificate(host: str, port: int, context: ssl.SSLContext) -> bytes:
    with socket.create_connection((host, port), _TIMEOUT_S) as link, _wrapped(link, context, host) as secure:
        return secure.getpeercert(binary_form=True) or b""


@contextlib.contextmanager
def _wrapped(link: socket.socket, context: ssl.SSLContext, host: str) -> Iterator[ssl.SSLSocket]:
    """A broker may break off after the handshake because we show no certificate: then it has shown its own."""
    secure = context.wrap_socket(link, server_hostname=host)
    try:
        yield secure
    finally:
        secure.close()


def _judge(der: bytes) -> tuple[Verdict, str]:
    cert = x509.load_der_x509_certificate(der)
    days = int((cert.not_valid_after_utc.timestamp() - time.time()) // 86400)
    text = f"certificate until {cert.not_valid_after_utc:%Y-%m-%d} ({days} days)"
    return ("wrong" if days < 0 else "soon" if days < SOON_DAYS else "ok"), text
