"""Sockets that CCEE connects to, on one interface where one is named (F3)."""

import errno
import fcntl
import socket
import struct
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from edge.errors import LinkError
from edge.lines.tcp import KEEPALIVE

#: Clients that have connected and were not looked at yet; the kernel refuses more.
BACKLOG: Final = 16
_SIOCGIFADDR: Final = 0x8915


@dataclass(frozen=True)
class Listening:
    """An open listener. ``device``: it hears nothing but its interface, whose number was ``index``."""

    sock: socket.socket
    interface: str
    index: int
    device: bool

    @property
    def stale(self) -> bool:
        """The interface has gone or is another one under the same name: this socket hears nothing any more."""
        try:
            return bool(self.interface) and socket.if_nametoindex(self.interface) != self.index
        except OSError:
            return True


def listen(host: str, port: int, interface: str = "") -> Listening:
    """Listen on ``host:port``, on ``interface`` only where one is named; :class:`LinkError` says what is in the way.

    Binding to a device needs CAP_NET_RAW on older kernels; without it the interface's own address is taken.
    """
    family = socket.AF_INET6 if ip_address(host).version == 6 else socket.AF_INET
    where = f"{host}:{port}" + (f" on {interface}" if interface else "")
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        index = 0
        device = False
        if interface:
            try:
                index = socket.if_nametoindex(interface)
            except OSError:
                raise LinkError(f"cannot listen on {where}: there is no interface {interface} (yet)") from None
            try:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode() + b"\0")
                device = True
            except PermissionError:
                host = _address_of(interface, host)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise LinkError(f"cannot listen on {where}: {_trouble(error, port)}") from error
    except BaseException:
        sock.close()
        raise
    return Listening(sock, interface, index, device)


def prepare(sock: socket.socket) -> None:
    """An accepted socket: non-blocking, without Nagle's wait, half-open peers noticed within a minute."""
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in KEEPALIVE.items():
        sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def refuse(sock: socket.socket) -> None:
    """Close with a reset: nothing of it stays here."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def _address_of(interface: str, host: str) -> str:
    """The IPv4 address of an interface; ``host`` itself when it is a certain one."""
    if not ip_address(host).is_unspecified:
        return host
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        request = struct.pack("256s", interface.encode())
        return socket.inet_ntoa(fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, request)[20:24])


def _trouble(error: OSError, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is in use by another program"
    if error.errno == errno.EADDRNOTAVAIL:
        return "no interface has this address (yet)"
    if error.errno == errno.EACCES:
        return f"port {port} is below 1024: give the service CAP_NET_BIND_SERVICE, or take another port"
    return error.strerror or str(error)
