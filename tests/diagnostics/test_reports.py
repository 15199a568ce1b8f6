"""Promises about reports: who may sign, what a signature freezes, when a patient may read."""

import hashlib
import json
from typing import Any

import pytest

from diagnostics.models import Analysis, DiagnosticReport, Outcome, ReportStatus
from diagnostics.selectors import portal_reports, reports_visible_to
from diagnostics.services import analyses, findings, reports
from hospital.audit.models import Entry
from hospital.base.problems import Conflict, Forbidden, Refusal
from hospital.base.states import IllegalTransition, StaleState
from hospital.live.models import Event
from tests.world import BENIGN, PASSWORD, SURE, UNSURE, World, look_and_sign


def sign(world: World, report: DiagnosticReport, **changes: Any) -> DiagnosticReport:
    request = {
        "user": world.haematologist,
        "password": PASSWORD,
        "report": report,
        "version": report.version,
        "conclusion": "pre_b",
    }
    return look_and_sign(**{**request, **changes})


def topics_since(event_id: int) -> set[str]:
    return set(Event.objects.filter(id__gt=event_id).values_list("topic", flat=True))


def test_several_fields_speak_with_one_voice_and_dissent_is_counted(world: World) -> None:
    for seed, probabilities in enumerate([SURE, SURE, BENIGN]):
        world.succeed(world.receive(seed), probabilities)
    report = DiagnosticReport.objects.get()
    assert report.impression == "pre_b"
    assert report.findings["dissent"] == 1
    assert sum(report.findings["probabilities"].values()) == pytest.approx(1)


def test_the_same_picture_sent_under_another_id_is_no_further_evidence(world: World) -> None:
    for seed, probabilities in [(0, SURE), (1, BENIGN), (1, BENIGN), (1, BENIGN)]:
        world.succeed(world.receive(seed), probabilities)
    report = DiagnosticReport.objects.get()
    assert report.findings["fields"] == {"total": 4, "classified": 2, "repeated": 2}
    assert report.findings["probabilities"]["benign"] == pytest.approx(0.49)


def test_a_picture_sent_again_because_the_first_failed_does_count(world: World) -> None:
    first = world.receive(0)
    analyses.fail(world.claim(first), code="internal")
    world.succeed(world.receive(0))
    assert DiagnosticReport.objects.get().findings["fields"]["classified"] == 1


@pytest.mark.parametrize(
    ("probabilities", "words"), [(SURE, "clear"), (UNSURE, "uncertain"), (None, "")]
)
def test_sureness_is_said_in_words(probabilities: dict[str, float] | None, words: str) -> None:
    assert findings.certainty_of(probabilities) == words


def test_a_field_outside_the_training_never_counts_as_a_class(world: World) -> None:
    world.succeed(world.receive(0), SURE, outcome=Outcome.UNFAMILIAR)
    report = DiagnosticReport.objects.get()
    assert (report.impression, report.findings["fields"]["unfamiliar"]) == ("", 1)


