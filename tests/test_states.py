"""Promise: a row moves only along its table, and only once."""

import itertools
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from devices.models import Device, DeviceState
from diagnostics.models import (
    Analysis,
    AnalysisState,
    CallBack,
    CallBackState,
    ControlRun,
    ControlState,
    DiagnosticReport,
    FieldImage,
    HeatMap,
    HeatMapState,
    ImageState,
    ModelPackage,
    PackageState,
    ReportStatus,
)
from hospital.base.states import IllegalTransition, StaleState, advance
from patients.models import Invitation, InvitationState

MACHINES = [
    (Device, DeviceState, "state"),
    (FieldImage, ImageState, "state"),
    (Analysis, AnalysisState, "state"),
    (DiagnosticReport, ReportStatus, "status"),
    (ControlRun, ControlState, "state"),
    (Invitation, InvitationState, "state"),
    (HeatMap, HeatMapState, "state"),
    (CallBack, CallBackState, "state"),
    (ModelPackage, PackageState, "state"),
]
PAIRS = [
    pytest.param(model, field, origin, to, id=f"{model.__name__}: {origin} to {to}")
    for model, states, field in MACHINES
    for origin, to in itertools.product(states.values, repeat=2)
]
# What the database's constraints ask of a row in that state, beside the state itself.
COMPANIONS: dict[tuple[type, str], dict[str, Any]] = {
    (FieldImage, "rejected"): {"rejection": "out_of_focus"},
    (Analysis, "running"): {"lease": "7d0a4a4e-93ae-4fd8-b8b2-0ff6bd3b8f46"},
    (Analysis, "succeeded"): {"outcome": "classified"},
    (Analysis, "failed"): {"failure": "internal"},
    (HeatMap, "drawn"): {"storage_key": "derived/heat.png"},
    (HeatMap, "failed"): {"failure": "internal"},
    (CallBack, "confirmed"): {"closed_at": "2026-11-20T10:00Z"},
    (CallBack, "dropped"): {"closed_at": "2026-11-20T10:00Z"},
}
BLANK: dict[type, dict[str, Any]] = {
    FieldImage: {"rejection": ""},
    Analysis: {"lease": None, "outcome": "", "failure": ""},
    HeatMap: {"storage_key": "", "failure": ""},
    CallBack: {"closed_at": None},
}


def row_in(world: Any, model: type, field: str, state: str) -> Any:
    """A row of `model` put into `state` behind the table's back."""
    image = world.receive()
    run = ControlRun(image=image, device=world.device, slide=world.control_slide)
    if model is ControlRun:
        run.save()
    heat = HeatMap.objects.create(analysis=image.analyses.get(), asked_by=world.technician)
    package = ModelPackage(name="p", version="1", digest="cd" * 32, path="/p")
    if model is ModelPackage:
        package.save()
    back = CallBack.objects.create(clinic=world.clinic, patient=world.patient)
    row = {
        CallBack: back,
        ModelPackage: package,
        ControlRun: run,
        Device: world.device,
        FieldImage: image,
        Analysis: image.analyses.get(),
        DiagnosticReport: image.specimen.report,
        Invitation: world.patient.invitations.get(),
        HeatMap: heat,
    }[model]
    model.objects.filter(pk=row.pk).update(**{field: state}, **_companions(world, model, state))
    row.refresh_from_db()
    return row


def _companions(world: Any, model: type, state: str) -> dict[str, Any]:
    if model is DiagnosticReport and state in {"final", "amended", "corrected"}:
        return {
            "signed_by": world.haematologist,
            "signed_at": "2026-11-20T10:00Z",
            "conclusion": "benign",
        }
    if model is Invitation and state == "accepted":
        return {"accepted_by": world.guardian, "accepted_at": "2026-11-20T10:00Z"}
    return {**BLANK.get(model, {}), **COMPANIONS.get((model, state), {})}


@pytest.mark.parametrize(("model", "field", "origin", "to"), PAIRS)
def test_every_pair_of_states_follows_the_table(
    world: Any, model: type, field: str, origin: str, to: str
) -> None:
    row = row_in(world, model, field, origin)
    changes = _companions(world, model, to)
    if to in model.TRANSITIONS[origin]:
        advance(row, to, field=field, **changes)
        assert getattr(row, field) == to
    else:
        with pytest.raises(IllegalTransition):
            advance(row, to, field=field, **changes)
        row.refresh_from_db()
        assert getattr(row, field) == origin


def test_of_two_who_read_the_same_state_only_the_first_moves_it(world: Any) -> None:
    first, second = world.device, Device.objects.get(pk=world.device.pk)
    advance(first, DeviceState.SUSPENDED)
    with pytest.raises(StaleState):
        advance(second, DeviceState.RETIRED)
    second.refresh_from_db()
    assert second.state == DeviceState.SUSPENDED


@pytest.mark.parametrize(("model", "states", "field"), MACHINES)
def test_the_database_itself_refuses_an_unknown_state(
    world: Any, model: type, states: Any, field: str
) -> None:
    row = row_in(world, model, field, states.values[0])
    with pytest.raises(IntegrityError), transaction.atomic():
        model.objects.filter(pk=row.pk).update(**{field: "nonsense"})
