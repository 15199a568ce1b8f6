"""Reports as PDF: who prints what, from what was signed, with a trace of every copy."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from django.conf import settings
from django.urls import reverse
from django.utils.translation import gettext as _

from diagnostics.documents import setting
from diagnostics.documents.clinical import clinical
from diagnostics.documents.portal import portal
from diagnostics.documents.statement import Statement, as_it_stands, of_version
from diagnostics.models import DiagnosticReport, ReportStatus, ReportVersion
from diagnostics.models.report import WITHDRAWN
from diagnostics.plain_words import PLAIN
from diagnostics.services import own_call, reading
from diagnostics.services.snapshots import SHORT, is_whole
from hospital.accounts.models import Paper
from hospital.base.problems import Conflict, NotFound, Refusal


@dataclass(frozen=True)
class Printed:
    """A report as PDF. Its file name tells the sample, never the patient."""

    name: str
    content: bytes


def for_staff(
    *, user: Any, report: DiagnosticReport, site: str, version: str = "", paper: str = ""
) -> Printed:
    """The report for those who treat; `user` has been found to see it.

    Args:
        site: where browsers find us, such as 'https://host'; for the code that is printed.
        version: number of a signed version; '' for the newest, or what stands unsigned.
        paper: a `Paper`; '' for the clinic's own.

    Raises:
        Conflict: it was withdrawn, there is nothing to print yet, or the stored snapshot is no
            longer what was signed; or it is hidden from `user` as yet ('own_call_first').
        NotFound: nobody has signed a version of that number.
        Refusal: no such paper.
    """
    own_call.ensure_called(user, report)
    return _printed(user, report, clinical, site=site, version=version, paper=paper)


def for_portal(
    *,
    user: Any,
    report: DiagnosticReport,
    guardian: bool,
    site: str,
    paper: str = "",
    level: str = PLAIN,
) -> Printed:
    """The newest version in the portal's words; `user` has been found to read it there.

    Args:
        level: the reading level, one of `plain_words.LEVELS`.

    Raises:
        Conflict, Refusal: as for `for_staff`.
    """
    words = partial(portal, guardian=guardian, level=level)
    printed = _printed(user, report, words, site=site, paper=paper, in_portal=True)
    reading.note_receipt(user=user, report=report)
    return printed


def verification_address(version: ReportVersion, *, site: str) -> str:
    """Where anybody who holds the paper can check it; PUBLIC_URL goes before `site`."""
    path = reverse("verify", args=[version.pk, version.sha256[:SHORT]])
    return f"{settings.PUBLIC_URL or site.rstrip('/')}{path}"


def _printed(
    user: Any,
    report: DiagnosticReport,
    words: Any,
    *,
    site: str,
    version: str = "",
    paper: str = "",
    in_portal: bool = False,
) -> Printed:
    paper = _paper(paper or report.clinic.paper)
    _ensure_printable(report, in_portal=in_portal)
    statement = _statement(report, version)
    frozen = statement.version
    address = verification_address(frozen, site=site) if frozen else ""
    sheet = words(statement, paper=paper, address=address)
    content = setting.pdf(sheet.data, sheet.pictures, at=statement.at)
    number = statement.report.version
    reading.note_printed(
        user=user, report=report, version=number, signed=bool(frozen), in_portal=in_portal
    )
    return Printed(f"blood-smear-{statement.report.specimen.accession}-v{number}.pdf", content)


def _paper(paper: str) -> str:
    if paper not in Paper.values:
        raise Refusal(_("Choose 'a4' or 'letter' as the paper."), code="unknown_paper")
    return paper


def _ensure_printable(report: DiagnosticReport, *, in_portal: bool) -> None:
    if report.status not in WITHDRAWN:
        return
    said = "This report was withdrawn and is not printed. See its history on the case page."
    if in_portal:
        said = _("This report was withdrawn: there is nothing to print. Please call the clinic.")
    raise Conflict(said, code="report_withdrawn")


def _statement(report: DiagnosticReport, number: str) -> Statement:
    if not number and not report.is_signed:
        if report.status == ReportStatus.REGISTERED:
            raise Conflict(
                _("There is no result to print yet. Wait for the first picture to be analysed."),
                code="nothing_to_print",
            )
        return as_it_stands(report)
    version = _version(report, number)
    if not is_whole(version):
        raise Conflict(
            _(
                "The stored record is not what was signed, so it is not printed. Tell the "
                "administrator: the database was changed by hand or is damaged."
            ),
            code="snapshot_damaged",
        )
    return of_version(version)


def _version(report: DiagnosticReport, number: str) -> ReportVersion:
    versions = report.versions.select_related("report__specimen__patient", "report__clinic")
    if number:
        # No number that a database would stumble over.
        known = number.isascii() and number.isdecimal() and len(number) < 9
        versions = versions.filter(version=int(number)) if known else versions.none()
    version = versions.first()
    if version is None:
        raise NotFound(
            _("Nobody has signed a version of that number. The case page lists those there are."),
            code="no_such_version",
        )
    return version
