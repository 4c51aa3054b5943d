"""Fixtures of the gateway's tests."""

import socket

import pytest


@pytest.fixture
def unused_port() -> int:
    """A TCP port of the loopback on which nothing listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
