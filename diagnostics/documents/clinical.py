"""The report for those who treat: conclusion first, then what the computer found, in words."""

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from diagnostics import wording
from diagnostics.documents import pictures
from diagnostics.documents.sheet import Part, Sheet, framed, named, notice
from diagnostics.documents.statement import Field, Statement, conclusion_of
from diagnostics.documents.text import isolated
from diagnostics.models import Outcome, ReportStatus
from diagnostics.services.findings import CLEAR_FROM, LEANING_FROM, certainty_of
from hospital.base.shaping import day, moment

# More would bury the report; the case page has them all.
MOST_PICTURES = 12
POSSIBLE_FROM = 0.2


def clinical(statement: Statement, *, paper: str, address: str) -> Sheet:
    """The sheet for staff; the arguments are those of `sheet.framed`."""
    shown = _shown(statement)
    files = {f"field-{field.number}.jpg": pictures.printed(field) for field in shown}
    sheet = framed(
        statement,
        title=_("Blood smear report"),
        top=[{"kind": "facts", "rows": _facts(statement)}],
        sections=[
            _conclusion(statement),
            _finding(statement),
            *([_pictures(statement, shown, files)] if shown else []),
        ],
        paper=paper,
        address=address,
    )
    sheet.pictures |= {name: content for name, content in files.items() if content}
    return sheet


def _facts(statement: Statement) -> list[tuple[str, str]]:
    report = statement.report
    patient, specimen = report.patient, report.specimen
    return [
        (_("Patient"), named(patient)),
        (_("Sample"), isolated(specimen.accession)),
        (_("Born"), day(patient.birth_date)),
        (_("Taken"), moment(specimen.collected_at)),
        (_("Sex"), patient.get_sex_display()),
        (_("Stain"), specimen.get_stain_display()),
        (_("Record number"), isolated(patient.mrn)),
        (_("Telephone"), isolated(report.clinic.telephone or "–")),
    ]


def _conclusion(statement: Statement) -> dict[str, Any]:
    report = statement.report
    if statement.version is None:
        said = _("None yet: a haematologist has not signed.")
        parts: list[Part] = [{"kind": "text", "text": said}]
        if statement.verified_by and report.status == ReportStatus.PRELIMINARY:
            by = _("Verified by %(who)s.") % {"who": isolated(statement.verified_by)}
            parts.append({"kind": "small", "text": by})
        return {"title": _("Conclusion"), "parts": parts}
    signed: dict[str, Any] = {"who": isolated(statement.signed_by), "at": moment(statement.at)}
    parts = [
        {"kind": "lead", "text": report.get_conclusion_display()},
        {"kind": "text", "text": _("Signed by %(who)s, %(at)s.") % signed},
    ]
    if statement.read_by:
        both = _("As second reader, confirming the reading of %(who)s.")
        parts.append({"kind": "text", "text": both % {"who": isolated(statement.read_by)}})
    if lines := [isolated(line) for line in report.comment.splitlines() if line.strip()]:
        parts.append({"kind": "label", "text": _("Comment")})
        parts += [{"kind": "text", "text": line} for line in lines]
    if earlier := statement.previous:
        conclusion, who = conclusion_of(earlier)
        words: dict[str, Any] = {
            "conclusion": conclusion,
            "version": earlier.version,
            "who": isolated(who),
            "at": moment(earlier.signed_at),
        }
        title = _("Previously reported as: %(conclusion)s") % words
        by = _("Version %(version)s, signed by %(who)s, %(at)s.") % words
        why = [_("Reason for the change: %(reason)s") % {"reason": isolated(statement.reason)}]
        parts.append(notice(title, by, *(why if statement.reason else []), tone="warn"))
    return {"title": _("Conclusion"), "parts": parts}


