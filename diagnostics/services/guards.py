"""What must hold before anybody acts on a report or picture; each refuses with a stable code."""

from typing import Any

from diagnostics.looking import fields_left
from diagnostics.models import DiagnosticReport, FieldImage, Signature
from diagnostics.services import own_call
from diagnostics.services.findings import counting
from hospital.accounts.guards import ensure_may
from hospital.accounts.models import FieldsToSee
from hospital.base.problems import Conflict, Forbidden, Refusal, ensure_fits
from hospital.base.states import StaleState

LONGEST_REASON = 2000


def ensure_current(report: DiagnosticReport, version: int) -> None:
    """Pass whoever has seen the report as it stands.

    Raises:
        StaleState: it is not at `version` any more.
    """
    if report.version != version:
        raise StaleState(
            "The report has changed since this page was loaded. Look at it again, then sign."
        )


def ensure_something_counts(report: DiagnosticReport) -> None:
    """Pass a report of which not every picture is held.

    Raises:
        Conflict: every one is (`all_held`).
    """
    fields = report.findings["fields"]
    if fields.get("held") and not counting(fields):
        raise Conflict(
            "Every picture of this report is held. Release those that you trust, or have them "
            "taken again; then go on.",
            code="all_held",
        )


def is_erased(image: FieldImage) -> bool:
    """Whether the picture was of a patient who is erased; a control slide's never is."""
    return bool(image.specimen and image.specimen.patient.erased_at)


def ensure_not_erased(image: FieldImage) -> None:
    """Pass a picture that is still somebody's, or a control slide's.

    Raises:
        Conflict: its patient is erased (`patient_erased`).
    """
    if is_erased(image):
        raise Conflict(
            "This patient's data is erased: there is no picture to look at any more.",
            code="patient_erased",
        )


def ensure_signable(user: Any, report: DiagnosticReport, version: int) -> None:
    """Pass `user` with what they have seen as `version`: all of it, and nothing still to come.

    Raises:
        Forbidden: `user` may not sign in this clinic.
        StaleState: the report is not at `version` any more.
        Conflict: every picture is held (`all_held`), some are still being analysed
            (`pending_images`), or were never shown to `user` (`fields_unseen`); or the clinic
            wants an own call first and `user` has made none (`own_call_first`).
    """
    ensure_may(user, "diagnostics.sign_diagnosticreport", report.clinic_id)
    ensure_current(report, version)
    own_call.ensure_called(user, report)
    ensure_something_counts(report)
    if report.findings["fields"].get("pending"):
        raise Conflict(
            "Pictures are still being analysed. Wait for them, then sign.", code="pending_images"
        )
    _ensure_seen(user, report)


def ensure_nothing_waits(report: DiagnosticReport) -> None:
    """Pass a report of which no reading waits for a second reader.

    Raises:
        Conflict: one does (`waits_for_second_reader`).
    """
    if report.waiting_id is not None:
        raise Conflict(
            "A first reading waits for a second reader. Confirm it, or send it back.",
            code="waits_for_second_reader",
        )


def ensure_waiting(report: DiagnosticReport) -> Signature:
    """The reading that waits for a second reader.

    Raises:
        Conflict: none waits (`nothing_waits`).
    """
    if report.waiting is None:
        raise Conflict("No reading waits for a second reader.", code="nothing_waits")
    return report.waiting


def ensure_others_waiting(user: Any, report: DiagnosticReport) -> Signature:
    """The reading that waits for a second reader, if `user` can be that.

    Raises:
        Conflict: none waits (`nothing_waits`).
        Forbidden: it is `user`'s own (`own_work`).
    """
    waiting = ensure_waiting(report)
    if waiting.by_id == user.pk:
        raise Forbidden(
            "This is your own reading: another haematologist confirms it.", code="own_work"
        )
    return waiting


def ensure_reason(reason: str) -> str:
    """The reason, tidied.

    Raises:
        Refusal: there is none (`reason_missing`), or it is too long (`reason_too_long`).
    """
    if not reason.strip():
        raise Refusal("Say why, for those who read it later.", code="reason_missing")
    return ensure_fits(reason, LONGEST_REASON, what="reason")


def _ensure_seen(user: Any, report: DiagnosticReport) -> None:
    if report.clinic.fields_to_see != FieldsToSee.EVERY:
        return
    left = fields_left(user, report)
    if not left:
        return
    numbers = ", ".join(str(field.number) for field in left[:8]) + (", …" if left[8:] else "")
    raise Conflict(
        f"You have not been shown every field yet: {numbers} {'is' if len(left) == 1 else 'are'} "
        "left. Look at what is left, then sign.",
        code="fields_unseen",
        fields=[str(field.image_id) for field in left],
    )
