"""Promises about buttons: what a page offers is granted, and what it does not offer is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction

from diagnostics.models import DiagnosticReport, PackageState
from diagnostics.possible import case_actions, package_actions
from diagnostics.services import own_call, packages, reports, signing
from hospital.accounts.models import Clinic, User
from hospital.base.problems import Refusal
from ml import packages as ml_packages
from tests.world import PASSWORD, SETUP, World, look, look_and_sign

pytestmark = pytest.mark.django_db


def registered(world: World) -> DiagnosticReport:
    world.receive()
    return DiagnosticReport.objects.get(specimen=world.specimen)


def partial(world: World) -> DiagnosticReport:
    return world.reported()


def preliminary(world: World) -> DiagnosticReport:
    report = world.reported()
    return reports.verify(user=world.technician, report=report, version=report.version)


def final(world: World) -> DiagnosticReport:
    return look_and_sign(world.haematologist, world.reported())


def waiting(world: World) -> DiagnosticReport:
    Clinic.objects.filter(pk=world.clinic.pk).update(second_reader="always")
    return look_and_sign(world.haematologist, world.reported())


def withdrawn(world: World) -> DiagnosticReport:
    report = final(world)
    proof = {"version": report.version, "password": PASSWORD}
    return signing.withdraw(user=world.haematologist, report=report, reason="Mixed up.", **proof)


def blind(world: World) -> DiagnosticReport:
    world.own_call_first()
    return world.reported()


def _verify(user: User, report: DiagnosticReport) -> object:
    return reports.verify(user=user, report=report, version=report.version)


def _confirm(user: User, report: DiagnosticReport) -> object:
    proof = {"version": report.version, "password": PASSWORD}
    return signing.confirm(user=user, report=report, **proof)


def _send_back(user: User, report: DiagnosticReport) -> object:
    return signing.send_back(user=user, report=report, version=report.version, reason="No.")


def _change(user: User, report: DiagnosticReport) -> object:
    change = signing.Change("amended", "benign", "There is more to say.")
    proof = {"version": report.version, "password": PASSWORD}
    return signing.amend(user=user, report=report, change=change, **proof)


def _own_call(user: User, report: DiagnosticReport) -> object:
    return own_call.commit(user=user, report=report, call="benign")


DEEDS: dict[str, Callable[[User, DiagnosticReport], object]] = {
    "own_call": _own_call,
    "verify": _verify,
    "sign": look_and_sign,
    "confirm": _confirm,
    "send_back": _send_back,
    "change": _change,
}


@pytest.mark.parametrize(
    "stands", [registered, partial, preliminary, final, waiting, withdrawn, blind]
)
def test_of_a_case_everybody_is_offered_just_what_they_are_granted(
    world: World, colleague: User, stands: Callable[[World], DiagnosticReport]
) -> None:
    pk = stands(world).pk
    for user in (world.technician, world.haematologist, colleague, world.device_manager):
        look(user, DiagnosticReport.objects.get(pk=pk))
        (shown,) = own_call.veil(user, [DiagnosticReport.objects.get(pk=pk)])
        offered = case_actions(user, shown)
        for name, deed in DEEDS.items():
            report = DiagnosticReport.objects.get(pk=pk)
            assert getattr(offered, name) == granted(deed, user, report), (user.username, name)


@pytest.mark.parametrize("state", PackageState.values)
def test_of_a_package_just_that_is_offered_which_is_granted(tmp_path: Path, state: str) -> None:
    active = packages.register(actor=SETUP, folder=ml_packages.COMMITTED)
    active = packages.activate(actor=SETUP, package=active)
    package = active
    if state != PackageState.ACTIVE:
        committed = ml_packages.verify(ml_packages.COMMITTED)
        ml_packages.revise(committed, tmp_path / "2.9", version="2.9", documents={})
        package = packages.register(actor=SETUP, folder=tmp_path / "2.9")
    if state == PackageState.SHADOW:
        packages.shadow(actor=SETUP, package=package)
    if state == PackageState.RETIRED:
        packages.retire(actor=SETUP, package=package)
    package.refresh_from_db()
    offered = package_actions(package, active)
    for name in ("activate", "shadow", "end_shadow", "retire"):
        deed = getattr(packages, name)
        assert getattr(offered, name) == granted(deed, actor=SETUP, package=package), name


def granted(deed: Callable[..., object], *args: Any, **given: Any) -> bool:
    """Whether the service does it; it is undone at once."""
    try:
        with transaction.atomic():
            deed(*args, **given)
            transaction.set_rollback(True)
    except Refusal:
        return False
    return True
