"""The fleet page: every microscope of one's clinics, how it is, and where it drifts."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from devices.models import Alert, AlertKind, Device, DeviceState, Heartbeat
from devices.services.alerts import raise_alert
from devices.services.registry import change_state, register_device
from diagnostics import trends
from diagnostics.fleet import scope_of, scopes_of
from diagnostics.models import Analysis, FieldImage, ImageState, Outcome
from diagnostics.services.fleet import watch_drift, watch_fleet, watch_rejections
from hospital.accounts.models import User
from tests.hands import signed_in
from tests.world import SETUP, World

pytestmark = pytest.mark.django_db


def fleet(user: User, path: str = "") -> Any:
    return signed_in(user).get(f"/fleet/{path}")


def beat(device: Device, ago: timedelta = timedelta(0), **said: Any) -> Heartbeat:
    """A heartbeat that came a while ago."""
    at = timezone.now() - ago
    Device.objects.filter(pk=device.pk).update(last_heartbeat_at=at, last_heartbeat=said)
    return Heartbeat.objects.create(device=device, received_at=at, **said)


def pictures(
    world: World, count: int, *, ago: timedelta = timedelta(0), rejection: str = "", **metrics: Any
) -> None:
    """`count` judged pictures of the clinic's microscope that came `ago`, with these figures."""
    state = ImageState.REJECTED if rejection else ImageState.ACCEPTED
    images = [
        FieldImage(
            id=uuid.uuid4(),
            specimen=world.specimen,
            device=world.device,
            sha256="0" * 64,
            storage_key="nowhere",
            media_type="image/jpeg",
            size=1,
            width=64,
            height=64,
            received_at=timezone.now() - ago,
            state=state,
            rejection=rejection,
        )
        for _ in range(count)
    ]
    FieldImage.objects.bulk_create(images)
    Analysis.objects.bulk_create(
        Analysis(
            image=image,
            state="succeeded",
            outcome=Outcome.UNUSABLE if rejection else Outcome.CLASSIFIED,
            quality={"verdict": "ok", "metrics": metrics},
        )
        for image in images
    )


def standing(world: World) -> str:
    scope = scope_of(world.device_manager, world.device.pk)
    assert scope is not None
    return scope.standing.code


# --- who sees what ------------------------------------------------------------------------------


def test_everyone_sees_the_microscopes_of_their_own_clinic(world: World) -> None:
    page = fleet(world.technician).content.decode()
    assert "Bench SN-1" in page
    assert "Bench SN-2" not in page
    assert str(world.other_device.pk) not in page


def test_another_clinics_microscope_has_no_page_here(world: World) -> None:
    assert fleet(world.device_manager, f"{world.device.pk}/").status_code == 200
    assert fleet(world.device_manager, f"{world.other_device.pk}/").status_code == 404
    assert fleet(world.device_manager, f"{world.other_device.pk}/live/").status_code == 404
    assert fleet(world.haematologist).status_code == 403


def test_no_page_of_the_fleet_names_a_patient(world: World) -> None:
    world.succeed(world.receive())
    for path in ("", "live/", f"{world.device.pk}/", f"{world.device.pk}/live/"):
        page = fleet(world.technician, path).content.decode()
        assert "Rahman" not in page
        assert world.specimen.accession not in page


def test_microscopes_stand_by_clinic_and_place(world: World) -> None:
    Device.objects.filter(pk=world.device.pk).update(place="Haematology, bench 2")
    page = fleet(world.superuser).content.decode()
    for words in ("North Clinic", "South Clinic", "Haematology, bench 2", "Place not given"):
        assert words in page


# --- how a microscope is ------------------------------------------------------------------------


def test_a_microscope_nobody_has_heard_of_is_not_called_fine(world: World) -> None:
    assert standing(world) == "new"
    beat(world.device)
    assert standing(world) == "fine"


def test_what_matters_most_is_said(world: World) -> None:
    beat(world.device)
    raise_alert(device=world.device, kind=AlertKind.DISK)
    assert standing(world) == "attention"
    raise_alert(device=world.device, kind=AlertKind.SILENT)
    assert standing(world) == "silent"
    change_state(actor=SETUP, device=world.device, to=DeviceState.SUSPENDED)
    assert standing(world) == "suspended"


def test_a_tile_says_what_the_microscope_said(world: World) -> None:
    beat(world.device, firmware="1.4.2", queue_length=12, oldest_unsent_seconds=900)
    Device.objects.filter(pk=world.device.pk).update(firmware="1.4.2")
    pictures(world, 6)
    pictures(world, 2, rejection="out_of_focus")
    page = fleet(world.technician).content.decode()
    for words in ("1.4.2", "12, the oldest 15 minutes", "2 of 8", "out of focus 2"):
        assert words in page