def _finding(statement: Statement) -> dict[str, Any]:
    """The model's view, hedged as far as it is unsure: in words and bars, without figures."""
    report = statement.report
    parts: list[Part] = [
        {"kind": "text", "text": f"{wording.impression_in_words(report)}."},
        {"kind": "text", "text": _counted(statement)},
    ]
    if dissent := report.findings.get("dissent"):
        others = ngettext(
            "%(n)s field that was read points to another class.",
            "%(n)s fields that were read point to another class.",
            dissent,
        )
        parts.append({"kind": "text", "text": others % {"n": dissent}})
    if rows := [
        {"name": bar["name"], "share": bar["share"], "words": _support(bar["share"])}
        for bar in report.bars
    ]:
        head = [_("Class"), _("How much speaks for it"), _("In words")]
        parts.append({"kind": "bars", "head": head, "rows": rows})
    if packages := report.findings.get("packages"):
        used = _("Model package: %(packages)s.") % {"packages": ", ".join(packages)}
        parts.append({"kind": "small", "text": used})
    return {"title": _("What the computer found"), "parts": parts}


def _counted(statement: Statement) -> str:
    """How many fields there are, what became of them, and how many cells were outlined."""
    counts = statement.report.findings.get("fields", {})
    names = {
        "classified": _("read"),
        "unfamiliar": _("unlike what the model knows"),
        "not_a_smear": _("not a smear"),
        "unusable": _("not usable"),
        "failed": _("failed"),
        "repeated": _("repeated"),
        "held": _("held"),
        "pending": _("still being analysed"),
    }
    became = ", ".join(f"{counts[key]} {name}" for key, name in names.items() if counts.get(key))
    total = counts.get("total", 0)
    said = ngettext("%(n)s field", "%(n)s fields", total) % {"n": total}
    cells = sum(f.cell_count or 0 for f in statement.fields if f.outcome == Outcome.CLASSIFIED)
    outlined = ngettext(
        "%(n)s cell outlined in what was read.", "%(n)s cells outlined in what was read.", cells
    )
    return f"{said}{': ' if became else ''}{became}. {outlined % {'n': cells}}"


def _support(share: float) -> str:
    """A probability in words, by the bands of the whole product."""
    if share >= CLEAR_FROM:
        return _("speaks clearly for it")
    if share >= LEANING_FROM:
        return _("leans towards it")
    return _("possible") if share >= POSSIBLE_FROM else _("little speaks for it")


def _shown(statement: Statement) -> list[Field]:
    """The fields to print: those that were read first, then those that the model does not know."""
    looked_at = [Outcome.CLASSIFIED, Outcome.UNFAMILIAR]
    fields = [f for outcome in looked_at for f in statement.fields if f.outcome == outcome]
    return fields[:MOST_PICTURES]


def _pictures(
    statement: Statement, shown: list[Field], files: dict[str, bytes | None]
) -> dict[str, Any]:
    items = [
        _item(field, name if content else "")
        for field, (name, content) in zip(shown, files.items(), strict=True)
    ]
    parts: list[Part] = [{"kind": "pictures", "columns": 3, "items": items}]
    if (total := len(statement.fields)) > len(shown):
        words = {"shown": len(shown), "total": total}
        said = _("%(shown)s of %(total)s fields. The case page shows all of them.") % words
        parts.append({"kind": "small", "text": said})
    return {"title": _("Fields, with the cells outlined by the computer"), "parts": parts}


def _item(field: Field, file: str) -> dict[str, Any]:
    cells = field.cell_count or 0
    counted = ngettext("%(n)s cell outlined", "%(n)s cells outlined", cells) % {"n": cells}
    said = _("Unlike what the model knows")
    if field.outcome == Outcome.CLASSIFIED:
        said = wording.hedged(field.label, certainty_of(field.probabilities))
    words = {"number": field.number, "cells": counted}
    alt = _("Field %(number)s under the microscope, %(cells)s.")
    if not file:
        alt = _("The picture of field %(number)s can no longer be read.")
    caption = [_("Field %(number)s · %(cells)s") % words, said]
    if field.synthetic:
        caption.append(_("Drawn by a program"))
    return {"file": file, "alt": alt % words, "caption": caption}
