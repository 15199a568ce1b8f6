"""The demonstration's parts: what it chooses, keeps, founds and counts."""

from pathlib import Path
from uuid import uuid4

import pytest

from devices.models import Alert, Device, DeviceKey, DeviceState, Heartbeat
from devices.services.keys import authenticate
from devices.services.registry import change_state
from devices.simulator.delivery import Job
from diagnostics.models import ReleaseRule
from hospital.accounts.models import User
from hospital.accounts.roles import Role
from hospital.audit.models import Entry as AuditEntry
from hospital.config.demo.hospital import DEMO, RealData, found_or_find
from hospital.config.demo.ledger import Entry, Ledger
from hospital.config.demo.logins import Logins
from hospital.config.demo.pictures import NoPictures, slides_from, taken_now
from ml import images, synthetic
from patients.models import Relation
from patients.selectors import live_access


def folder_with(tmp_path, **counts):
    for name, count in counts.items():
        (tmp_path / name).mkdir()
        for number in range(count):
            (tmp_path / name / f"{number:02}.jpg").touch()
    return tmp_path


# --- which pictures --------------------------------------------------------------------------


def test_every_class_gets_its_share_and_classes_do_not_share_a_slide(tmp_path):
    folder = folder_with(tmp_path, Benign=30, Early=30, Pre=3, Pro=30)

    slides = slides_from(folder, 40)

    by_class = {}
    for slide in slides:
        [name] = {path.parent.name for path in slide.pictures}
        by_class.setdefault(name, []).extend(slide.pictures)
        assert 1 <= len(slide.pictures) <= 4
    assert {name: len(paths) for name, paths in by_class.items()} == {
        "Benign": 13,
        "Early": 12,
        "Pre": 3,
        "Pro": 12,
    }
    assert len({path for paths in by_class.values() for path in paths}) == 40
    # Spread over the folder, not its first ones; and the classes take turns.
    assert max(by_class["Pro"]).name > "25.jpg"
    assert {slide.pictures[0].parent.name for slide in slides[:4]} == set(by_class)


def test_pictures_in_one_flat_folder_are_strangers(tmp_path):
    slides = slides_from(folder_with(tmp_path, mine=5), None)
    assert [len(slide.pictures) for slide in slides] == [1] * 5


def test_more_pictures_than_there_are_cannot_be_had(tmp_path):
    assert sum(len(s.pictures) for s in slides_from(folder_with(tmp_path, a=2, b=1), 40)) == 3


def test_a_folder_without_pictures_is_said_to_be_one(tmp_path):
    with pytest.raises(NoPictures, match="No JPEG"):
        slides_from(tmp_path, 4)
    with pytest.raises(NoPictures, match="no folder"):
        slides_from(tmp_path / "nowhere", 4)


# --- who is there ----------------------------------------------------------------------------


def test_the_hospital_is_founded_once_and_found_again(db, tmp_path):
    first = found_or_find(Logins(tmp_path))
    deeds = AuditEntry.objects.count()

    second = found_or_find(Logins(tmp_path))

    assert AuditEntry.objects.count() == deeds
    assert [bench.key for bench in second.benches] == [bench.key for bench in first.benches]
    assert second.logins == first.logins
    ways = {"at_once", "on_signature"}
    assert set(ReleaseRule.objects.values_list("way", flat=True)) == ways
    for bench in first.benches:
        assert authenticate(bench.key).device == bench.device
        assert bench.device.state == DeviceState.ACTIVE
        roles = set(bench.clinic.memberships.values_list("role", flat=True))
        assert roles == set(Role.values)


def test_every_login_opens_and_no_password_is_in_the_code(db, tmp_path):
    hospital = found_or_find(Logins(tmp_path))
    for login in hospital.logins:
        assert User.objects.get(username=login.username).check_password(login.password)
    assert len({login.password for login in hospital.logins}) == len(hospital.logins)
    assert (tmp_path / "demo-logins.json").stat().st_mode & 0o077 == 0


def test_a_child_has_a_guardian_and_an_adult_an_account(db, tmp_path):
    found_or_find(Logins(tmp_path))
    [guardian] = live_access(User.objects.get(username="nadia"))
    [adult] = live_access(User.objects.get(username="chidi"))
    assert (guardian.relation, adult.relation) == (Relation.GUARDIAN, Relation.SELF)
    assert guardian.patient.birth_date.year > adult.patient.birth_date.year + 18


