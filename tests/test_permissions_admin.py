"""The admin's pages for every model: what the roles table grants, and nothing of other clinics."""

from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from hospital.accounts.roles import GRANTS, Role
from tests.permissions.asking import outcome
from tests.world import World

pytestmark = pytest.mark.django_db

WRITABLE = {
    "clinic": {"change"},
    "user": {"add", "change"},
    "membership": {"add", "delete"},
    "patient": {"add", "change"},
    "portalaccess": {"add"},
    "invitation": {"add"},
    "device": {"add", "change"},
    "releaserule": {"add", "change", "delete"},
    "releasewish": {"add", "change"},
    "readingrule": {"add", "change"},
    "escalationstep": {"add", "change", "delete"},
    "specimen": {"add", "change"},
    "controlslide": {"add", "change"},
}
STAFF = {
    "technician": Role.TECHNICIAN,
    "haematologist": Role.HAEMATOLOGIST,
    "device_manager": Role.DEVICE_MANAGER,
    "administrator": Role.ADMINISTRATOR,
}


def granted(role: str, model: Any, action: str) -> bool:
    """Whether the admin lets the role do it: by the roles table, where the admin offers it."""
    name = model._meta.model_name
    permission = f"{model._meta.app_label}.{action}_{name}"
    return permission in GRANTS[role] and (action == "view" or action in WRITABLE.get(name, set()))


def get(user: Any, model: Any, page: str, *args: Any) -> str:
    client = Client()
    if user is not None:
        client.force_login(user)
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}"
    return outcome(client.get(reverse(name, args=args)))


@pytest.mark.parametrize("model", list(admin.site._registry), ids=lambda m: m.__name__)
def test_the_admin_grants_what_the_roles_table_says(world: World, model: Any) -> None:
    world.reported()
    own = admin.site._registry[model].get_queryset(_as(world.superuser))
    row = _own_rows(own, world).first()
    for hand, role in STAFF.items():
        user = getattr(world, hand)
        sees = "200" if granted(role, model, "view") else "403"
        assert get(user, model, "changelist") == sees, hand
        may_add = "200" if granted(role, model, "add") else "403"
        assert get(user, model, "add") == may_add, hand
        assert get(user, model, "change", row.pk) == sees, hand
        if sees == "200":
            deletes = "200" if granted(role, model, "delete") else "403"
            assert get(user, model, "delete", row.pk) == deletes, hand
        reads_trail = "302" if "audit.view_entry" in GRANTS[role] else "403"
        assert get(user, model, "history", row.pk) == reads_trail, hand
    for hand in ("guardian", "stranger"):
        assert get(getattr(world, hand), model, "changelist") == "in"
    assert get(None, model, "changelist") == "in"


@pytest.mark.parametrize("model", list(admin.site._registry), ids=lambda m: m.__name__)
def test_the_admin_knows_nothing_of_another_clinics_rows(world: World, model: Any) -> None:
    world.reported()
    everything = admin.site._registry[model].get_queryset(_as(world.superuser))
    row = _own_rows(everything, world).first()
    assert get(world.outsider, model, "change", row.pk) in {"302", "403"}


def _as(user: Any) -> Any:
    return type("Request", (), {"user": user})()


def _own_rows(rows: Any, world: World) -> Any:
    """Those of the clinic of the table's staff."""
    name = rows.model._meta.model_name
    if name == "clinic":
        return rows.filter(pk=world.clinic.pk)
    if name == "user":
        return rows.filter(pk=world.technician.pk)
    path = admin.site._registry[rows.model].clinic_path  # type: ignore[attr-defined]
    return rows.filter(**{path: world.clinic.pk})
