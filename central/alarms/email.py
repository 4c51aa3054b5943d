"""Messages about alarms by e-mail."""

from collections.abc import Callable

from central import mail
from central.alarms.notices import Notice, NotSent
from central.settings import AlarmSettings

#: Subject and text of a message.
Render = Callable[[Notice], tuple[str, str]]


class Mailer:
    """Sends by the server of the settings; ``render`` writes the words."""

    def __init__(self, settings: AlarmSettings, render: Render) -> None:
        self._settings = settings
        self._render = render

    async def send(self, notice: Notice) -> None:
        """Send one message; raises :class:`NotSent`. Its Message-ID is the same however often it is sent."""
        subject, text = self._render(notice)
        message = mail.new_message(self._settings, notice.target, subject, text, str(notice.id))
        try:
            await mail.send(self._settings, message)
        except mail.MailRefused as error:
            raise NotSent(str(error)) from error