def test_the_microscopes_have_a_past_that_is_marked_as_made_up(db, tmp_path):
    hospital = found_or_find(Logins(tmp_path))
    found_or_find(Logins(tmp_path))
    for bench in hospital.benches:
        beats = Heartbeat.objects.filter(device=bench.device)
        assert beats.count() == 24 * 29
        assert set(beats.values_list("firmware", flat=True)) == {"demonstration"}
        alert = Alert.objects.get(device=bench.device)
        assert alert.detail.startswith("Demonstration: ")
        assert alert.cleared_at > alert.raised_at
        # And none of it is taken for a sign of life.
        assert Device.objects.get(pk=bench.device.pk).last_heartbeat_at is None


def test_a_key_that_was_revoked_is_replaced(db, tmp_path):
    first = found_or_find(Logins(tmp_path)).benches[0].key
    DeviceKey.objects.all().delete()
    second = found_or_find(Logins(tmp_path)).benches[0].key
    assert second != first
    assert authenticate(second)


def test_a_microscope_that_was_suspended_is_left_alone_and_named(db, tmp_path):
    bench = found_or_find(Logins(tmp_path)).benches[0]
    change_state(actor=DEMO, device=bench.device, to=DeviceState.SUSPENDED)
    with pytest.raises(RealData, match="suspended"):
        found_or_find(Logins(tmp_path))


def test_a_real_hospital_is_never_played_with(world, tmp_path):
    before = User.objects.count()
    with pytest.raises(RealData, match="LEUKOLENS_VAR"):
        found_or_find(Logins(tmp_path))
    assert User.objects.count() == before
    assert not (tmp_path / "demo-logins.json").exists()


# --- what came of it -------------------------------------------------------------------------


def sent(accession="A-1"):
    return Entry(Job(Path("folder/field.jpg"), accession, uuid4()), number=0)


def image(entry, **changes):
    return {
        "id": str(entry.job.image_id),
        "analysis_state": "succeeded",
        "outcome": "classified",
        "label": "pre_b",
        "probabilities": {"pre_b": 0.93},
        "rejection": "",
        "failure": "",
    } | changes


def report(*images):
    return {"accession": "A-1", "certainty": "clear", "images": list(images)}


def test_a_result_is_counted_once_and_only_when_it_is_one():
    entry = sent()
    ledger = Ledger([entry])
    pending = image(entry, analysis_state="running", outcome="", label="", probabilities=None)
    assert ledger.note_report(report(pending)) == []
    assert not ledger.settled

    assert ledger.note_report(report(image(entry))) == [entry]
    assert ledger.note_report(report(image(entry))) == []

    assert (entry.result, entry.certainty) == ("Pre-B ALL", "clear")
    assert (ledger.reported, ledger.settled) == (1, True)


@pytest.mark.parametrize(
    ("outcome", "rejection", "words"),
    [
        ("not_a_smear", "not_a_smear", "not a blood smear"),
        ("unusable", "out_of_focus", "picture not usable (out of focus)"),
        ("unfamiliar", "", "unlike the training pictures"),
    ],
)
def test_what_is_no_class_is_a_result_all_the_same(outcome, rejection, words):
    entry = sent()
    said = image(entry, outcome=outcome, rejection=rejection, label="", probabilities=None)
    ledger = Ledger([entry])
    ledger.note_report(report(said))
    assert (entry.result, entry.certainty, ledger.reported) == (words, "", 1)


def test_a_failed_analysis_is_no_report():
    entry = sent()
    ledger = Ledger([entry])
    failed = image(entry, analysis_state="failed", failure="internal", outcome="", label="")
    ledger.note_report(report(failed))
    assert (ledger.reported, ledger.settled) == (0, True)
    assert "internal" in entry.lost


def test_a_demonstration_played_again_sends_no_file_twice(tmp_path: Path) -> None:
    """The same file for another patient would be held as a mix-up."""
    for kind in ("image/jpeg", "image/png", "image/tiff"):
        suffix = kind.rpartition("/")[2]
        body = synthetic.to_bytes(synthetic.smear(seed=3, size=96), kind)
        (tmp_path / f"one.{suffix}").write_bytes(body)
    slides = slides_from(tmp_path, None)
    runs = [taken_now(slides, tmp_path / run) for run in ("first", "second")]
    copies = [path for run in runs for slide in run for path in slide.pictures]
    assert len({path.read_bytes() for path in copies}) == len(copies) == 6
    for path in copies:
        assert images.inspect(path.read_bytes()).synthetic
