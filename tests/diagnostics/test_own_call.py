"""Own call first: nothing of the model's reaches a reader who has not said what they see."""

import json
from typing import Any

import pytest
from django.db import DatabaseError, transaction
from django.test import Client
from django.urls import reverse

from diagnostics.models import Analysis, DiagnosticReport, HeatMap, HeatMapState, Outcome, OwnCall
from diagnostics.models.analysis import CLASS_NAMES
from diagnostics.services import own_call, reading_rules, reports
from hospital.audit.models import Entry
from hospital.base.problems import Conflict, Forbidden, Refusal
from hospital.live.models import Event
from tests.world import BENIGN, PASSWORD, SETUP, SURE, UNSURE, World, look_and_sign

pytestmark = pytest.mark.django_db

# What the model says, however it is written: its class in words and as a code, shares, bands.
WORDS = ["Suggests", "Leans towards", "Uncertain, nearest", "tone-malignant", "tone-uncertain"]
CODES = ["0.95", '"clear"', '"label":"pre_b"', '"impression":"pre_b"', '"group":"pre_b"']

LISTED = ["diagnosticreport", "analysis"]


@pytest.fixture
def blind(world: World) -> DiagnosticReport:
    """A case of a clinic where the own call comes first; the model is sure of Pre-B."""
    world.own_call_first()
    world.outline(world.succeed(world.receive(1), SURE))
    return DiagnosticReport.objects.get()


