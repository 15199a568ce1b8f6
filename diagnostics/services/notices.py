"""Mails to families: that there is something new in the portal, never what.

A release marks its report (`release.settle`), the watch mails it: no signature waits for a mail
server, and no mail is lost with a process (`hospital.base.mailing`).
"""

from django.conf import settings
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from diagnostics.models import DiagnosticReport
from diagnostics.services import release
from hospital.base import mailing
from hospital.base.shaping import apart
from patients.selectors import family_mails


def mail_families() -> dict[str, int]:
    """Mail each release once, whoever else does the same; returns how many were mailed.

    Off without PORTAL_MAILS. A mail server that is away leaves them for the next time, for a day.
    """
    due = DiagnosticReport.objects.filter(mail_due=True).order_by()
    reports = due.select_related("patient__clinic")[:200]
    return {"mailed_families": sum(map(_mail, reports))}


def _mail(report: DiagnosticReport) -> bool:
    # What is released anew meanwhile is news of its own.
    due = {"mail_due": True, "released_at": report.released_at}
    if not mailing.claim([report], **due):
        return False
    is_news = report.released_at and report.released_at >= timezone.now() - mailing.NEWS
    wanted = settings.PORTAL_MAILS and is_news and release.is_open(report)
    to = family_mails(report.patient) if wanted else {}
    letters = {address: _letter(report, language) for address, language in to.items()}
    ours = DiagnosticReport.objects.filter(pk=report.pk, **due)
    return mailing.send(ours, letters, mail_due=False)


def _letter(report: DiagnosticReport, language: str) -> mailing.Letter:
    with translation.override(language):
        return _("Something new in your portal"), _text(report)


def _text(report: DiagnosticReport) -> str:
    """Neither whose it is nor what it says: mails are read by others."""
    clinic = report.patient.clinic
    lines = [
        _("There is something new, or something has changed, in the portal of %(clinic)s.")
        % {"clinic": apart(clinic.name)},
        _("Sign in to read it.")
        + (f" {settings.PUBLIC_URL}/portal/" if settings.PUBLIC_URL else ""),
        "",
        _("What it is stands in no mail, whatever it is: good or bad news look the same here."),
    ]
    if clinic.telephone:
        lines.append(_("Questions? Call %(number)s.") % {"number": apart(clinic.telephone)})
    return "\n".join(lines)
