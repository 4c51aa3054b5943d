"""What an e-mail about an alarm says, in a language."""

from central.alarms.notices import Notice
from central.ccee.verdicts import SOURCE, verdict
from central.web.i18n import activate, current, gettext
from central.web.labels import SEVERITIES, state
from shared.intervals import zone


def render(notice: Notice, language: str, base_url: str) -> tuple[str, str]:
    """Subject and text; of another source's alarm only what it says itself is known."""
    activate(language)
    known = verdict(notice.code) if notice.source == SOURCE else None
    title = gettext(known.title) if known and known.title else notice.code
    code = notice.code if notice.code[1:].isdigit() else ""
    what = gettext("Over") if notice.what == "closed" else state(SEVERITIES, notice.severity.word)[0]
    subject = f"[{what}] {code} {title}: {notice.meter_name}"
    at, tz = current().instant, zone(notice.zone)
    lines = [
        f"{gettext('Meter')}: {notice.meter_name} ({notice.meter})",
        f"{gettext('Since')}: {at(notice.opened_at, tz)}",
    ]
    if notice.closed_at is not None and notice.what == "closed":
        lines.append(f"{gettext('Until')}: {at(notice.closed_at, tz)}")
    if known and known.sentence:
        lines += ["", gettext(known.sentence)]
    if known and known.advice and notice.what != "closed":
        lines.append(gettext(known.advice))
    if notice.text:
        lines += ["", notice.text]
    lines += ["", f"{notice.tenant}" + (f", {base_url}" if base_url else "")]
    return subject, "\n".join(lines) + "\n"
