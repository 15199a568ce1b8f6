"""The frame of every document: who, which sample, how it stands, and where to check it.

A sheet is plain JSON for `sheet.typ`: `top` and `sections` hold parts of a few kinds (`lead`,
`text`, `steps`, `notice`, `facts`, `bars`, `pictures`, `check`). What it says is decided here and
beside (`clinical`, `portal`); the template only draws.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import segno
from django.utils.translation import get_language, get_language_bidi
from django.utils.translation import gettext as _

from diagnostics.documents.statement import Statement
from diagnostics.documents.text import MISSING, isolated, printable
from diagnostics.models import ReportStatus
from diagnostics.patient_message import DISCLAIMER
from hospital.accounts.models import Paper
from hospital.base.shaping import day, moment, numerals
from patients.models import Patient

Part = dict[str, Any]

QR = "verify.svg"
# What the template gives to Typst as it is: names of files, kinds and addresses, all of our making.
_OURS = frozenset({"kind", "tone", "file", "address", "lang", "paper", "digest"})
_TYPST_PAPER = {Paper.A4: "a4", Paper.LETTER: "us-letter"}


@dataclass
class Sheet:
    """A document ready to be set: its data, and its pictures by file name."""

    data: dict[str, Any]
    pictures: dict[str, bytes] = field(default_factory=dict)


def framed(
    statement: Statement,
    *,
    title: str,
    top: Sequence[Part],
    sections: Sequence[dict[str, Any]],
    paper: str,
    address: str,
) -> Sheet:
    """A whole sheet around what `top` and `sections` say.

    Args:
        paper: a `Paper`.
        address: of the verification page, '' for a report that nobody has signed.
    """
    report, version = statement.report, statement.version
    digest = _grouped(version.sha256) if version else ""
    data = {
        "lang": (get_language() or "en").partition("-")[0],
        "rtl": get_language_bidi(),
        "one": numerals(1),
        "paper": _TYPST_PAPER[Paper(paper)],
        "title": title,
        "keywords": [report.specimen.accession],
        "clinic": report.clinic.name,
        "page": _("Page {page} of {pages}"),
        "patient": {
            "name": named(report.patient),
            "facts": [
                _("born %(day)s") % {"day": day(report.patient.birth_date)},
                _("record number %(mrn)s") % {"mrn": isolated(report.patient.mrn)},
                _("sample %(accession)s") % {"accession": isolated(report.specimen.accession)},
            ],
        },
        "disclaimer": str(DISCLAIMER),
        "standing": _standing(statement),
        "digest": digest,
        "watermark": _watermark(statement),
        "top": [*_notices(statement), *top],
        "sections": [*sections, *([_check(address, digest)] if address else [])],
    }
    pictures = {QR: qr(address)} if address else {}
    return Sheet(_with_note(_printable(data)), pictures)


def named(patient: Patient) -> str:
    """As on a record: family name first."""
    words = {"family": patient.family_name, "given": patient.given_names}
    return isolated(_("%(family)s, %(given)s") % words)


def notice(title: str, *lines: str, tone: str = "plain") -> Part:
    """A box that cannot be overlooked."""
    return {"kind": "notice", "tone": tone, "title": title, "lines": list(lines)}


def qr(address: str) -> bytes:
    """`address` as a QR code, SVG."""
    drawn = BytesIO()
    segno.make(address, error="m", micro=False).save(drawn, kind="svg", border=0, scale=4)
    return drawn.getvalue()


def _standing(statement: Statement) -> str:
    """Status and version, for the foot of every page."""
    report = statement.report
    words = {
        "status": report.get_status_display(),
        "version": report.version,
        "who": isolated(statement.signed_by),
        "at": moment(statement.at),
    }
    if statement.version is None:
        return _("%(status)s · version %(version)s as of %(at)s · not signed") % words
    return _("%(status)s · version %(version)s · signed by %(who)s, %(at)s") % words


def _watermark(statement: Statement) -> str:
    if statement.version is None:
        return _("NOT YET REVIEWED")
    return _("SUPERSEDED") if statement.newest else ""


def _notices(statement: Statement) -> list[Part]:
    """What must be read before anything else."""
    report, notices = statement.report, []
    if newest := statement.newest:
        words = {"version": newest.version, "at": moment(newest.signed_at)}
        notices.append(
            notice(
                _("Superseded by version %(version)s, signed %(at)s") % words,
                _("Do not rely on this version. Ask for the newest one."),
                tone="warn",
            )
        )
    if statement.version is None:
        verified = report.status == ReportStatus.PRELIMINARY
        notices.append(
            notice(
                _("Not yet reviewed by a doctor"),
                _("A technician has checked the pictures. The result can still change.")
                if verified
                else _("This is what a computer saw. It can change when a doctor has looked."),
                tone="warn",
            )
        )
    drawn = [f.synthetic for f in statement.fields]
    if report.findings.get("synthetic"):
        notices.append(
            notice(
                _("Demonstration"),
                _("The pictures were drawn by a program and show nobody’s blood.")
                if all(drawn)
                else _("Some of the pictures were drawn by a program and show nobody’s blood."),
                tone="warn",
            )
        )
    return notices


def _grouped(digest: str) -> str:
    """In eights, so that somebody can type it off the paper."""
    return " ".join(digest[start : start + 8] for start in range(0, len(digest), 8))


def _check(address: str, digest: str) -> dict[str, Any]:
    return {
        "title": _("Is this paper genuine?"),
        "parts": [
            {
                "kind": "check",
                "file": QR,
                "alt": _("QR code of the address beside it"),
                "lines": [
                    _(
                        "Scan the code or open the address: the page says whether this is the "
                        "newest signed version. It shows nothing about the patient."
                    ),
                    _("The long number, here and at the foot of each page, names the record."),
                ],
                "address": address,
                "digest": digest,
            }
        ],
    }


def _printable(value: Any, key: str = "") -> Any:
    """Every word in `value` made fit for the fonts, whoever wrote it."""
    if isinstance(value, dict):
        return {k: _printable(v, k) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_printable(v, key) for v in value]
    return printable(value) if isinstance(value, str) and key not in _OURS else value


def _with_note(data: dict[str, Any]) -> dict[str, Any]:
    """Say so where a character could not be printed: a name must not be taken for another."""
    if MISSING in str(data):
        note = notice(
            _("Some characters could not be printed"),
            _("They stand as %(sign)s here. The record on screen has them.") % {"sign": MISSING},
            tone="warn",
        )
        data["top"] = [note, *data["top"]]
    return data
