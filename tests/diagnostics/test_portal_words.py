"""Promises about the family's words: signed with the report, at three levels, read as signed."""

import itertools
import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import translation

from diagnostics.documents.portal import portal
from diagnostics.documents.statement import of_version
from diagnostics.models import Conclusion, DiagnosticReport, ReportVersion
from diagnostics.models.analysis import CLASS_NAMES
from diagnostics.plain_words import LEVELS, PARTS, template
from diagnostics.services import signed_words, signing
from diagnostics.services.snapshots import digest_of, is_whole
from hospital.base.problems import Refusal
from tests.world import PASSWORD, World, by_hand, look, look_and_sign

pytestmark = pytest.mark.django_db

OWN = "Amina's cells need a second look, and we shall call you on Monday."


def sign(world: World, conclusion: str = "pre_b", **more: Any) -> DiagnosticReport:
    report = world.reported()
    return look_and_sign(world.haematologist, report, conclusion, **more)


def read(world: World, report: DiagnosticReport, client: Client | None = None, **query: str) -> str:
    client = client or Client()
    client.force_login(world.guardian)
    return client.get(reverse("portal-report", args=[report.pk]), query).content.decode()


@pytest.mark.parametrize(
    ("conclusion", "level"), list(itertools.product(Conclusion.values, LEVELS)), ids=str
)
def test_every_conclusion_has_all_its_words_at_every_level(conclusion: str, level: str) -> None:
    words = template(conclusion, level, clinic="North", telephone="555 0100")
    assert all(getattr(words, part) for part in PARTS)
    assert "555 0100" in words.call
    whole = " ".join(words.as_dict().values())
    assert not re.search(r"\d\s*%|probab", whole)
    for line in whole.splitlines():
        assert line.strip(" .“”") not in CLASS_NAMES.values()


def test_the_levels_grow_from_short_to_exact() -> None:
    for conclusion in Conclusion.values:
        lengths = [
            len(template(conclusion, level, clinic="N", telephone="").means) for level in LEVELS
        ]
        assert lengths == sorted(lengths)


def test_a_clinic_without_a_telephone_is_asked_by_name() -> None:
    assert "Ask North" in template("benign", "simple", clinic="North", telephone="").call


def test_the_accepted_words_are_frozen_and_proved(world: World) -> None:
    version = sign(world).versions.get()
    levels = version.content["words"]["levels"]
    assert set(levels) == set(LEVELS)
    usual = template("pre_b", "plain", clinic="North Clinic", telephone="555 0100")
    assert levels["plain"]["en"] == usual.as_dict()
    assert is_whole(version)


def test_what_the_haematologist_writes_is_what_the_family_reads(world: World) -> None:
    report = sign(world, words={"simple": {"means": f"  {OWN}\n\n"}})
    assert OWN.replace("'", "&#x27;") in read(world, report, level="simple")
    assert OWN not in read(world, report, level="plain")
    said = report.versions.get().content["words"]["levels"]["simple"]["en"]
    usual = template("pre_b", "simple", clinic="North Clinic", telephone="555 0100")
    assert (said["means"], said["next"]) == (OWN, usual.next)


def test_a_later_change_of_clinic_or_template_does_not_change_signed_words(world: World) -> None:
    report = sign(world)
    world.clinic.name = "Renamed"
    world.clinic.save()
    assert "Call North Clinic, 555 0100" in read(world, report)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("It is leukaemia with 97 % certainty.", "figure_in_words"),
        ("About 12 percent of cells.", "figure_in_words"),
        ("Pre-B ALL.", "class_name_alone"),
        ("x" * 2001, "words_too_long"),
    ],
)
def test_what_must_not_be_said_is_not_signed(world: World, text: str, code: str) -> None:
    with pytest.raises(Refusal) as refused:
        sign(world, words={"detailed": {"means": text}})
    assert refused.value.code == code
    assert not DiagnosticReport.objects.get().is_signed