def client_of(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def addresses(report: DiagnosticReport) -> list[str]:
    """Every address that shows staff something of the case."""
    image = report.specimen.images.get()
    other = {"report_id": report.pk, "image_id": image.pk}
    return [
        reverse("case", args=[report.pk]),
        reverse("case-live", args=[report.pk]),
        reverse("case-field", kwargs=other),
        reverse("picture-cells", args=[image.pk]),
        reverse("worklist"),
        reverse("worklist-live"),
        f"{reverse('worklist')}?show=all&q={report.specimen.accession}",
        reverse("api:report-list"),
        reverse("api:report-detail", args=[report.pk]),
    ]


def told(user: Any, address: str) -> str:
    """What the address answers, without blanks in JSON."""
    answer = client_of(user).get(address)
    assert answer.status_code == 200, address
    if "json" in answer["Content-Type"]:
        return json.dumps(answer.json(), separators=(",", ":"))
    return answer.content.decode()


def leaks(text: str) -> list[str]:
    """What of the model's word stands in an answer."""
    found = [word for word in [*WORDS, *CODES] if word in text]
    # Choices and keys name every class, and each as often as the others.
    plain = text.replace(CLASS_NAMES["early_pre_b"], "another class")
    named = [plain.count(CLASS_NAMES[code]) for code in ("benign", "pre_b", "pro_b")]
    return [*found, *(["name"] if len(set(named)) > 1 else [])]


# --- hidden, and then shown -------------------------------------------------------------------


@pytest.mark.parametrize("who", ["technician", "haematologist", "superuser"])
def test_nothing_of_the_models_is_shown_before_the_call(
    world: World, blind: DiagnosticReport, who: str
) -> None:
    user = getattr(world, who)
    assert own_call.hides(user, blind)
    for address in addresses(blind):
        assert leaks(told(user, address)) == [], address


def test_after_the_call_everything_is_shown_to_who_made_it(
    world: World, blind: DiagnosticReport
) -> None:
    own_call.commit(user=world.haematologist, report=blind, call="benign")
    for address in addresses(blind):
        assert leaks(told(world.haematologist, address)), address
        assert leaks(told(world.technician, address)) == [], address
    case = told(world.haematologist, reverse("case", args=[blind.pk]))
    assert "the model said Pre-B ALL then" in case


@pytest.mark.parametrize("probabilities", [UNSURE, BENIGN])
def test_not_even_the_order_of_the_list_tells_what_the_model_says(
    world: World, probabilities: Any
) -> None:
    world.own_call_first()
    world.succeed(world.receive(1), probabilities)
    hidden = DiagnosticReport.objects.get()
    world.succeed(world.receive(2), outcome=Outcome.UNFAMILIAR)
    assert DiagnosticReport.objects.get().urgency == hidden.urgency == 1


def test_no_tab_and_no_filter_of_the_worklist_finds_what_is_hidden(
    world: World, blind: DiagnosticReport
) -> None:
    assert blind.impression
    client = client_of(world.technician)

    def rows(**choice: str) -> int:
        return len(client.get(reverse("worklist"), choice).context["rows"])

    assert rows(show="review") == 1
    assert rows(show="critical") == 0
    for reading in (blind.impression, "uncertain", "unfamiliar"):
        assert rows(show="all", reading=reading) == 0


def test_the_admin_does_not_list_what_is_hidden(world: World, blind: DiagnosticReport) -> None:
    """Its columns and filters would tell."""
    lists = [reverse(f"admin:diagnostics_{name}_changelist") for name in LISTED]
    for address in lists:
        assert blind.specimen.accession not in told(world.haematologist, address)
    own_call.commit(user=world.haematologist, report=blind, call="pre_b")
    for address in lists:
        assert blind.specimen.accession in told(world.haematologist, address)


def test_the_model_is_found_by_no_filter_before_the_call(
    world: World, blind: DiagnosticReport
) -> None:
    for query in ("impression=pre_b", "certainty=clear", "impression=benign"):
        assert '"results":[]' in told(world.technician, f"{reverse('api:report-list')}?{query}")
    own_call.commit(user=world.technician, report=blind, call="pre_b")
    found = told(world.technician, f"{reverse('api:report-list')}?impression=pre_b")
    assert str(blind.pk) in found


def test_a_field_the_model_does_not_know_looks_like_any_other(world: World) -> None:
    world.own_call_first()
    world.succeed(world.receive(1), outcome=Outcome.UNFAMILIAR)
    report = DiagnosticReport.objects.get()
    text = told(world.technician, reverse("case", args=[report.pk]))
    assert "Read by the model" in text
    assert "nlike" not in text
    assert '"unfamiliar":1' not in told(
        world.technician, reverse("api:report-detail", args=[report.pk])
    )


def test_where_the_model_looked_is_not_shown_either(world: World, blind: DiagnosticReport) -> None:
    analysis = Analysis.objects.get()
    client = client_of(world.haematologist)
    ask = reverse("picture-ask-heat", args=[analysis.image_id])
    assert client.post(ask).json()["code"] == "own_call_first"
    HeatMap.objects.create(
        analysis=analysis,
        asked_by=world.technician,
        state=HeatMapState.DRAWN,
        storage_key=analysis.image.storage_key,
    )
    drawn = reverse("picture", args=[analysis.image_id, "heat"])
    assert client.get(drawn).status_code == 404
    own_call.commit(user=world.haematologist, report=blind, call="pre_b")
    assert client.get(drawn).status_code == 200


def test_the_draft_is_not_printed_before_the_call(world: World, blind: DiagnosticReport) -> None:
    client = client_of(world.haematologist)
    answer = client.get(reverse("api:report-pdf", args=[blind.pk]))
    assert (answer.status_code, answer.json()["code"]) == (409, "own_call_first")
    assert client.get(reverse("case-pdf", args=[blind.pk])).status_code == 409
    own_call.commit(user=world.haematologist, report=blind, call="pre_b")
    assert client.get(reverse("case-pdf", args=[blind.pk])).status_code == 200


def test_nobody_verifies_or_signs_before_their_call(world: World, blind: DiagnosticReport) -> None:
    with pytest.raises(Conflict, match="own call first"):
        reports.verify(user=world.technician, report=blind, version=blind.version)
    sign = {"password": PASSWORD, "report": blind, "version": blind.version}
    with pytest.raises(Conflict) as refused:
        look_and_sign(user=world.haematologist, conclusion="pre_b", **sign)
    assert refused.value.code == "own_call_first"
    own_call.commit(user=world.haematologist, report=blind, call="pre_b")
    assert look_and_sign(user=world.haematologist, conclusion="pre_b", **sign).is_signed


def test_what_is_signed_is_hidden_from_nobody(world: World, blind: DiagnosticReport) -> None:
    own_call.commit(user=world.haematologist, report=blind, call="pre_b")
    signed = look_and_sign(world.haematologist, blind)
    assert not own_call.hides(world.technician, signed)


# --- the rule ---------------------------------------------------------------------------------


def test_where_the_clinic_does_not_want_it_nothing_is_hidden(world: World) -> None:
    report = world.reported()
    assert not own_call.hides(world.technician, report)
    with pytest.raises(Conflict) as refused:
        own_call.commit(user=world.technician, report=report, call="pre_b")
    assert refused.value.code == "open_already"


def test_a_changed_rule_holds_at_once_and_tells_the_screens(world: World) -> None:
    report = world.reported()
    world.own_call_first()
    report.refresh_from_db()
    assert own_call.hides(world.technician, report)
    assert Event.objects.filter(kind="reading_rule.changed").exists()
    rule = world.clinic.reading_rule
    rule.own_call_first = False
    reading_rules.save_rule(actor=SETUP, rule=rule)
    report.refresh_from_db()
    assert not own_call.hides(world.technician, report)


def test_another_clinics_rule_is_its_own(world: World) -> None:
    world.own_call_first()
    world.succeed(world.receive(3, specimen=world.other_specimen))
    report = DiagnosticReport.objects.get(specimen=world.other_specimen)
    assert not own_call.hides(world.outsider, report)


# --- the call ---------------------------------------------------------------------------------


def test_a_call_keeps_what_it_was_made_before(world: World, blind: DiagnosticReport) -> None:
    made = own_call.commit(user=world.haematologist, report=blind, call="undetermined")
    kept = (made.version, made.impression, made.certainty, made.package, made.agrees)
    assert kept == (blind.version, "pre_b", "clear", "tests-package abababababab", False)
    assert Entry.objects.filter(action="report.called", actor_id=world.haematologist.pk).exists()


def test_a_call_is_made_once_and_for_good(world: World, blind: DiagnosticReport) -> None:
    """The database itself keeps it."""
    own_call.commit(user=world.haematologist, report=blind, call="pre_b")
    with pytest.raises(Conflict) as refused:
        own_call.commit(user=world.haematologist, report=blind, call="benign")
    assert refused.value.code == "called_already"
    with pytest.raises(DatabaseError, match="written once"), transaction.atomic():
        OwnCall.objects.update(call="benign")
    with pytest.raises(DatabaseError, match="written once"), transaction.atomic():
        OwnCall.objects.all().delete()


def test_a_call_is_refused_to_strangers_and_must_be_one(
    world: World, blind: DiagnosticReport
) -> None:
    for user in (world.outsider, world.administrator, world.guardian):
        with pytest.raises(Forbidden):
            own_call.commit(user=user, report=blind, call="pre_b")
    with pytest.raises(Refusal, match="Choose what you see"):
        own_call.commit(user=world.technician, report=blind, call="pretty")


def test_there_is_nothing_to_call_before_the_first_picture_is_read(world: World) -> None:
    world.own_call_first()
    world.receive(1)
    report = DiagnosticReport.objects.get()
    with pytest.raises(Conflict) as refused:
        own_call.commit(user=world.technician, report=report, call="pre_b")
    assert refused.value.code in {"nothing_yet", "open_already"}
