"""A signed conclusion as its family reads it, at three reading levels.

Written to be read by the patient and by a guardian alike, so nobody is addressed as the ill one.
Never a class name alone, never a probability, always a next step and somebody to call. The
haematologist accepts or rewrites these words with the signature (`services.signed_words`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from diagnostics.models import Conclusion
from diagnostics.models.analysis import CLASS_NAMES
from hospital.base.shaping import apart

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

SIMPLE, PLAIN, DETAILED = LEVELS = ("simple", "plain", "detailed")
LEVEL_NAMES: dict[str, StrOrPromise] = {
    SIMPLE: gettext_lazy("Simple"),
    PLAIN: gettext_lazy("Plain"),
    DETAILED: gettext_lazy("Detailed"),
}
# What a person may rewrite; the call is the clinic's own name and number.
PARTS = ("means", "means_not", "next")
PART_NAMES: dict[str, StrOrPromise] = {
    "means": gettext_lazy("What it means"),
    "means_not": gettext_lazy("What it cannot tell"),
    "next": gettext_lazy("What happens next"),
}


@dataclass(frozen=True)
class Words:
    """One level. Paragraphs, and in `next` the steps, stand each on a line of their own."""

    means: str
    means_not: str
    next: str
    call: str

    def as_dict(self) -> dict[str, str]:
        """For a snapshot."""
        return asdict(self)


def template(conclusion: str, level: str, *, clinic: str, telephone: str) -> Words:
    """The house's own words, in the language that is active.

    Args:
        conclusion: a `Conclusion`.
        level: one of LEVELS.
        clinic: its name.
        telephone: its number, '' when there is none.
    """
    said = Conclusion(conclusion)
    if said == Conclusion.BENIGN:
        parts = _BENIGN[level]()
    elif said == Conclusion.UNDETERMINED:
        parts = _UNDETERMINED[level]()
    else:
        parts = _detailed_malignant(said) if level == DETAILED else _MALIGNANT[level]()
    means, means_not, steps = parts
    return Words(means, means_not, "\n".join(steps), call_line(clinic, telephone))


def call_line(clinic: str, telephone: str) -> str:
    """Whom to call."""
    if telephone:
        words = {"clinic": apart(clinic), "number": apart(telephone)}
        return _("Call %(clinic)s, %(number)s, with any question about this report.") % words
    return _("Ask %(clinic)s any question about this report.") % {"clinic": apart(clinic)}


_Parts = tuple[str, str, list[str]]


def _at_once() -> str:
    return _("Call a doctor at once about a fever, bleeding, or being very tired and pale.")


def _simple_benign() -> _Parts:
    return (
        _("The blood cells look healthy. A doctor has looked at them."),
        _("One look at the blood cannot find every illness."),
        [_("Go to the next check as planned."), _at_once()],
    )


def _plain_benign() -> _Parts:
    return (
        _(
            "A doctor has looked at the blood under the microscope, helped by a computer, and saw "
            "no signs of leukaemia.\nSome young cells can look unusual and still be harmless. "
            "They are common in children and after an infection."
        ),
        _("It does not rule out every illness: one sample shows the blood of one day."),
        [
            _("Keep the appointments there are, and ask the clinic when the next check is."),
            _at_once(),
            _("See a doctor if something worries you."),
        ],
    )


def _detailed_benign() -> _Parts:
    return (
        _(
            "The haematologist read the smear, the blood spread on glass and stained, with the "
            "help of a computer that outlines and compares cells. No leukaemic blasts were seen."
            "\nYoung lymphocytes called haematogones may be present. They are a normal stage of "
            "B cells and often increase in children, after infections and after treatment."
        ),
        _(
            "A smear judges how cells look. It does not replace a blood count, and it cannot see "
            "changes in the genes of cells or in the bone marrow."
        ),
        [
            _("No further test follows from this smear alone."),
            _("The treating doctor puts it together with the blood count and the examination."),
            _at_once(),
        ],
    )


def _simple_malignant() -> _Parts:
    return (
        _("Some blood cells look different from healthy ones. A doctor for blood must check why."),
        _("It is not sure yet what it is. Nobody did anything wrong, and there is help."),
        [
            _("See the doctor for blood in the next days. The clinic helps to arrange it."),
            _("More tests will show what it is."),
            _at_once(),
        ],
    )


def _plain_malignant() -> _Parts:
    return (
        _(
            "A doctor has looked at the blood under the microscope, helped by a computer, and saw "
            "cells that can be a sign of leukaemia, an illness of the blood. A specialist for "
            "blood (a haematologist) should look into it soon."
        ),
        _(
            "It is not proof: one smear alone cannot tell for sure. It also says nothing about "
            "how an illness would go. There are good treatments if they are needed."
        ),
        [
            _("Arrange to see a haematologist in the next days."),
            _("Call the clinic if you have not heard from it by tomorrow; it will help you."),
            _at_once(),
        ],
    )


def _detailed_malignant(conclusion: Conclusion) -> _Parts:
    name = {"name": apart(CLASS_NAMES[conclusion.value])}
    means = (
        _(
            "The haematologist saw immature white cells (blasts) in the smear whose look fits "
            "acute lymphoblastic leukaemia, ALL, an illness in which young lymphocytes do not "
            "ripen.\nReports call this look “%(name)s”. The name says how far the cells have "
            "ripened, by their shape alone."
        )
        % name
    )
    return (
        means,
        _(
            "It is a suspicion from the look of cells, not a diagnosis. The name says nothing by "
            "itself about how serious it is or how well a treatment works; most children with ALL "
            "are cured today."
        ),
        [
            _("A haematologist examines the patient and takes blood again, in the next days."),
            _(
                "The cells’ markers (flow cytometry) and genes are tested, usually from bone "
                "marrow, to confirm it or to rule it out."
            ),
            _("Only then is a treatment decided upon, together with the family."),
            _at_once(),
        ],
    )


def _simple_undetermined() -> _Parts:
    return (
        _("The blood did not give a clear answer. A doctor has looked at it."),
        _("It is not good news and not bad news."),
        [_("There will be another test. The clinic will say which one."), _at_once()],
    )


def _plain_undetermined() -> _Parts:
    return (
        _(
            "A doctor has looked at the blood under the microscope, helped by a computer. It does "
            "not give a clear answer."
        ),
        _("It says nothing good and nothing bad. This happens often."),
        [
            _("The clinic will tell you which test comes next. You may also call and ask."),
            _at_once(),
        ],
    )


def _detailed_undetermined() -> _Parts:
    return (
        _(
            "The haematologist read the smear, the blood spread on glass and stained, and could "
            "not assign what was seen to healthy or to suspicious cells. Few cells, a thick "
            "smear, an uneven stain or cells between two looks can be the reason."
        ),
        _("It does not mean that something was found, nor that everything is well."),
        [
            _("A fresh sample is taken, or the cells’ markers are tested (flow cytometry)."),
            _("The clinic will tell you which of these, and when."),
            _at_once(),
        ],
    )


_BENIGN = {SIMPLE: _simple_benign, PLAIN: _plain_benign, DETAILED: _detailed_benign}
_MALIGNANT = {SIMPLE: _simple_malignant, PLAIN: _plain_malignant}
_UNDETERMINED = {
    SIMPLE: _simple_undetermined,
    PLAIN: _plain_undetermined,
    DETAILED: _detailed_undetermined,
}