def test_the_form_signs_the_words_and_keeps_them_with_a_refusal(world: World) -> None:
    report = world.reported()
    look(world.haematologist, report)
    client = Client()
    client.force_login(world.haematologist)
    form = {
        "version": report.version,
        "conclusion": "benign",
        "password": PASSWORD,
        "plain_means": "So sure: 99 %",
        "simple_means": OWN,
    }
    address = reverse("case-sign", args=[report.pk])
    answer = client.post(address, form)
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "Leave percentages out" in page
    assert OWN.replace("'", "&#x27;") in page
    assert client.post(address, {**form, "plain_means": ""}).status_code == 302
    words = report.versions.get().content["words"]["levels"]
    assert words["simple"]["en"]["means"] == OWN
    assert "no signs of leukaemia" in words["plain"]["en"]["means"]


def test_the_api_signs_words_too(world: World) -> None:
    report = world.reported()
    look(world.haematologist, report)
    client = Client()
    client.force_login(world.haematologist)
    body = {"version": report.version, "conclusion": "benign", "password": PASSWORD}
    address = reverse("api:report-sign", args=[report.pk])
    wrong = {**body, "words": {"plain": {"means": "99 %"}}}
    answer = client.post(address, wrong, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (422, "figure_in_words")
    right = {**body, "words": {"plain": {"means": OWN}}}
    assert client.post(address, right, content_type="application/json").status_code == 200
    assert report.versions.get().content["words"]["levels"]["plain"]["en"]["means"] == OWN


def test_the_level_is_a_link_and_remembered(world: World) -> None:
    report, client = sign(world), Client()
    assert "A specialist for blood" in read(world, report, client)
    assert "flow cytometry" in read(world, report, client, level="detailed")
    assert "flow cytometry" in read(world, report, client)
    assert "flow cytometry" in read(world, report, client, level="nonsense")


def test_the_paper_says_the_same_words(world: World) -> None:
    version = sign(world, words={"plain": {"means": OWN}}).versions.get()
    for level, said in [("plain", OWN), ("detailed", "flow cytometry"), ("simple", "Nobody did")]:
        sheet = portal(of_version(version), guardian=True, paper="a4", address="", level=level)
        assert said in str(sheet.data)


def test_an_older_snapshot_falls_back_to_todays_words(world: World) -> None:
    report = sign(world)
    version = report.versions.get()
    content = {k: v for k, v in version.content.items() if k != "words"}
    with by_hand("diagnostics_reportversion"):
        ReportVersion.objects.update(content=content, sha256=digest_of(content))
    page = read(world, report)
    assert "saw cells that a specialist for blood" in page
    assert "level-simple" not in page
    sheet = portal(
        of_version(report.versions.get()), guardian=True, paper="a4", address="", level="simple"
    )
    assert "saw cells that a specialist for blood" in str(sheet.data)


def test_unsigned_results_have_no_signed_words(world: World) -> None:
    world.at_once()
    report = world.reported()
    page = read(world, report, level="detailed")
    assert "Not yet reviewed by a doctor" in page
    assert "level-simple" not in page


def test_words_in_another_language_say_so_and_keep_their_direction(world: World) -> None:
    with translation.override("fa"):
        given = {level: {"means": "متن"} for level in LEVELS}
        signed = signed_words.frozen("benign", world.clinic, given)
    shown = signed_words.shown(signed, "plain", "en-gb")
    assert shown is not None
    assert (shown.language, shown.rtl, shown.translated) == ("fa", True, False)


def test_a_new_conclusion_never_keeps_the_old_words(world: World) -> None:
    report = sign(world, "benign", words={"plain": {"means": OWN}})
    change = signing.Change(becomes="corrected", conclusion="pre_b", reason="Seen again.")
    report = signing.amend(
        user=world.haematologist,
        password=PASSWORD,
        report=report,
        version=report.version,
        change=change,
    )
    newest = report.versions.first()
    assert newest is not None
    assert newest.content["words"]["conclusion"] == "pre_b"
    assert OWN not in str(newest.content)
