"""The hospital of tests/world.py with one of everything that an address can speak of.

`furnished` makes it; the functions below say which of its objects an address means, and what a
form or a program sends there.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from diagnostics.models import (
    Analysis,
    CellCall,
    DiagnosticReport,
    DicomInstance,
    FieldImage,
    FoundCells,
    Hold,
    HoldReason,
    MixUp,
    ReferenceField,
    SavedView,
    Upload,
)
from diagnostics.services import analyses, dicom, looking, references, uploads, views
from hospital.accounts import emergency
from hospital.accounts.models import BreakGlass, SignIn, User
from hospital.accounts.roles import Role
from hospital.accounts.services import grant_role, open_account
from patients.models import PortalAccess
from tests.dicom_objects import dataset, part10
from tests.tus import particulars
from tests.world import PASSWORD, SETUP, World, add_patient, add_specimen, look, look_and_sign


@dataclass
class Scene:
    """The world, with one of everything an address can speak of."""

    world: World
    report: DiagnosticReport
    image: FieldImage
    failed: Analysis
    released: DiagnosticReport
    released_image: FieldImage
    access: PortalAccess
    upload: Upload
    held: FieldImage
    mix_up: MixUp
    call: CellCall
    view: SavedView
    other_technician: User
    other_device_manager: User
    other_administrator: User


def furnished(world: World) -> Scene:
    """One of everything: an unsigned report, a released one, a failed run, a hold, a mix-up, …"""
    report = world.reported()
    outlined = Analysis.objects.get()
    world.outline(outlined)
    second = add_specimen(world.patient, "N-2")
    released_image = world.receive(11, specimen=second)
    world.succeed(released_image)
    released = look_and_sign(world.haematologist, second.report, "benign")
    failed = world.claim(world.receive(12, specimen=add_specimen(world.patient, "N-3")))
    by_dicom = add_specimen(world.patient, "N-7")
    dicom.store(device=world.device, data=part10(dataset(world, 13, specimen=by_dicom)))
    analyses.fail(failed, code="internal")
    held, mixed = (add_specimen(world.patient, label) for label in ("N-4", "N-5"))
    held_image = world.receive(13, specimen=held)
    Hold.objects.create(image=held_image, reason=HoldReason.CONTROL_FAILED)
    FieldImage.objects.filter(pk=held_image.pk).update(held=True)
    another = add_patient(world.clinic, "N-2", "Keita", "Moussa")
    world.receive(14, specimen=mixed)
    world.receive(14, specimen=add_specimen(another, "N-6"))
    for hand in (world.technician, world.haematologist):
        look(hand, DiagnosticReport.objects.get(pk=report.pk))
    return Scene(
        held=held_image,
        mix_up=MixUp.objects.get(),
        world=world,
        report=DiagnosticReport.objects.get(pk=report.pk),
        image=FieldImage.objects.get(specimen=world.specimen),
        failed=failed,
        released=released,
        released_image=released_image,
        access=PortalAccess.objects.get(user=world.guardian),
        view=views.save_view(user=world.haematologist, name="Mornings", query="show=review"),
        call=looking.call_cell(user=world.haematologist, analysis=outlined, cell=0, label="pre_b"),
        upload=uploads.begin(
            device=world.device,
            length=2,
            captured_at=None,
            **{**particulars(b"x", "N-2"), "image_id": uuid.uuid4()},
        ),
        other_technician=_elsewhere(world, Role.TECHNICIAN),
        other_device_manager=_elsewhere(world, Role.DEVICE_MANAGER),
        other_administrator=_elsewhere(world, Role.ADMINISTRATOR),
    )


def _elsewhere(world: World, role: Role) -> User:
    """Somebody with `role` in the other clinic."""
    user = open_account(
        actor=SETUP, username=f"other-{role}", password=PASSWORD, full_name=f"Other {role}"
    )
    grant_role(actor=SETUP, user=user, clinic=world.other_clinic, role=role)
    return user


def report(scene: Scene) -> dict[str, Any]:
    return {"report_id": scene.report.pk}


def field(scene: Scene) -> dict[str, Any]:
    return {**report(scene), "image_id": scene.image.pk}


def named_cell(scene: Scene) -> dict[str, Any]:
    return {"analysis": scene.image.analyses.get().pk, "cell": 1, "label": "pre_b"}


def released(scene: Scene) -> dict[str, Any]:
    return {"report_id": scene.released.pk}


def paper(scene: Scene) -> dict[str, Any]:
    version = scene.released.versions.get()
    return {"version_id": version.pk, "start": version.sha256[:16]}


def device(scene: Scene) -> dict[str, Any]:
    return {"pk": scene.world.device.pk}


def device_id(scene: Scene) -> dict[str, Any]:
    return {"device_id": scene.world.device.pk}


def patient(scene: Scene) -> dict[str, Any]:
    return {"pk": scene.world.patient.pk}


def pk(name: str) -> Callable[[Scene], dict[str, Any]]:
    return lambda scene: {"pk": getattr(scene, name).pk}


def picture(kind: str) -> Callable[[Scene], dict[str, Any]]:
    return lambda scene: {"image_id": scene.image.pk, "kind": kind}


def portal_picture(scene: Scene) -> dict[str, Any]:
    return {**released(scene), "image_id": scene.released_image.pk, "kind": "original"}


def version(scene: Scene) -> dict[str, Any]:
    return {"version": scene.report.version}


def signature(scene: Scene) -> dict[str, Any]:
    return {**version(scene), "conclusion": "pre_b", "password": PASSWORD}


def reason(scene: Scene) -> dict[str, Any]:
    return {**version(scene), "reason": "looked again"}


def new_patient(scene: Scene) -> dict[str, Any]:
    return {
        "clinic": str(scene.world.clinic.pk),
        "mrn": "N-9",
        "family_name": "New",
        "given_names": "One",
        "birth_date": "2015-01-01",
        "sex": "male",
    }


def new_device(scene: Scene) -> dict[str, Any]:
    words = {"name": "B", "make": "M", "model": "X", "serial": "9"}
    return {"clinic": str(scene.world.clinic.pk), **words}


def new_specimen(scene: Scene) -> dict[str, Any]:
    return {
        "accession": "N-9",
        "patient": str(scene.world.patient.pk),
        "collected_at": "2026-11-21T08:00:00Z",
    }


def new_access(scene: Scene) -> dict[str, Any]:
    return {"patient": str(scene.world.patient.pk), "username": "stranger", "relation": "self"}


def key(scene: Scene) -> dict[str, Any]:
    return {**device(scene), "key_id": scene.world.device.keys.get().pk}


def admin_key(scene: Scene) -> dict[str, Any]:
    return {**device(scene), "key": scene.world.device.keys.get().pk}


def sent_picture(scene: Scene) -> dict[str, Any]:
    return {"image_id": scene.image.pk}


def specimen(scene: Scene) -> dict[str, Any]:
    return {"pk": scene.report.specimen_id}


def app(label: str) -> Callable[[Scene], dict[str, Any]]:
    return lambda scene: {"app_label": label}


def held(scene: Scene) -> dict[str, Any]:
    return {"image_id": scene.held.pk}


def held_report(scene: Scene) -> dict[str, Any]:
    return {"report_id": scene.held.specimen.report.pk}  # type: ignore[union-attr]


def hold(scene: Scene) -> dict[str, Any]:
    return {"pk": scene.held.holds.get().pk}


def mix_up(scene: Scene) -> dict[str, Any]:
    return {"mix_up_id": scene.mix_up.pk}


def microscope(scene: Scene) -> dict[str, Any]:
    return {"device_id": scene.world.device.pk}


def slide(scene: Scene) -> dict[str, Any]:
    return {"pk": scene.world.control_slide.pk}


def new_slide(scene: Scene) -> dict[str, Any]:
    return {"clinic": str(scene.world.clinic.pk), "label": "QC-9", "expected": "benign"}


def why(scene: Scene) -> dict[str, Any]:
    return {"comment": "looked at it"}


def neither(scene: Scene) -> dict[str, Any]:
    return {"comment": "looked at it", "keep": "neither"}


def a_picture_id(scene: Scene) -> dict[str, Any]:
    return {"image_id": uuid.uuid4()}


def dicom_object(*names: str, **more: str) -> Callable[[Scene], dict[str, Any]]:
    """The address of a DICOM object that the device sent, or of what it belongs to."""

    def uids(scene: Scene) -> dict[str, Any]:
        row = DicomInstance.objects.get(image__device=scene.world.device)
        known = {"study": row.study_uid, "series": row.series_uid}
        known["instance"] = row.sop_instance_uid
        return {name: known[name] for name in names} | more

    return uids


def no_pictures(scene: Scene) -> bytes:
    return b""


def a_package(scene: Scene) -> dict[str, Any]:
    return {"package_id": uuid.uuid4()}


def a_reference(scene: Scene) -> Any:
    """Cells of the signed report, measured."""
    analysis = Analysis.objects.get(image=scene.released_image)
    if not FoundCells.objects.filter(analysis=analysis).exists():
        scene.world.outline(analysis)
    references.collect()
    return ReferenceField.objects.get(report=scene.released).pk


def an_upload(scene: Scene) -> dict[str, Any]:
    return {"upload_id": scene.upload.pk}


def a_session_of(user: Any) -> int:
    """Where they are signed in besides."""
    SignIn.objects.get_or_create(user=user, session_key="another-device", device="Firefox")
    return SignIn.objects.get(session_key="another-device").pk


def an_emergency_in(world: World) -> BreakGlass:
    """In which the outsider reads there."""
    opened = BreakGlass.objects.filter(ended_at=None).first()
    reason = "A child bleeds tonight"
    return opened or emergency.begin(user=world.outsider, clinic=world.clinic, reason=reason)


def released_version(scene: Scene) -> dict[str, Any]:
    return {"version": scene.released.version}


def new_signature(scene: Scene) -> dict[str, Any]:
    return {**released_version(scene), "conclusion": "benign", "password": PASSWORD}


def amendment(scene: Scene) -> dict[str, Any]:
    return {**new_signature(scene), "becomes": "amended", "reason": "looked again"}


def why_back(scene: Scene) -> dict[str, Any]:
    return {"reason": "repaired"}
