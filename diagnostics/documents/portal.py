"""The report for patients and guardians, in the portal's words: no class, figure or comment."""

from typing import Any

from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _

from diagnostics.documents import pictures
from diagnostics.documents.sheet import Part, Sheet, framed, notice
from diagnostics.documents.statement import Field, Statement
from diagnostics.documents.text import isolated
from diagnostics.models import Outcome
from diagnostics.patient_message import patient_message
from diagnostics.plain_words import PART_NAMES, PLAIN
from diagnostics.services import signed_words
from hospital.base.shaping import day, moment, numerals

MOST_PICTURES = 4


def portal(
    statement: Statement, *, guardian: bool, paper: str, address: str, level: str = PLAIN
) -> Sheet:
    """The sheet for the patient or a guardian, in the words that were signed.

    Args:
        level: the reading level, one of `plain_words.LEVELS`.
        guardian: who reads, for what nobody has signed and for snapshots without such words.
        paper, address: as for `sheet.framed`.
    """
    message = patient_message(statement.report, guardian=guardian)
    said = signed_words.shown(statement.words, level, get_language() or "en")
    shown = [f for f in statement.fields if f.outcome == Outcome.CLASSIFIED][:MOST_PICTURES]
    files = {f"field-{field.number}.jpg": pictures.printed(field) for field in shown}
    names = {name: field for name, field in zip(files, shown, strict=True) if files[name]}
    sheet = framed(
        statement,
        title=message.title,
        top=[
            {"kind": "label", "text": _for_whom(statement)},
            *_texts(said.paragraphs if said else message.paragraphs),
        ],
        sections=[
            *(
                [{"title": str(PART_NAMES["means_not"]), "parts": _texts(said.not_paragraphs)}]
                if said
                else []
            ),
            _next(statement, said.steps if said else message.next_steps),
            *([_pictures(names)] if names else []),
            _behind(statement),
        ],
        paper=paper,
        address=address,
    )
    sheet.pictures |= {name: content for name, content in files.items() if content}
    return sheet


def _for_whom(statement: Statement) -> str:
    report = statement.report
    words = {"name": isolated(report.patient.full_name), "day": day(report.specimen.collected_at)}
    return _("%(name)s · blood sample of %(day)s") % words


def _texts(texts: list[str]) -> list[Part]:
    return [{"kind": "text", "text": text} for text in texts]


def _next(statement: Statement, steps: list[str]) -> dict[str, Any]:
    clinic = statement.report.clinic
    parts: list[Part] = [{"kind": "steps", "items": steps}]
    if clinic.telephone:
        words = {"clinic": isolated(clinic.name), "number": isolated(clinic.telephone)}
        parts.append(notice(_("%(clinic)s: %(number)s") % words))
    return {"title": _("What to do next"), "parts": parts}


def _pictures(names: dict[str, Field]) -> dict[str, Any]:
    items = [
        {
            "file": name,
            "alt": _("Blood cells under the microscope, outlined by the computer"),
            "caption": _caption(field),
        }
        for name, field in names.items()
    ]
    parts = [{"kind": "pictures", "columns": MOST_PICTURES, "items": items}]
    return {"title": _("The blood under the microscope"), "parts": parts}


def _caption(field: Field) -> list[str]:
    cells = field.cell_count or 0
    outlined = ngettext("%(n)s cell outlined", "%(n)s cells outlined", cells) % {
        "n": numerals(cells)
    }
    return [outlined, *([_("Drawn by a program")] if field.synthetic else [])]


def _behind(statement: Statement) -> dict[str, Any]:
    parts: list[Part] = []
    if statement.version:
        words = {"who": isolated(statement.signed_by), "at": moment(statement.at)}
        said = _("Reviewed and signed by %(who)s, %(at)s.") % words
        parts.append({"kind": "text", "text": said})
    if statement.previous:
        words = {"at": moment(statement.previous.signed_at)}
        said = _("This takes the place of an earlier report of %(at)s.") % words
        parts.append({"kind": "text", "text": said})
    aided = _(
        "This report is computer-aided: a computer program looked at the pictures of the smear to "
        "help the doctors. It is not a diagnosis. Only a doctor who knows the whole story can make "
        "one."
    )
    parts.append({"kind": "text", "text": aided})
    return {"title": _("Who stands behind this"), "parts": parts}
