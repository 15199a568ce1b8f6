"""Mails to families: that there is something new in the portal, never what.

A release marks its report (`release.settle`), the watch mails it: no signature waits for a mail
server, and no mail is lost with a process.
"""

import logging
from datetime import timedelta

from django.conf import settings
from django.core.mail import send_mail
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from diagnostics.models import DiagnosticReport
from diagnostics.services import release
from hospital.base.shaping import apart
from patients.selectors import family_mails

log = logging.getLogger(__name__)

# What is older than this when a mail server comes back is no news any more.
NEWS = timedelta(days=1)


def mail_families() -> dict[str, int]:
    """Mail each release once, whoever else does the same; returns how many were mailed.

    Off without PORTAL_MAILS. A mail server that is away leaves them for the next time, for a day.
    """
    due = DiagnosticReport.objects.filter(mail_due=True).order_by()
    reports = due.select_related("patient__clinic")[:200]
    return {"mailed_families": sum(_mail(report) for report in reports if _claim(report))}


def _claim(report: DiagnosticReport) -> bool:
    rows = DiagnosticReport.objects.filter(pk=report.pk, mail_due=True)
    return bool(rows.update(mail_due=False))


def _mail(report: DiagnosticReport) -> bool:
    is_news = report.released_at and report.released_at >= timezone.now() - NEWS
    if not settings.PORTAL_MAILS or not is_news or not release.is_open(report):
        return False
    to = family_mails(report.patient)
    # One message for each: who else reads about a child is not told by a mail.
    if not to or sum(_sent(report, address, language) for address, language in to.items()):
        return bool(to)
    DiagnosticReport.objects.filter(pk=report.pk).update(mail_due=True)
    return False


def _sent(report: DiagnosticReport, address: str, language: str) -> bool:
    with translation.override(language):
        subject, text = _("Something new in your portal"), _text(report)
    try:
        send_mail(subject, text, None, [address])
    except OSError as error:
        log.warning("a family was not mailed (%s); the next watch tries again", error)
        return False
    return True


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
