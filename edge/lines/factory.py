"""From a line of the configuration to a line that opens itself."""

from edge.config.model import Line as LineConfig
from edge.config.model import TcpLine
from edge.lines.line import ManagedLine
from edge.lines.pipe import Pipe


def build_line(config: LineConfig) -> ManagedLine:
    """A line that connects as ``config`` says when it is first claimed."""
    if isinstance(config, TcpLine):
        return _tcp(config)
    from edge.lines.serial import SerialSettings, open_serial  # only where a serial line is configured

    settings = SerialSettings(
        device=config.address,
        baud=config.baud,
        data_bits=config.data_bits,
        parity=config.parity,
        stop_bits=config.stop_bits,
        rts=config.rts,
        dtr=config.dtr,
    )

    async def open_port() -> Pipe:
        return await open_serial(settings)

    return ManagedLine(config.name, open_port, enabled=config.enabled, idle_close=config.idle_close)


def _tcp(config: TcpLine) -> ManagedLine:
    from edge.lines.tcp import open_tcp

    host, port = config.host_port

    async def connect() -> Pipe:
        return await open_tcp(host, port, config.connect_timeout)

    return ManagedLine(
        config.name, connect, enabled=config.enabled, idle_close=config.idle_close, reopen_after_silence=True
    )
