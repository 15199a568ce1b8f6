"""What patients read: plain, never alarming, never without a next step, never a figure."""

import re
from types import SimpleNamespace
from typing import Any

import pytest

from diagnostics.models import Certainty, Conclusion
from diagnostics.patient_message import Tone, patient_message
from diagnostics.wording import advice_for, impression_in_words

FORBIDDEN = re.compile(r"\d|%|pre-b|pro-b|\bALL\b|hematogone|haematogone|malignant|cancer", re.I)


def report(
    *, conclusion: str = "", impression: str = "", certainty: str = "", dissent: int = 0
) -> Any:
    """As much of a report as the wording looks at."""
    return SimpleNamespace(
        status="final" if conclusion else "partial",
        is_signed=bool(conclusion),
        conclusion=conclusion,
        impression=impression,
        certainty=certainty,
        findings={"dissent": dissent},
        patient=SimpleNamespace(given_names="Amina"),
    )


@pytest.mark.parametrize(
    ("conclusion", "tone"),
    [
        (Conclusion.BENIGN, Tone.CALM),
        (Conclusion.EARLY_PRE_B, Tone.SPECIALIST),
        (Conclusion.PRE_B, Tone.SPECIALIST),
        (Conclusion.PRO_B, Tone.SPECIALIST),
        (Conclusion.UNDETERMINED, Tone.MORE_TESTS),
    ],
)
def test_a_signed_report_says_what_the_doctor_concluded(conclusion: str, tone: str) -> None:
    """Whatever the model thought."""
    message = patient_message(
        report(conclusion=conclusion, impression="benign", certainty=Certainty.CLEAR),
        guardian=False,
    )
    assert message.tone == tone
    assert message.reviewed == "Reviewed by a doctor"


@pytest.mark.parametrize(
    ("impression", "certainty", "dissent", "tone"),
    [
        ("benign", Certainty.CLEAR, 0, Tone.CALM),
        ("benign", Certainty.CLEAR, 1, Tone.MORE_TESTS),
        ("benign", Certainty.LEANING, 0, Tone.MORE_TESTS),
        ("benign", Certainty.UNCERTAIN, 0, Tone.MORE_TESTS),
        ("pre_b", Certainty.CLEAR, 0, Tone.SPECIALIST),
        ("pro_b", Certainty.LEANING, 0, Tone.SPECIALIST),
        ("early_pre_b", Certainty.UNCERTAIN, 0, Tone.MORE_TESTS),
        ("", "", 0, Tone.MORE_TESTS),
    ],
)
def test_before_a_signature_only_a_clear_and_unanimous_benign_reassures(
    impression: str, certainty: str, dissent: int, tone: str
) -> None:
    message = patient_message(
        report(impression=impression, certainty=certainty, dissent=dissent), guardian=False
    )
    assert message.tone == tone
    assert message.reviewed == "Not yet reviewed by a doctor"


@pytest.mark.parametrize("guardian", [True, False])
@pytest.mark.parametrize(
    "written",
    [
        *[report(conclusion=conclusion) for conclusion in Conclusion.values],
        *[
            report(impression=impression, certainty=certainty)
            for impression in ("benign", "pre_b", "")
            for certainty in Certainty.values
        ],
    ],
)
def test_every_message_is_plain_and_has_a_next_step(written: Any, guardian: bool) -> None:
    """No figures, no class names, and always something to do."""
    message = patient_message(written, guardian=guardian)
    whole = " ".join([message.title, *message.paragraphs, *message.next_steps])
    assert not FORBIDDEN.search(whole), whole
    assert message.next_steps
    assert all(len(step) < 120 for step in message.next_steps)


def test_a_guardian_is_spoken_to_about_the_child() -> None:
    message = patient_message(report(conclusion=Conclusion.PRE_B), guardian=True)
    assert "Amina" in message.next_steps[0]


def test_advice_on_a_rejected_picture() -> None:
    """Known codes get their own advice, unknown ones a general one, none for none."""
    assert "Focus" in advice_for("out_of_focus")
    assert advice_for("of a later version") == "Take the picture again."
    assert advice_for("") == ""


def test_a_signed_benign_result_promises_no_more_than_a_smear_can_show() -> None:
    """Good news, and still the doctor and the next check."""
    message = patient_message(report(conclusion=Conclusion.BENIGN), guardian=True)
    steps = " ".join(message.next_steps)
    assert message.title.startswith("Good news")
    assert "when the next check is" in steps
    assert "See your doctor" in steps
    assert "looked at the pictures of the blood smear" in message.paragraphs[0]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"unfamiliar": 1, "pending": 1}, "Being analysed"),
        ({"unfamiliar": 1, "unusable": 2}, "Unlike what the model knows: needs a reader"),
        ({"unfamiliar": 1, "failed": 1}, "Unlike what the model knows: needs a reader"),
        ({"failed": 1, "unusable": 1}, "Analysis failed"),
        ({"unusable": 1, "not_a_smear": 1}, "No usable picture"),
    ],
)
def test_why_there_is_no_impression(fields: dict[str, int], words: str) -> None:
    """A good picture of unfamiliar cells is never called unusable."""
    written = report()
    written.findings["fields"] = fields
    assert impression_in_words(written) == words
