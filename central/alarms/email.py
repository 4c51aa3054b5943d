"""Messages by e-mail, over the standard library's SMTP client in a thread."""

import asyncio
import smtplib
import ssl
from collections.abc import Callable
from email.message import EmailMessage
from email.utils import formatdate
from typing import Final

from central.alarms.notices import Notice, NotSent
from central.settings import AlarmSettings, secret

#: A server that says nothing for so long is given up, s.
TIMEOUT: Final = 20.0

#: Subject and text of a message.
Render = Callable[[Notice], tuple[str, str]]


class Mailer:
    """Sends by the server of the settings; ``render`` writes the words."""

    def __init__(self, settings: AlarmSettings, render: Render) -> None:
        self._settings = settings
        self._render = render

    async def send(self, notice: Notice) -> None:
        """Send one message; raises :class:`NotSent`. Its Message-ID is the same however often it is sent."""
        message = self._message(notice)
        try:
            await asyncio.to_thread(self._send, message)
        except (smtplib.SMTPException, OSError, ValueError) as error:  # SettingsError: its password is not there
            raise NotSent(f"{self._settings.smtp_host}: {type(error).__name__}: {_reason(error)}") from error

    def _message(self, notice: Notice) -> EmailMessage:
        subject, text = self._render(notice)
        message = EmailMessage()
        message["From"] = self._settings.sender
        message["To"] = notice.target
        message["Subject"] = " ".join(subject.split())
        message["Date"] = formatdate(usegmt=True)
        message["Message-ID"] = f"<metergate-{notice.id}@{self._settings.sender.rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(text)
        return message

    def _send(self, message: EmailMessage) -> None:
        s = self._settings
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
