"""Readers and models compared: on calls made before the model's word was shown."""

from collections import Counter
from typing import Any

import pytest
from django.test import Client

from diagnostics.concordance import ENOUGH, concordance_of, kappa_of
from diagnostics.models import DiagnosticReport, OwnCall
from diagnostics.selectors import own_calls_visible_to
from diagnostics.services import own_call
from tests.world import BENIGN, SURE, UNSURE, World, add_specimen, look_and_sign

pytestmark = pytest.mark.django_db


def pairs(*rows: list[int]) -> Counter[tuple[str, str]]:
    """A square table as counts."""
    return Counter({(str(i), str(j)): n for i, row in enumerate(rows) for j, n in enumerate(row)})


def test_kappa_and_its_interval_are_those_of_the_textbook() -> None:
    """Fleiss, Levin and Paik, Statistical Methods for Rates and Proportions, table 18.1."""
    kappa = kappa_of(pairs([75, 1, 4], [5, 4, 1], [0, 0, 10]))
    assert kappa is not None
    assert kappa.value == pytest.approx(0.676, abs=0.0005)
    assert (kappa.high - kappa.low) / 2 / 1.959964 == pytest.approx(0.088, abs=0.0005)


def test_judges_who_always_say_the_same_have_no_kappa() -> None:
    assert kappa_of(pairs([40])) is None
    assert kappa_of(Counter()) is None


def test_judges_who_never_agree_have_less_than_none() -> None:
    kappa = kappa_of(pairs([0, 20], [20, 0]))
    assert kappa is not None
    assert (kappa.value, kappa.low) == (-1.0, -1.0)


def called(world: World, number: int, call: str, probabilities: Any = SURE) -> DiagnosticReport:
    """A case that the haematologist has called."""
    specimen = add_specimen(world.patient, f"C-{number}")
    world.succeed(world.receive(number, specimen=specimen), probabilities)
    report = DiagnosticReport.objects.get(specimen=specimen)
    own_call.commit(user=world.haematologist, report=report, call=call)
    return report


def sign(report: DiagnosticReport, conclusion: str, user: Any) -> None:
    if not own_call.own_call(user, report):
        own_call.commit(user=user, report=report, call=conclusion)
    report.refresh_from_db()
    look_and_sign(user, report, conclusion)


def test_calls_stand_beside_the_models_word_and_what_was_signed(world: World) -> None:
    """What the reader signed themself does not prove them right; it tells whether they kept it."""
    world.own_call_first()
    sign(called(world, 1, "pre_b"), "pre_b", world.haematologist)
    sign(called(world, 2, "benign"), "pre_b", world.haematologist)
    called(world, 3, "undetermined", UNSURE)
    found = concordance_of(own_calls_visible_to(world.administrator))
    assert (found.whole.n, found.whole.alike) == (3, 2)
    (reader,) = found.readers
    assert reader.name == "Hana Sato"
    assert reader.package == "tests-package abababababab"
    assert (reader.own.alike, reader.own.n, reader.signed.n) == (1, 2, 0)
    pre_b = next(one for one in found.classes if one.name == "Pre-B ALL")
    assert (pre_b.reader, pre_b.model, pre_b.both) == (1, 2, 1)
    assert pre_b.percent == pytest.approx(200 / 3)


def test_what_another_signed_is_counted_apart(world: World) -> None:
    world.own_call_first()
    sign(called(world, 1, "benign", BENIGN), "benign", world.superuser)
    found = concordance_of(own_calls_visible_to(world.administrator))
    hana = next(one for one in found.readers if one.name == "Hana Sato")
    assert (hana.signed.alike, hana.signed.n, hana.own.n) == (1, 1, 0)


def test_a_few_cases_give_no_kappa_and_the_page_says_so(world: World) -> None:
    world.own_call_first()
    called(world, 1, "pre_b")
    client = Client()
    client.force_login(world.haematologist)
    text = client.get("/concordance/").content.decode()
    assert f"too few: {ENOUGH - 1} cases are missing" in text
    assert "1 of 1 cases" in text


def test_an_administrator_sees_every_reader_and_a_reader_only_themselves(world: World) -> None:
    world.own_call_first()
    report = called(world, 1, "pre_b")
    own_call.commit(user=world.technician, report=report, call="benign")
    assert own_calls_visible_to(world.administrator).count() == 2
    assert own_calls_visible_to(world.technician).get().by == world.technician
    assert not own_calls_visible_to(world.outsider).exists()
    assert not own_calls_visible_to(world.device_manager).exists()


def test_the_filters_narrow_what_is_counted(world: World) -> None:
    world.own_call_first()
    report = called(world, 1, "pre_b")
    own_call.commit(user=world.technician, report=report, call="benign")
    client = Client()
    client.force_login(world.administrator)
    address = "/concordance/"
    whole = client.get(address).context["concordance"].whole
    one = client.get(address, {"reader": str(world.technician.pk), "days": "30"})
    assert (whole.n, one.context["concordance"].whole.n) == (2, 1)
    assert client.get(address, {"reader": "nobody", "days": "x"}).status_code == 200
    assert OwnCall.objects.count() == 2
