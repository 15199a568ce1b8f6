"""Promises about the language of a page: one’s own, on every device, and the right way round."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.conf import settings
from django.core import mail
from django.test import Client
from django.urls import reverse
from django.utils import translation

from diagnostics.services import notices, signed_words
from hospital.base import shaping
from tests.diagnostics.test_portal_words import sign
from tests.world import World

pytestmark = pytest.mark.django_db

AT = datetime(2026, 11, 3, 14, 5, tzinfo=UTC)


def told(client: Client, path: str, **more: Any) -> str:
    return client.get(path, **more).content.decode()


def choose(client: Client, language: str, back: str = "/portal/") -> Any:
    return client.post(reverse("language"), {"language": language}, headers={"referer": back})


def test_a_newcomers_browser_is_answered_in_its_language() -> None:
    page = told(Client(), "/login/", headers={"accept-language": "fa-IR,fa;q=0.9"})
    assert '<html lang="fa" dir="rtl">' in page
    assert "ورود" in page
    assert '<html lang="en" dir="ltr">' in told(Client(), "/login/")


def test_the_choice_goes_with_the_person_to_another_device(world: World) -> None:
    first, second = Client(), Client()
    for client in (first, second):
        client.force_login(world.guardian)
    answer = choose(first, "bn", "http://testserver/portal/")
    assert answer["Location"] == "http://testserver/portal/"
    assert '<html lang="bn" dir="ltr">' in told(second, "/portal/")


def test_the_choice_before_signing_in_is_kept_by_the_browser() -> None:
    client = Client()
    choose(client, "es", "http://testserver/login/")
    assert "Iniciar sesión" in told(client, "/login/")


def test_a_language_that_is_not_there_changes_nothing(world: World) -> None:
    client = Client()
    client.force_login(world.guardian)
    choose(client, "xx")
    world.guardian.refresh_from_db()
    assert world.guardian.language == ""


def test_nobody_is_led_away_by_choosing_a_language() -> None:
    assert choose(Client(), "es", "https://elsewhere.example/")["Location"] == "/"


def test_staff_read_english_whatever_their_browser_asks_for(world: World) -> None:
    """Only the portal is complete in other languages."""
    client = Client()
    client.force_login(world.technician)
    page = told(client, "/worklist/", headers={"accept-language": "fa"})
    assert '<html lang="en" dir="ltr">' in page
    assert reverse("language") not in page


@pytest.mark.parametrize("language", [code for code, _ in settings.LANGUAGES if code != "en"])
def test_the_signed_words_are_read_in_ones_own_language(world: World, language: str) -> None:
    report = sign(world)
    world.guardian.language = language
    world.guardian.save()
    client = Client()
    client.force_login(world.guardian)
    page = told(client, reverse("portal-report", args=[report.pk]))
    signed = report.versions.get().content["words"]["levels"]["plain"]
    english, own = signed["en"], signed[language]
    assert own["means"] != english["means"]
    assert own["means"].splitlines()[0] in page
    assert english["means"] not in page


def test_what_was_signed_is_read_as_signed_though_the_catalogue_has_changed(world: World) -> None:
    words = sign(world).versions.get().content["words"]
    words["levels"]["plain"]["es"]["means"] = "as signed then"
    shown = signed_words.shown(words, "plain", "es")
    assert shown is not None
    assert (shown.words.means, shown.translated) == ("as signed then", True)


@pytest.mark.parametrize(
    ("language", "day", "moment"),
    [
        ("en", "3 November 2026", "3 November 2026, 14:05"),
        ("es", "3 de noviembre de 2026", "3 de noviembre de 2026, 14:05"),
        ("bn", "৩ নভেম্বর ২০২৬", "৩ নভেম্বর ২০২৬, ১৪:০৫"),
        ("fa", "۳ نوامبر ۲۰۲۶", "۳ نوامبر ۲۰۲۶، ساعت ۱۴:۰۵"),
    ],
)
def test_days_and_digits_are_those_of_the_language(language: str, day: str, moment: str) -> None:
    with translation.override(language):
        assert (shaping.day(AT.date()), shaping.moment(AT)) == (day, moment)


def test_a_telephone_number_is_not_turned_round_and_keeps_its_digits() -> None:
    with translation.override("fa"):
        assert (
            shaping.apart("555 0100")
            == "\N{FIRST STRONG ISOLATE}555 0100\N{POP DIRECTIONAL ISOLATE}"
        )
    assert shaping.apart("555 0100") == "555 0100"


def test_each_reader_is_mailed_in_their_own_language(world: World, settings: Any) -> None:
    settings.PORTAL_MAILS = True
    world.guardian.email, world.guardian.language = "g@example.org", "es"
    world.guardian.save()
    sign(world)
    notices.mail_families()
    assert mail.outbox[0].subject == "Hay algo nuevo en su portal"


@pytest.mark.parametrize("wrong", ["97 por ciento", "৯৭ শতাংশ", "۹۷٪", "۹۷ درصد"])
def test_a_percentage_is_refused_in_every_language(world: World, wrong: str) -> None:
    with pytest.raises(signed_words.Refusal) as refused:
        signed_words.frozen("benign", world.clinic, {"plain": {"means": wrong}})
    assert refused.value.code == "figure_in_words"
