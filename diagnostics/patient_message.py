"""What a patient or guardian reads above the words that were signed, and before there are any.

Never a probability, a class name alone, or a message without a next step. The tone follows the
paper's page (section 6): reassuring for Benign, 'see a specialist' for a malignant class.
"""

from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from diagnostics.models import Certainty, Conclusion, DiagnosticReport, ReportStatus

DISCLAIMER = gettext_lazy("Computer-aided. Assists a qualified reader; not a diagnosis.")


class Tone:
    """How a patient's message feels; picks its picture and colour."""

    CALM = "calm"
    SPECIALIST = "specialist"
    MORE_TESTS = "more_tests"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True)
class PatientMessage:
    """A report in a patient's words."""

    tone: str
    title: str
    paragraphs: list[str]
    next_steps: list[str]
    reviewed: str  # who stands behind it, in a word


def patient_message(report: DiagnosticReport, *, guardian: bool) -> PatientMessage:
    """The report as the patient or a guardian reads it.

    Before a signature only a clear and unanimous benign result reassures; anything less says
    that more is to come.
    """
    if report.status == ReportStatus.ENTERED_IN_ERROR:
        return _withdrawn()
    tone = _tone(report)
    signed = report.is_signed
    builder = {
        Tone.CALM: _calm,
        Tone.SPECIALIST: _specialist,
        Tone.MORE_TESTS: _more_tests,
    }[tone]
    title, paragraphs = builder(signed=signed)
    return PatientMessage(
        tone=tone,
        title=title,
        paragraphs=paragraphs,
        next_steps=_next_steps(tone, signed=signed, name=report.patient, guardian=guardian),
        reviewed=_("Reviewed by a doctor") if signed else _("Not yet reviewed by a doctor"),
    )


def _withdrawn() -> PatientMessage:
    return PatientMessage(
        tone=Tone.WITHDRAWN,
        title=_("This report was withdrawn"),
        paragraphs=[
            _(
                "The clinic found a mistake and took this report back. Please do not rely on what "
                "you read in it, nor on a paper copy of it."
            ),
            _("That says nothing about your health, neither good nor bad."),
        ],
        next_steps=[
            _("Call the clinic and ask what holds now, and whether another sample is needed."),
            _("Throw paper copies away, and tell whoever you gave one to."),
        ],
        reviewed=_("Withdrawn by a doctor"),
    )


def _tone(report: DiagnosticReport) -> str:
    if report.is_signed:
        conclusion = Conclusion(report.conclusion)
        if conclusion == Conclusion.BENIGN:
            return Tone.CALM
        return Tone.SPECIALIST if conclusion.malignant else Tone.MORE_TESTS
    unsure = report.certainty in {"", Certainty.UNCERTAIN}
    if report.impression == Conclusion.BENIGN:
        unanimous = report.certainty == Certainty.CLEAR and not report.findings.get("dissent")
        return Tone.CALM if unanimous else Tone.MORE_TESTS
    return Tone.MORE_TESTS if unsure else Tone.SPECIALIST


def _calm(*, signed: bool) -> tuple[str, list[str]]:
    if signed:
        return _("Good news: no signs of leukaemia in this blood smear"), [
            _(
                "A doctor has looked at the pictures of the blood smear, helped by a computer. "
                "The cells look healthy."
            ),
            _(
                "Some young cells in the blood can look unusual and still be harmless. They are "
                "common in children and after an infection."
            ),
        ]
    return _("So far, the cells look healthy"), [
        _(
            "A computer has compared the blood cells with many others and saw no signs of "
            "leukaemia."
        ),
        _("A doctor still has to look at the result. Please wait for that before you rely on it."),
    ]


def _specialist(*, signed: bool) -> tuple[str, list[str]]:
    title = _("Please see a specialist about this result")
    if signed:
        return title, [
            _(
                "A doctor has looked at the blood smear and saw cells that a specialist for blood "
                "(a haematologist) should look into soon."
            ),
            _(
                "Such cells can be a sign of leukaemia, an illness of the blood. One smear alone "
                "cannot prove it: more tests are needed to be sure, and there are good treatments "
                "if they are needed."
            ),
        ]
    return title, [
        _("A computer has looked at the blood smear and found cells that a doctor should look at."),
        _(
            "A computer can be wrong, and this is not a diagnosis. A doctor has not looked at it "
            "yet; a specialist for blood (a haematologist) will find out what it means."
        ),
    ]


def _more_tests(*, signed: bool) -> tuple[str, list[str]]:
    if signed:
        return _("More tests are needed"), [
            _(
                "A doctor has looked at the blood smear. It does not give a clear answer, neither "
                "a good nor a bad one."
            ),
            _("This happens often. Another sample or another kind of test will tell more."),
        ]
    return _("The result is not clear yet"), [
        _(
            "A computer has looked at the blood smear and could not tell for sure what it shows. "
            "This says nothing good and nothing bad."
        ),
        _("A doctor will look at it and decide whether more tests are needed."),
    ]


def _next_steps(tone: str, *, signed: bool, name: object, guardian: bool) -> list[str]:
    given = getattr(name, "given_names", "")
    unwell = (
        _("Call a doctor at once if %(name)s has a fever, bleeds or is very tired and pale.")
        % {"name": given}
        if guardian
        else _("Call a doctor at once if you have a fever, bleed, or are very tired and pale.")
    )
    if tone == Tone.CALM:
        return (
            [
                _("Keep the appointments you have, and ask the clinic when the next check is."),
                unwell,
                _("See your doctor if something worries you: one smear cannot show everything."),
            ]
            if signed
            else [
                _("You need not do anything now. This page changes when a doctor has looked."),
                unwell,
            ]
        )
    if tone == Tone.SPECIALIST:
        see = (
            _("Arrange for %(name)s to see a haematologist in the next days.") % {"name": given}
            if guardian
            else _("Arrange to see a haematologist in the next days.")
        )
        return [
            see,
            _("Call the clinic if you have not heard from it by tomorrow; it will help you."),
            unwell,
        ]
    return [
        _("The clinic will tell you which test comes next. You may also call and ask."),
        unwell,
    ]
