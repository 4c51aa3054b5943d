"""The one module that opens serial ports, so that the library behind it stays replaceable."""

import asyncio
from dataclasses import dataclass
from typing import Final, Literal

from edge.errors import LinkError
from edge.lines.pipe import Pipe

OPEN_TIMEOUT: Final = 10.0  # s

Parity = Literal["none", "even", "odd"]


@dataclass(frozen=True)
class SerialSettings:
    """How a port is driven. ``rts``, ``dtr``: level while open; adapters fed from these lines need them on."""

    device: str
    baud: int = 9600
    data_bits: Literal[7, 8] = 8
    parity: Parity = "none"
    stop_bits: Literal[1, 2] = 1
    rts: bool = True
    dtr: bool = True


async def open_serial(settings: SerialSettings) -> Pipe:
    """Open a serial port or pseudo-terminal for us alone; raises :class:`LinkError` naming the device."""
    import serialx  # costs memory: only gateways with a serial line pay it

    device = settings.device
    try:
        async with asyncio.timeout(OPEN_TIMEOUT):
            _, protocol = await serialx.create_serial_connection(
                asyncio.get_running_loop(),
                lambda: Pipe(device),
                device,
                baudrate=settings.baud,
                parity=serialx.Parity[settings.parity.upper()],
                stopbits=serialx.StopBits(settings.stop_bits),
                byte_size=settings.data_bits,
                exclusive=True,
                rts_on_open=serialx.PinState.convert(settings.rts),
                dtr_on_open=serialx.PinState.convert(settings.dtr),
            )
    except TimeoutError:
        raise LinkError(f"{device} could not be opened within {OPEN_TIMEOUT:g} s") from None
    except FileNotFoundError:
        raise LinkError(f"{device} does not exist: is the adapter plugged in?") from None
    except PermissionError:
        raise LinkError(f"{device} may not be opened: add the gateway's user to the group that owns it") from None
    except (OSError, ValueError, serialx.SerialException) as error:
        raise LinkError(f"{device} cannot be opened: {error}") from error
    assert isinstance(protocol, Pipe)  # noqa: S101
    return protocol