def test_a_signature_freezes_the_report_under_a_digest(world: World) -> None:
    report = sign(world, world.reported(), comment="Blasts seen.")
    frozen = report.versions.get()
    canonical = json.dumps(
        frozen.content, sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    assert report.status == ReportStatus.FINAL
    assert frozen.sha256 == hashlib.sha256(canonical.encode()).hexdigest()
    assert frozen.content["conclusion"] == "pre_b"


def test_the_doctor_may_overrule_the_model(world: World) -> None:
    report = sign(world, world.reported(SURE), conclusion="benign")
    assert (report.impression, report.conclusion) == ("pre_b", "benign")


def test_pictures_after_the_signature_leave_what_was_signed_untouched(world: World) -> None:
    report = sign(world, world.reported())
    world.succeed(world.receive(77), BENIGN)
    report.refresh_from_db()
    assert (report.status, report.conclusion) == (ReportStatus.FINAL, "pre_b")
    assert report.findings["fields"]["total"] == 2
    assert report.versions.get().content["findings"]["fields"]["total"] == 1


@pytest.mark.parametrize(
    "who", ["technician", "device_manager", "administrator", "outsider", "guardian"]
)
def test_only_the_clinics_haematologist_signs(world: World, who: str) -> None:
    report = world.reported()
    with pytest.raises(Forbidden):
        sign(world, report, user=getattr(world, who))
    report.refresh_from_db()
    assert not report.is_signed


def test_a_signature_needs_the_password_a_conclusion_and_the_page_as_it_is(world: World) -> None:
    report = world.reported()
    with pytest.raises(Forbidden) as wrong:
        sign(world, report, password="guess")
    assert wrong.value.code == "wrong_password"
    with pytest.raises(Refusal) as missing:
        sign(world, report, conclusion="")
    assert missing.value.code == "conclusion_missing"
    with pytest.raises(StaleState):
        sign(world, report, version=report.version - 1)


def test_nobody_signs_while_pictures_are_still_being_read(world: World) -> None:
    world.reported()
    world.receive(5)
    report = DiagnosticReport.objects.get()
    with pytest.raises(Conflict) as refused:
        sign(world, report)
    assert refused.value.code == "pending_images"


def test_two_readers_cannot_sign_the_same_state(world: World) -> None:
    report = world.reported()
    seen = report.version
    sign(world, report)
    with pytest.raises((StaleState, IllegalTransition)):
        sign(world, report, version=seen)


def test_new_pictures_take_a_technicians_verification_back(world: World) -> None:
    report = world.reported()
    report = reports.verify(user=world.technician, report=report, version=report.version)
    assert report.status == ReportStatus.PRELIMINARY
    world.succeed(world.receive(9))
    report.refresh_from_db()
    assert (report.status, report.verified_by) == (ReportStatus.PARTIAL, None)


def test_by_default_the_patient_reads_only_what_is_signed(world: World) -> None:
    last = Event.objects.count()
    report = world.reported()
    assert not portal_reports(world.guardian).exists()
    assert topics_since(last) == {f"clinic.{world.clinic.pk}"}
    sign(world, report)
    assert portal_reports(world.guardian).get() == report
    assert f"patient.{world.patient.pk}" in topics_since(last)


def test_under_the_immediate_rule_the_patient_reads_at_once(world: World) -> None:
    world.at_once()
    world.receive()
    assert not portal_reports(world.guardian).exists()  # nothing to read yet
    world.succeed(world.receive(1))
    assert portal_reports(world.guardian).exists()


def test_a_clinic_that_turns_strict_again_hides_what_nobody_signed(world: World) -> None:
    world.at_once()
    world.reported()
    world.release("on_signature")
    assert not portal_reports(world.guardian).exists()
    last = Event.objects.order_by("-id").values_list("id", flat=True)[0]
    world.receive(3)
    assert topics_since(last) == {f"clinic.{world.clinic.pk}"}


@pytest.mark.parametrize("who", ["outsider", "device_manager", "administrator", "guardian"])
def test_nobody_sees_the_reports_of_a_clinic_they_do_not_read_in(world: World, who: str) -> None:
    world.reported()
    assert not reports_visible_to(getattr(world, who)).exists()


def test_a_stranger_never_reads_another_familys_report(world: World) -> None:
    sign(world, world.reported())
    assert not portal_reports(world.stranger).exists()


def test_a_name_changed_later_does_not_change_who_signed(world: World) -> None:
    report = sign(world, world.reported())
    world.haematologist.last_name = "Else"
    world.haematologist.save()
    assert report.versions.get().content["signed_by"] == "Hana Sato"


def test_every_step_leaves_its_trace(world: World) -> None:
    report = sign(world, world.reported(BENIGN), conclusion="benign")
    actions = list(
        Entry.objects.filter(patient_id=world.patient.pk)
        .order_by("id")
        .values_list("action", flat=True)
    )
    assert actions[-4:] == [
        "image.received",
        "analysis.succeeded",
        "report.signed",
        "report.released",
    ]
    assert Analysis.objects.get().package_digest
    assert report.released_at
