"""Why the broker is not reached: found below aiomqtt, which does not pass it on, and said with the way out."""

import logging
import socket
import ssl
from typing import Final

import aiomqtt
from paho.mqtt.reasoncodes import ReasonCode

from edge.errors import ConfigError
from edge.uplink.settings import UplinkSettings

#: Answers to CONNECT that blame the gateway: client id, password, permission (codes 2, 4 and 5 of MQTT 3.1.1 §3.2.2.3,
#: which paho tells in the numbers of MQTT 5).
_REFUSALS: Final = (133, 134, 135)
#: X.509 verification codes of OpenSSL.
_NOT_YET_VALID, _EXPIRED, _OTHER_NAME, _OTHER_ADDRESS = 9, 10, 62, 64


class NotAllowedError(aiomqtt.MqttError):
    """The broker accepted the connection but not a subscription."""


class Below(logging.Logger):
    """The logger for one client: keeps the last error met on its socket, passes on everything else.

    With TLS 1.3 a broker refuses our certificate after the handshake; all aiomqtt tells of it is a time-out.
    """

    def __init__(self) -> None:
        super().__init__("mqtt", logging.WARNING)
        self.met: BaseException | None = None

    def handle(self, record: logging.LogRecord) -> None:
        found = [each for each in record.args or () if isinstance(each, BaseException)]
        if found:
            self.met = found[-1]
        else:
            logging.getLogger(self.name).handle(record)


def cause_of(error: BaseException, below: Below | None) -> BaseException:
    """What is behind an error of aiomqtt."""
    if isinstance(error, aiomqtt.MqttCodeError | NotAllowedError | ConfigError):
        return error
    if below is not None and below.met is not None:
        return below.met
    return error.__context__ if isinstance(error.__context__, OSError) else error


def is_refusal(cause: BaseException) -> bool:
    """Whether trying again soon is pointless: credentials, certificate, access rules."""
    if isinstance(cause, aiomqtt.MqttCodeError) and isinstance(cause.rc, ReasonCode):
        return cause.rc.value in _REFUSALS
    if isinstance(cause, NotAllowedError | ssl.SSLCertVerificationError):
        return True
    return isinstance(cause, ssl.SSLError) and "ALERT" in (cause.reason or "")


def words(cause: BaseException, settings: UplinkSettings) -> str:
    """Say what is wrong with the broker of ``settings``, as the rest of a sentence, and what to do."""
    if isinstance(cause, ssl.SSLCertVerificationError):
        return _about_its_certificate(cause, settings.host)
    if isinstance(cause, ssl.SSLError):
        return _about_tls(cause.reason or str(cause))
    if isinstance(cause, aiomqtt.MqttCodeError):
        return f"{cause}: check uplink.username and its password, and the broker's access rules for this gateway's id"
    if isinstance(cause, socket.gaierror):
        return "its name cannot be resolved: check uplink.host and this machine's name server"
    if isinstance(cause, ConnectionRefusedError):
        return "connection refused, nothing listens there: check uplink.host and port, and that the broker runs"
    if isinstance(cause, ConnectionResetError):
        have, want = ("with", "without") if settings.tls else ("without", "with")
        return f"it breaks the connection off, which was made {have} TLS: check uplink.port, or try {want} (uplink.tls)"
    if isinstance(cause, TimeoutError) or str(cause) == "Operation timed out":
        seconds = f"{settings.timeout_seconds:g} s"
        return f"no answer within {seconds}: check uplink.host and port, the network, and firewalls between"
    return str(cause) or type(cause).__name__


def _about_its_certificate(error: ssl.SSLCertVerificationError, host: str) -> str:
    why = error.verify_message.rstrip(".")
    if error.verify_code in (_OTHER_NAME, _OTHER_ADDRESS):
        return f"its certificate is another's ({why}): set uplink.host to a name in it instead of {host!r}"
    if error.verify_code in (_EXPIRED, _NOT_YET_VALID):
        return f"its certificate is not valid today ({why}): it needs a new one, unless this gateway's clock is wrong"
    return f"its certificate comes from an authority unknown here ({why}): check uplink.ca_file"


def _about_tls(reason: str) -> str:
    if "CERTIFICATE_REQUIRED" in reason:
        return f"it asks for this gateway's certificate ({reason}): set uplink.cert_file and key_file"
    if "ALERT" in reason:
        return f"it does not accept this gateway's certificate ({reason}): check uplink.cert_file and its authority"
    if "WRONG_VERSION" in reason or "UNEXPECTED_MESSAGE" in reason:
        return f"it does not speak TLS on this port ({reason}): check uplink.port, or set uplink.tls = false"
    return f"TLS fails: {reason}"