def test_a_retired_microscope_is_off_the_map_and_keeps_its_page(world: World) -> None:
    change_state(actor=SETUP, device=world.device, to=DeviceState.RETIRED)
    assert scopes_of(world.device_manager) == []
    page = fleet(world.device_manager, f"{world.device.pk}/").content.decode()
    assert "Retired" in page


def test_the_header_counts_open_alerts_for_those_who_may_see_them(world: World) -> None:
    world.reported()
    raise_alert(device=world.device, kind=AlertKind.DISK)
    raise_alert(device=world.other_device, kind=AlertKind.DISK)
    ours = signed_in(world.technician).get("/worklist/").content.decode()
    assert 'class="alerts"' in ours
    assert "1<span" in ours
    theirs = signed_in(world.haematologist).get("/worklist/").content.decode()
    assert 'class="alerts"' not in theirs
    assert 'id="to-fleet"' not in theirs


def test_patients_and_guardians_are_shown_no_way_to_the_wards(world: World) -> None:
    page = signed_in(world.guardian).get("/portal/").content.decode()
    assert "/fleet/" not in page
    assert "/worklist/" not in page


def test_a_program_is_never_taken_for_a_microscope(world: World) -> None:
    assert "not a real microscope" not in fleet(world.technician).content.decode()
    Device.objects.filter(pk=world.device.pk).update(make="Simulated")
    for path in ("", f"{world.device.pk}/"):
        assert "not a real microscope" in fleet(world.technician, path).content.decode()


# --- trends -------------------------------------------------------------------------------------


def test_a_worn_lamp_shows_as_a_drift(world: World) -> None:
    for day in range(30):
        brightness = 180 if day < 3 else 230 + day % 3
        pictures(world, 2, ago=timedelta(days=day), brightness=brightness, focus=1.8, stain=0.03)
    page = fleet(world.device_manager, f"{world.device.pk}/").content.decode()
    assert page.count("Drifting.") == 1
    assert "180 in the last days, 231 ± 3 before" in page
    assert "Look at lamp" in page


def test_a_drift_is_told_before_anyone_looks_and_ends_with_the_lamp_changed(world: World) -> None:
    for day in range(30):
        pictures(world, 2, ago=timedelta(days=day), stain=0.06 if day < 3 else 0.03 + day % 3 / 1e3)
    assert (watch_drift(), watch_drift()) == (1, 0)
    assert Alert.objects.get().detail == (
        "Stain: 0.060 in the last days, 0.031 ± 0.003 before. "
        "Look at the stain batch, its pH and the staining time."
    )
    pictures(world, 200, stain=0.031)
    pictures(world, 200, ago=timedelta(days=1), stain=0.031)
    assert (watch_drift(), watch_drift()) == (1, 0)
    assert open_kinds() == []


def test_what_is_as_usual_is_no_drift(world: World) -> None:
    for day in range(30):
        pictures(world, 2, ago=timedelta(days=day), brightness=230 + day % 3)
    assert "Drifting." not in fleet(world.device_manager, f"{world.device.pk}/").content.decode()


@pytest.mark.parametrize(
    ("earlier", "recent", "notable"),
    [
        ([2.0, 2.1, 1.9] * 9, [1.5, 1.5, 1.5], True),
        ([2.0, 2.1, 1.9] * 9, [2.2, 2.2, 2.2], False),
        ([2.0] * 27, [2.01] * 3, False),  # alike to the digit: a hundredth is no drift
        ([2.0] * 27, [2.1] * 3, True),
        ([1.0, 3.0] * 13, [1.0, 9.0, 1.0], False),  # one bad day among three
    ],
)
def test_drift_is_three_days_outside_the_month_before(
    earlier: list[float], recent: list[float], notable: bool
) -> None:
    today = timezone.localdate()
    values = [*reversed(recent), *earlier]
    drift = trends.drift_of({today - timedelta(days=n): v for n, v in enumerate(values)})
    assert drift is not None
    assert drift.is_notable is notable


def test_of_few_days_nothing_is_said() -> None:
    today = timezone.localdate()
    assert trends.drift_of({}) is None
    assert trends.drift_of({today - timedelta(days=n): 1.0 for n in range(3, 30)}) is None
    assert trends.drift_of({today - timedelta(days=n): 1.0 for n in range(6)}) is None


