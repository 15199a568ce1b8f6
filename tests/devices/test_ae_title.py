"""Promises about the name a microscope bears in DICOM."""

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from devices.services import registry
from tests.world import SETUP, World


@pytest.mark.parametrize(
    ("given", "kept"), [("OPTIKA-W1", "OPTIKA-W1"), (" W 1  ", "W 1"), ("", "")]
)
def test_spaces_around_it_do_not_count(world: World, given: str, kept: str) -> None:
    world.device.ae_title = given
    assert registry.save_device(actor=SETUP, device=world.device).ae_title == kept


@pytest.mark.parametrize("title", ["A\\B", "A\nB", "A\x00", "Mikroskop-ü", "X" * 17])
def test_what_dicom_does_not_allow_is_refused(world: World, title: str) -> None:
    world.device.ae_title = title
    with pytest.raises(ValidationError) as refused:
        registry.save_device(actor=SETUP, device=world.device)
    assert set(refused.value.message_dict) == {"ae_title"}


def test_two_microscopes_cannot_bear_the_same(world: World) -> None:
    for device in (world.device, world.other_device):
        device.ae_title = "OPTIKA-W1"
    registry.save_device(actor=SETUP, device=world.device)
    with pytest.raises(ValidationError):
        registry.save_device(actor=SETUP, device=world.other_device)


def test_a_device_manager_sets_it_in_the_admin(world: World, client: Client) -> None:
    client.force_login(world.device_manager)
    page = f"/admin/devices/device/{world.device.pk}/change/"
    form = client.get(page).context["adminform"].form
    fields = {name: value for name, value in form.initial.items() if name in form.fields}
    words = {name: "" if value is None else value for name, value in fields.items()}
    answer = client.post(page, {**words, "ae_title": "OPTIKA-W1 "})
    assert answer.status_code == 302, answer.context["errors"]
    world.device.refresh_from_db()
    assert world.device.ae_title == "OPTIKA-W1"
