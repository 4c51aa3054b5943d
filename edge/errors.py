"""What can go wrong on the field side, split by what the caller does next.

EdgeError
├── RetryError              try again later, the same way
│   ├── LinkError           the path: refused, reset, unplugged, cannot be opened
│   ├── SilenceError        the meter does not answer in time
│   ├── NoiseError          answers arrive damaged until the limit of repeats
│   ├── BusyError           the meter keeps answering WAIT
│   └── PreemptedError      a higher class took the line; nothing is wrong
├── ReportError             trying again changes nothing; a person must look
│   ├── ProtocolError       well-formed bytes at a place or with a content the protocol does not allow
│   ├── RefusedError        the meter says no (ABNT 39 and 40): code and sub-code as attributes
│   ├── WrongMeterError     another serial answers than the one configured
│   └── UnreconciledError   profile and registers do not agree
└── StopError               our own configuration or permission
    ├── ConfigError
    └── NotPermittedError
"""

from dataclasses import dataclass


class EdgeError(Exception):
    """Base; the text names the thing, the value and the way out."""


class RetryError(EdgeError):
    pass


class LinkError(RetryError):
    pass


class SilenceError(RetryError):
    pass


class NoiseError(RetryError):
    pass


class BusyError(RetryError):
    pass


class PreemptedError(RetryError):
    pass


class ReportError(EdgeError):
    pass


class ProtocolError(ReportError):
    pass


@dataclass
class RefusedError(ReportError):
    """The meter refused ``command``; ``code`` and ``sub_code`` as it gave them (None where it gave none)."""

    command: int
    code: int | None
    sub_code: int | None
    reason: str

    def __str__(self) -> str:
        return f"the meter refused command {self.command:02X}: {self.reason}"


@dataclass
class WrongMeterError(ReportError):
    expected: str
    found: str

    def __str__(self) -> str:
        return (
            f"meter {self.found} answers where meter {self.expected} is configured: "
            "check the wiring, or correct the serial in the gateway's configuration"
        )


class UnreconciledError(ReportError):
    pass


class StopError(EdgeError):
    pass


class ConfigError(StopError):
    pass


class NotPermittedError(StopError):
    pass