def test_figures_are_added_up_by_day(world: World) -> None:
    pictures(world, 3, focus=1.0)
    pictures(world, 1, focus=3.0)
    pictures(world, 2, ago=timedelta(days=1), rejection="too_dark", focus=2.0)
    pictures(world, 1, ago=timedelta(days=8))
    today = timezone.localdate()
    yesterday = today - timedelta(days=1)
    assert trends.quality_by_day(world.device, 7)["focus"] == {today: 1.5, yesterday: 2.0}
    counts = trends.pictures_by_day(world.device, 7)
    assert (counts[today][""], counts[yesterday]["too_dark"]) == (4, 2)
    assert set(counts) == {today, yesterday}
    beat(world.device, queue_length=4, free_bytes=10)
    beat(world.device, queue_length=9, free_bytes=30)
    said = trends.heartbeats_by_day(world.device, 7)
    assert (said["queue"], said["free"], said["signal"]) == ({today: 9.0}, {today: 10.0}, {})


@pytest.mark.parametrize("days", ["7", "30", "90", "", "0", "-1", "many", "1000000"])
def test_the_time_shown_is_one_of_three(world: World, days: str) -> None:
    answer = fleet(world.technician, f"{world.device.pk}/?days={days}")
    assert answer.status_code == 200
    assert answer.context["days"] in {7, 30, 90}


def test_a_chart_can_be_read_without_seeing_it(world: World) -> None:
    """Each drawing has a title and a summary, and a table with the same figures."""
    pictures(world, 2, focus=1.5, stain=0.02, brightness=220)
    page = fleet(world.technician, f"{world.device.pk}/").content.decode()
    assert page.count('role="img" aria-labelledby="t-') == page.count("<desc id=") == 4
    assert "1.50 on" in page
    assert "<td>1.50</td>" in page
    assert "style=" not in page


# --- how much it asks ---------------------------------------------------------------------------


def asked(user: User, path: str = "") -> int:
    client = signed_in(user)
    client.get("/fleet/")
    with CaptureQueriesContext(connection) as queries:
        assert client.get(f"/fleet/{path}").status_code == 200
    return len(queries)


def test_fifty_microscopes_are_asked_for_as_one_is(world: World) -> None:
    one = asked(world.device_manager)
    for number in range(50):
        device = register_device(
            actor=SETUP,
            clinic=world.clinic,
            name=f"Bench {number}",
            make="Optika",
            model="W1",
            serial=f"N-{number}",
        )
        raise_alert(device=device, kind=AlertKind.DISK)
    assert asked(world.device_manager) == one <= 12


def test_the_number_of_questions_does_not_grow_with_the_pictures(world: World) -> None:
    few = asked(world.device_manager, f"{world.device.pk}/")
    for day in range(40):
        pictures(world, 5, ago=timedelta(days=day), focus=1.0)
        beat(world.device, ago=timedelta(days=day), queue_length=1)
    assert asked(world.device_manager, f"{world.device.pk}/") == few <= 16


# --- rejections ---------------------------------------------------------------------------------


def open_kinds() -> list[str]:
    return list(Alert.objects.filter(cleared_at=None).values_list("kind", flat=True))


def test_many_rejections_raise_an_alert_and_better_pictures_end_it(world: World) -> None:
    pictures(world, 30, ago=timedelta(hours=3))
    assert watch_rejections() == 0
    pictures(world, 10, ago=timedelta(hours=2), rejection="out_of_focus")
    pictures(world, 4, ago=timedelta(hours=2), rejection="too_dark")
    assert watch_rejections() == 1
    alert = Alert.objects.get()
    assert alert.kind == AlertKind.REJECTIONS
    assert alert.detail == (
        "14 of its latest 40 pictures were rejected: out of focus 10, too dark 4."
    )
    assert watch_rejections() == 0
    pictures(world, 20, ago=timedelta(hours=1))
    assert watch_rejections() == 0  # 14 of 40 still
    pictures(world, 15)
    assert watch_rejections() == 1
    assert open_kinds() == []


def test_a_few_bad_pictures_are_no_alert(world: World) -> None:
    pictures(world, 9, rejection="too_dark")
    assert watch_rejections() == 0


def test_the_watch_looks_after_everything_and_twice_is_once(world: World) -> None:
    beat(world.device, ago=timedelta(hours=1))
    pictures(world, 12, ago=timedelta(hours=2), rejection="too_dark")
    first, second = watch_fleet(), watch_fleet()
    assert (first["silence"], first["rejections"]) == (1, 1)
    assert not any(second.values())
    assert set(open_kinds()) == {AlertKind.SILENT, AlertKind.REJECTIONS}


def test_a_picture_is_a_sign_of_life(world: World) -> None:
    beat(world.device, ago=timedelta(hours=1))
    watch_fleet()
    assert open_kinds() == [AlertKind.SILENT]
    world.receive()
    watch_fleet()
    assert open_kinds() == []
