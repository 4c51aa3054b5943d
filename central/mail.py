"""E-mail through the server of the settings, over the standard library's SMTP client in a thread."""

import asyncio
import re
import smtplib
import ssl
from email.message import EmailMessage
from email.utils import formatdate
from typing import Final

from central.settings import AlarmSettings, secret

#: A server that says nothing for so long is given up, s.
TIMEOUT: Final = 20.0
_ADDRESS: Final = re.compile(r"[^\s@<>,;:\"()\[\]\\\x00-\x1f\x7f]{1,64}@[A-Za-z0-9.-]{1,255}")


class MailRefused(Exception):
    """The server did not take it, or was not reached; the text says why."""


def is_address(text: str) -> bool:
    """Whether this is one e-mail address such as ``ana@example.org``."""
    return _ADDRESS.fullmatch(text) is not None


def new_message(settings: AlarmSettings, to: str, subject: str, text: str, number: str) -> EmailMessage:
    """A message made by this program; ``number`` makes its Message-ID, the same however often it is sent."""
    message = EmailMessage()
    message["From"] = settings.sender
    message["To"] = to
    message["Subject"] = " ".join(subject.split())
    message["Date"] = formatdate(usegmt=True)
    message["Message-ID"] = f"<metergate-{number}@{settings.sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text)
    return message


async def send(settings: AlarmSettings, message: EmailMessage) -> None:
    """Send one message; raises :class:`MailRefused`."""
    try:
        await asyncio.to_thread(_send, settings, message)
    except (smtplib.SMTPException, OSError, ValueError) as error:  # SettingsError: its password is not there
        raise MailRefused(f"{settings.smtp_host}: {type(error).__name__}: {_reason(error)}") from error


def _send(s: AlarmSettings, message: EmailMessage) -> None:
    context = None if s.smtp_security == "none" else ssl.create_default_context(cafile=s.smtp_ca_file or None)
    if context is not None and s.smtp_security == "tls":
        server: smtplib.SMTP = smtplib.SMTP_SSL(s.smtp_host, s.smtp_port, timeout=TIMEOUT, context=context)
    else:
        server = smtplib.SMTP(s.smtp_host, s.smtp_port, timeout=TIMEOUT)
    with server:
        if context is not None and s.smtp_security == "starttls":
            server.starttls(context=context)
        if s.smtp_username:
            server.login(s.smtp_username, secret(s.smtp_password_file, "alarms.smtp_password_file") or "")
        server.send_message(message)


def _reason(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        said = error.smtp_error
        return f"{error.smtp_code} {said.decode(errors='replace') if isinstance(said, bytes) else said}"
    return " ".join(str(error).split())
