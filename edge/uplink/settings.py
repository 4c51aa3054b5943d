"""Settings of the uplink (section ``[uplink]`` of the gateway's configuration)."""

import ssl
from typing import Annotated

import msgspec
from msgspec import Meta

from edge.errors import ConfigError
from shared.wire import MAX_BATCH_BYTES, MAX_BATCH_ITEMS


class UplinkSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the broker is and how hard it is used.

    ``tls`` with no ``ca_file`` trusts the system's authorities; ``cert_file`` and ``key_file`` are the gateway's own.
    ``batch_bytes`` and ``batch_rows`` bound one message, ``window`` the messages not yet confirmed by the aggregator.
    """

    host: Annotated[str, Meta(min_length=1, max_length=253)] = "localhost"
    port: Annotated[int, Meta(ge=1, le=65535)] = 1883
    username: str | None = None
    password: str | None = None
    tls: bool = False
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    keepalive_seconds: Annotated[int, Meta(ge=5, le=3600)] = 30
    timeout_seconds: Annotated[float, Meta(ge=0.5, le=120)] = 10.0  # for each answer of the broker
    reconnect_max_seconds: Annotated[float, Meta(ge=0.1, le=3600)] = 60.0
    batch_bytes: Annotated[int, Meta(ge=1024, le=MAX_BATCH_BYTES // 2)] = 64 << 10
    batch_rows: Annotated[int, Meta(ge=1, le=MAX_BATCH_ITEMS)] = 512
    window: Annotated[int, Meta(ge=1, le=64)] = 8
    ack_seconds: Annotated[float, Meta(ge=0.1, le=600)] = 10.0  # without progress for so long, rows are sent again
    state_seconds: Annotated[float, Meta(ge=1, le=3600)] = 60.0

    def tls_context(self) -> ssl.SSLContext | None:
        """The TLS context, None without TLS; :class:`ConfigError` names the file that cannot be used."""
        if not self.tls:
            if self.ca_file or self.cert_file or self.key_file:
                raise ConfigError("uplink.ca_file, cert_file and key_file need uplink.tls = true")
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except OSError as error:
            raise ConfigError(f"uplink.ca_file {self.ca_file}: {error.strerror or error}") from error
        if self.cert_file:
            try:
                context.load_cert_chain(self.cert_file, self.key_file)
            except OSError as error:
                raise ConfigError(
                    f"uplink.cert_file {self.cert_file} with key_file {self.key_file}: {error.strerror or error}"
                ) from error
        elif self.key_file:
            raise ConfigError("uplink.key_file needs uplink.cert_file")
        return context
