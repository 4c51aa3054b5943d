"""What an e-mail about a report says, in the report's language."""

from central.reports.jobs import decode
from central.reports.models import ReportJob
from central.web.i18n import activate, gettext, ngettext
from central.web.report_words import Words, title
from shared.intervals import zone as zone_of


def letter(job: ReportJob, attached: bool, *, zone: str, base_url: str) -> tuple[str, str]:
    """Subject and text; without an attachment it says where the file is."""
    activate(job.language)
    words = Words(job.language)
    name = title(job.report)
    subject = f"{job.title}: {name}" if job.title and job.title != name else name
    filters = decode(job.parameters).filters
    lines = [name, ""]
    period = filters.month or filters.date or " – ".join(filter(None, (filters.first, filters.last)))
    if period:
        lines.append(f"{gettext('Period')}: {period}")
    lines += [f"{key}: {text}" for key, text in words.filters(filters)]
    if job.finished_at is not None:
        lines.append(f"{gettext('Made at')}: {words.instant(job.finished_at, zone_of(zone))}")
    lines.append(ngettext("%(num)d row", "%(num)d rows", job.done) % {"num": job.done})
    lines.append("")
    where = f"{base_url}/reports/jobs/{job.id}/file" if base_url else ""
    if attached:
        lines.append(gettext("The report is attached."))
    elif where:
        lines.append(
            gettext("The report is too large for an e-mail. Log in and fetch it: %(where)s") % {"where": where}
        )
    else:
        lines.append(gettext("The report is too large for an e-mail. Log in and fetch it from the reports' page."))
    return subject, "\n".join(lines) + "\n"
