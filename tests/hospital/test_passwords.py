"""Promise: a stolen database gives no passwords away, and none that is easily guessed gets in."""

from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from django.core.exceptions import ValidationError
from django.test import Client

from hospital.accounts.models import User
from hospital.accounts.services import set_password
from hospital.config import settings as product
from tests.world import PASSWORD, SETUP, World, found


@pytest.fixture(autouse=True)
def _as_in_a_hospital(settings) -> None:
    settings.PASSWORD_HASHERS = product.PASSWORD_HASHERS


@pytest.fixture
def world(db: Any) -> World:
    """Founded anew, with passwords as a hospital keeps them."""
    return found()


def test_passwords_are_kept_with_argon2id_that_cannot_fill_the_memory(world: World) -> None:
    set_password(actor=SETUP, user=world.technician, password="another-long-pass-phrase")
    kept = User.objects.get(pk=world.technician.pk).password
    assert kept.startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")


@pytest.mark.parametrize("hasher", ["scrypt", "pbkdf2_sha256"])
def test_an_older_hash_still_opens_the_account_and_moves_over(
    world: World, client: Client, hasher: str
) -> None:
    old = make_password(PASSWORD, hasher=hasher)
    User.objects.filter(pk=world.technician.pk).update(password=old)
    client.post("/login/", {"username": "technician", "password": "wrong-pass-phrase"})
    assert User.objects.get(pk=world.technician.pk).password == old
    client.post("/login/", {"username": "technician", "password": PASSWORD})
    assert client.get("/worklist/").status_code == 200
    assert User.objects.get(pk=world.technician.pk).password.startswith("argon2$")


@pytest.mark.parametrize("weak", ["short-one", "1qaz2wsx3edc", "831597264083", "technician-tara"])
def test_a_password_that_is_easily_guessed_is_refused(world: World, weak: str) -> None:
    with pytest.raises(ValidationError):
        set_password(actor=SETUP, user=world.technician, password=weak)
    assert world.technician.check_password(PASSWORD)
