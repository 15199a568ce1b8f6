"""Who gets what at every address of the product: one table, and no address without a line in it.

Columns are hands, lines are addresses; objects in the addresses belong to the clinic of the
technician, the haematologist, the device manager and the administrator. The outsider is a
haematologist of another clinic; the guardian may read about the clinic's patient in the portal,
the stranger about a patient elsewhere; 'device' is a microscope's key and no session.
'in' stands for a redirect to the sign-in page.
"""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, get_resolver, reverse

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
    Specimen,
    Upload,
)
from diagnostics.services import analyses, dicom, looking, references, uploads, views
from diagnostics.services.specimens import register_specimen
from hospital.accounts import emergency
from hospital.accounts.models import BreakGlass, SignIn
from ml import packages
from patients.models import Invitation, Patient, PortalAccess
from patients.services import register_patient
from tests.dicom_objects import dataset, part10
from tests.tus import PIECE, metadata, particulars
from tests.world import PASSWORD, SETUP, World, content_digest, look, look_and_sign

pytestmark = pytest.mark.django_db

HANDS = (
    "anonymous",
    "guardian",
    "stranger",
    "technician",
    "haematologist",
    "device_manager",
    "administrator",
    "outsider",
    "device",
)


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


@pytest.fixture
def scene(world: World) -> Scene:
    """See `furnished`."""
    return furnished(world)


def furnished(world: World) -> Scene:
    """One unsigned report, one signed and released, one failed analysis."""
    report = world.reported()
    outlined = Analysis.objects.get()
    world.outline(outlined)
    second = register_specimen(
        actor=SETUP,
        patient=world.patient,
        accession="N-2",
        collected_at=world.specimen.collected_at,
    )
    released_image = world.receive(11, specimen=second)
    world.succeed(released_image)
    released = look_and_sign(
        user=world.haematologist,
        password=PASSWORD,
        report=second.report,
        version=DiagnosticReport.objects.get(specimen=second).version,
        conclusion="benign",
    )
    third = register_specimen(
        actor=SETUP,
        patient=world.patient,
        accession="N-3",
        collected_at=world.specimen.collected_at,
    )
    failed = world.claim(world.receive(12, specimen=third))
    fourth = register_specimen(
        actor=SETUP,
        patient=world.patient,
        accession="N-7",
        collected_at=world.specimen.collected_at,
    )
    dicom.store(device=world.device, data=part10(dataset(world, 13, specimen=fourth)))
    analyses.fail(failed, code="internal")
    held, mixed = (_specimen(world.patient, label) for label in ("N-4", "N-5"))
    held_image = world.receive(13, specimen=held)
    Hold.objects.create(image=held_image, reason=HoldReason.CONTROL_FAILED)
    FieldImage.objects.filter(pk=held_image.pk).update(held=True)
    another = register_patient(
        actor=SETUP,
        clinic=world.clinic,
        mrn="N-2",
        family_name="Keita",
        given_names="Moussa",
        birth_date=world.patient.birth_date,
        sex="male",
    )
    world.receive(14, specimen=mixed)
    world.receive(14, specimen=_specimen(another, "N-6"))
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
    )


def _specimen(patient: Patient, accession: str) -> Specimen:
    when = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
    return register_specimen(actor=SETUP, patient=patient, accession=accession, collected_at=when)


@dataclass(frozen=True)
class Line:
    """What each of HANDS gets at one address, asked in one way."""

    statuses: str
    method: str
    route: str
    args: Callable[[Scene], dict[str, Any]] = lambda scene: {}
    body: Callable[[Scene], Any] = lambda scene: {}
    note: str = ""

    def __str__(self) -> str:
        return f"{self.method} {self.route}{' ' + self.note if self.note else ''}"


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


# fmt: off
TABLE = [
    #     ano gua str tec hae mgr adm out dev
    # signing in
    Line(" in 302 302 302 302 302 302 302  in", "GET", "home"),
    Line("200 302 302 302 302 302 302 302 200", "GET", "login"),
    Line("200 302 302 302 302 302 302 302 200", "GET", "account_login"),
    Line("302 302 302 302 302 302 302 302 302", "POST", "logout"),
    Line("302 302 302 302 302 302 302 302 302", "POST", "language"),
    # second steps; who is not in the middle of signing in is sent to its beginning
    Line("302 302 302 302 302 302 302 302 302", "GET", "mfa_authenticate"),
    Line("302 302 302 302 302 302 302 302 302", "GET", "mfa_login_webauthn"),
    Line(" in 200 200 200 200 200 200 200  in", "GET", "account_reauthenticate"),
    Line(" in 302 302 302 302 302 302 302  in", "GET", "mfa_reauthenticate"),
    Line(" in 302 302 302 302 302 302 302  in", "GET", "mfa_reauthenticate_webauthn"),
    # one's own account; what protects it only after being asked again (302)
    Line(" in 200 200 200 200 200 200 200  in", "GET", "account"),
    Line(" in 200 200 200 200 200 200 200  in", "GET", "mfa_index"),
    Line(" in 200 200 200 200 200 200 200  in", "GET", "mfa_list_webauthn"),
    Line(" in 200 200 200 200 200 200 200  in", "GET", "password"),
    # emergencies: for haematologists, and administrators to watch; the deed after being asked again
    Line(" in 403 403 403 200 403 200 200  in", "GET", "emergency"),
    Line(" in 403 403 403 302 403 302 302  in", "POST", "emergency"),
    Line(" in 404 404 404 404 404 302 302  in", "POST", "emergency-end",
         lambda s: {"pk": an_emergency_in(s.world).pk}),
    Line(" in 200 200 200 200 200 200 200  in", "GET", "passkey-options"),
    Line(" in 302 302 302 302 302 302 302  in", "POST", "sessions-end"),
    Line(" in 404 404 302 404 404 404 404  in", "POST", "session-end",
         lambda s: {"pk": a_session_of(s.world.technician)}),
    Line(" in 302 302 302 302 302 302 302  in", "GET", "mfa_activate_totp"),
    Line(" in 404 404 404 404 404 404 404  in", "GET", "mfa_deactivate_totp"),
    Line(" in 404 404 404 404 404 404 404  in", "GET", "mfa_view_recovery_codes"),
    Line(" in 302 302 302 302 302 302 302  in", "GET", "mfa_generate_recovery_codes"),
    Line(" in 404 404 404 404 404 404 404  in", "GET", "mfa_download_recovery_codes"),
    Line(" in 302 302 302 302 302 302 302  in", "GET", "mfa_add_webauthn"),
    Line(" in 302 302 302 302 302 302 302  in", "GET", "mfa_edit_webauthn", lambda s: {"pk": 1}),
    Line(" in 302 302 302 302 302 302 302  in", "GET", "mfa_remove_webauthn", lambda s: {"pk": 1}),
    # an invitation: the same for all, and nothing without its secret
    Line("404 404 404 404 404 404 404 404 404", "GET", "invitation"),
    Line("404 404 404 404 404 404 404 404 404", "GET", "invitation-follow",
         lambda s: {"secret": "no-such-secret"}),
    # the worklist and the case
    Line(" in 403 403 200 200 403 403 200  in", "GET", "worklist"),
    Line(" in 403 403 200 200 403 403 200  in", "GET", "worklist-live"),
    Line(" in 403 403 302 302 403 403 302  in", "POST", "view-save",
         body=lambda s: {"name": "Nights"}),
    Line(" in 403 403 404 302 403 403 404  in", "POST", "view-deed",
         lambda s: {"view_id": s.view.pk, "deed": "forget"}, note="of the haematologist"),
    Line(" in 404 404 200 200 404 404 404  in", "GET", "case", report),
    Line(" in 404 404 200 200 404 404 404  in", "GET", "case-live", report),
    Line(" in 404 404 200 200 404 404 404  in", "GET", "case-field", field),
    Line(" in 404 404 200 200 404 404 404  in", "GET", "picture-cells", sent_picture),
    Line(" in 404 404 302 302 404 404 404  in", "GET", "case-beside",
         lambda s: {**report(s), "where": "next"}),
    Line(" in 404 404 200 200 404 404 404  in", "GET", "picture-alike",
         lambda s: {**sent_picture(s), "cell": 0}),
    Line(" in 404 404 200 200 404 404 404  in", "GET", "reference-cell",
         lambda s: {"reference_id": a_reference(s), "cell": 0}),
    Line(" in 404 404 200 200 404 404 404  in", "GET", "case-ahead", report),
    Line(" in 404 404 302 302 404 404 404  in", "GET", "next-case-ahead", report),
    Line(" in 404 404 201 201 404 404 404  in", "POST", "picture-call", sent_picture, named_cell),
    Line(" in 404 404 202 202 404 404 404  in", "POST", "picture-ask-heat", sent_picture),
    Line(" in 404 404 403 200 404 404 404  in", "POST", "call-undo",
         lambda s: {"call_id": s.call.pk}, note="of the haematologist"),
    Line(" in 403 403 200 200 403 403 200  in", "GET", "model-card",
         lambda s: {"digest": packages.describe(packages.COMMITTED).digest}),
    Line(" in 404 404 302 302 404 404 404  in", "POST", "case-own-call", report),
    Line(" in 403 403 200 200 403 200 200  in", "GET", "concordance"),
    Line(" in 404 404 302 302 404 404 404  in", "POST", "case-verify", report, version),
    Line(" in 404 404 302 302 404 404 404  in", "POST", "case-seen", report),
    Line(" in 404 404 403 302 404 404 404  in", "POST", "case-sign", report, signature),
    Line(" in 404 404 403 409 404 404 404  in", "POST", "case-confirm", report, signature,
         note="nothing waits"),
    Line(" in 404 404 302 302 404 404 404  in", "POST", "case-send-back", report, reason),
    Line(" in 404 404 403 200 404 404 404  in", "GET", "case-amend", released),
    Line(" in 404 404 403 200 404 404 404  in", "GET", "case-withdraw", released),
    Line(" in 404 404 200 200 404 404 404  in", "GET", "case-version",
         lambda s: {**released(s), "number": s.released.versions.get().version}),
    Line(" in 404 404 302 302 404 404 404  in", "POST", "case-contact", released),
    Line(" in 404 404 302 302 404 404 404  in", "POST", "analysis-retry",
         lambda s: {"analysis_id": s.failed.pk}),
    Line(" in 404 404 302 302 404 404 404  in", "POST", "case-release", held_report, why),
    Line(" in 404 404 302 403 404 404 404  in", "POST", "case-close", report),
    Line(" in 404 404 302 403 404 404 404  in", "POST", "case-reopen", report),
    Line(" in 404 404 302 302 404 404 404  in", "POST", "held-release", held, why),
    Line(" in 404 404 302 302 404 404 404  in", "POST", "held-set-aside", held, why),
    Line(" in 404 404 200 200 404 404 404  in", "GET", "mix-up", mix_up),
    Line(" in 404 404 302 302 404 404 404  in", "POST", "mix-up-settle", mix_up, neither),
    # control slides of a microscope
    Line(" in 404 404 200 200 200 200 404  in", "GET", "controls", microscope),
    Line(" in 404 404 200 200 200 200 404  in", "GET", "controls-live", microscope),
    Line(" in 404 404 302 302 403 403 404  in", "POST", "controls-release", microscope, why),
    Line(" in 404 404 200 200 404 404 404  in", "GET", "picture", picture("original")),
    Line(" in 404 404 200 200 404 404 404  in", "GET", "picture", picture("thumbnail"),
         note="small"),
    # the fleet
    Line(" in 403 403 200 403 200 200 403  in", "GET", "fleet"),
    Line(" in 403 403 200 403 200 200 403  in", "GET", "fleet-live"),
    Line(" in 404 404 200 404 200 200 404  in", "GET", "fleet-device", device_id),
    Line(" in 404 404 200 404 200 200 404  in", "GET", "fleet-device-live", device_id),
    # the dashboard: clinics' numbers for their administrators, packages for the whole house's
    Line(" in 403 403 403 403 403 200 403  in", "GET", "dashboard"),
    Line(" in 403 403 403 403 403 200 403  in", "GET", "dashboard-live"),
    Line(" in 403 403 403 403 403 403 403  in", "GET", "packages"),
    Line(" in 403 403 403 403 403 403 403  in", "GET", "package-compare", a_package),
    Line(" in 403 403 403 403 403 403 403  in", "POST", "package-deed",
         lambda s: {**a_package(s), "deed": "activate"}),
    Line(" in 403 403 403 403 403 403 403  in", "POST", "package-rollback"),
    # the portal
    Line(" in 200 200 200 200 200 200 200  in", "GET", "portal"),
    Line(" in 200 200 200 200 200 200 200  in", "GET", "portal-live"),
    Line(" in 200 404 404 404 404 404 404  in", "GET", "portal-report", released),
    Line(" in 404 404 404 404 404 404 404  in", "GET", "portal-report", report,
         note="before release"),
    Line(" in 200 404 404 404 404 404 404  in", "GET", "portal-report-live", released),
    Line(" in 200 404 404 404 404 404 404  in", "GET", "portal-picture", portal_picture),
    Line(" in 200 404 404 404 404 404 404  in", "GET", "portal-pdf", released),
    Line(" in 200 404 404 404 404 404 404  in", "GET", "portal-wish",
         lambda s: {"patient_id": s.world.patient.pk}),
    Line(" in 302 404 404 404 404 404 404  in", "POST", "portal-wish",
         lambda s: {"patient_id": s.world.patient.pk}, lambda s: {"wish": "after_call"}),
    Line(" in 200 404 404 404 404 404 404  in", "GET", "portal-looked",
         lambda s: {"patient_id": s.world.patient.pk}),
    Line(" in 404 404 404 404 404 404 404  in", "GET", "portal-pdf", report,
         note="before release"),
    # papers: for staff of the clinic; whether one is genuine, for whoever holds it
    Line(" in 404 404 200 200 404 404 404  in", "GET", "case-pdf", report),
    Line("200 200 200 200 200 200 200 200 200", "GET", "verify", paper),
    Line("422 422 422 422 422 422 422 422 422", "POST", "verify", paper, note="no digest"),
    # machines that watch: of nobody in particular; the numbers to known addresses only
    Line("200 200 200 200 200 200 200 200 200", "GET", "healthz"),
    Line("200 200 200 200 200 200 200 200 200", "GET", "readyz"),
    Line("200 200 200 200 200 200 200 200 200", "GET", "metrics"),
    # microscopes
    Line("403 403 403 403 403 403 403 403 403", "POST", "api:device-enrol",
         body=lambda s: {"code": "0000-0000-0000"}),
    Line("401 401 401 401 401 401 401 401 201", "POST", "api:device-key"),
    Line("401 401 401 401 401 401 401 401 200", "POST", "api:device-heartbeat"),
    Line("401 401 401 401 401 401 401 401 201", "PUT", "api:device-image", a_picture_id),
    Line("401 401 401 401 401 401 401 401 200", "GET", "api:device-image", sent_picture),
    Line("401 401 401 401 401 401 401 401 200", "POST", "api:device-images", body=no_pictures),
    Line("401 401 401 401 401 401 401 401 201", "POST", "api:device-uploads"),
    Line("401 401 401 401 401 401 401 401 204", "PATCH", "api:device-upload", an_upload),
    Line("401 401 401 401 401 401 401 401 204", "DELETE", "api:device-upload", an_upload),
    # DICOMweb: to a microscope what it sent, to staff what is their clinics'
    Line("401 403 403 200 200 403 403 200 200", "GET", "api:dicom-studies"),
    Line("401 403 403 403 403 403 403 403 415", "POST", "api:dicom-studies"),
    Line("401 403 403 200 200 403 403 200 200", "GET", "api:dicom-all-series"),
    Line("401 403 403 200 200 403 403 200 200", "GET", "api:dicom-all-instances"),
    Line("401 403 403 200 200 403 403 404 200", "GET", "api:dicom-study", dicom_object("study")),
    Line("401 403 403 403 403 403 403 403 415", "POST", "api:dicom-study", dicom_object("study")),
    Line("401 403 403 200 200 403 403 404 200", "GET", "api:dicom-study-metadata",
         dicom_object("study")),
    Line("401 403 403 200 200 403 403 200 200", "GET", "api:dicom-series", dicom_object("study")),
    Line("401 403 403 200 200 403 403 200 200", "GET", "api:dicom-study-instances",
         dicom_object("study")),
    Line("401 403 403 200 200 403 403 404 200", "GET", "api:dicom-one-series",
         dicom_object("study", "series")),
    Line("401 403 403 200 200 403 403 404 200", "GET", "api:dicom-series-metadata",
         dicom_object("study", "series")),
    Line("401 403 403 200 200 403 403 200 200", "GET", "api:dicom-instances",
         dicom_object("study", "series")),
    Line("401 403 403 200 200 403 403 404 200", "GET", "api:dicom-instance",
         dicom_object("study", "series", "instance")),
    Line("401 403 403 200 200 403 403 404 200", "GET", "api:dicom-instance-metadata",
         dicom_object("study", "series", "instance")),
    Line("401 403 403 200 200 403 403 404 200", "GET", "api:dicom-frames",
         dicom_object("study", "series", "instance", frames="1")),
    Line("401 403 403 200 200 403 403 404 200", "GET", "api:dicom-rendered",
         dicom_object("study", "series", "instance")),
    # the staff API
    Line("401 403 403 200 200 200 200 200 401", "GET", "api:clinic-list"),
    Line("401 403 403 200 200 403 200 200 401", "GET", "api:patient-list"),
    Line("401 403 403 201 403 403 201 403 401", "POST", "api:patient-list", body=new_patient),
    Line("401 403 403 200 200 403 200 404 401", "GET", "api:patient-detail", patient),
    Line("401 403 403 200 403 403 200 403 401", "PATCH", "api:patient-detail", patient),
    Line("401 403 403 403 403 403 200 403 401", "GET", "api:portal-access-list"),
    Line("401 403 403 403 403 403 201 403 401", "POST", "api:portal-access-list", body=new_access),
    Line("401 403 403 403 403 403 204 403 401", "DELETE", "api:portal-access-detail", pk("access")),
    Line("401 403 403 200 403 200 200 403 401", "GET", "api:device-list"),
    Line("401 403 403 403 403 201 201 403 401", "POST", "api:device-list", body=new_device),
    Line("401 403 403 200 403 200 200 403 401", "GET", "api:device-detail", device),
    Line("401 403 403 403 403 200 200 403 401", "PATCH", "api:device-detail", device),
    Line("401 403 403 403 403 200 200 403 401", "GET", "api:device-keys", device),
    Line("401 403 403 403 403 201 201 403 401", "POST", "api:device-keys", device),
    Line("401 403 403 403 403 204 204 403 401", "DELETE", "api:device-revoke-key", key),
    Line("401 403 403 200 403 200 200 403 401", "GET", "api:device-configuration", device),
    Line("401 403 403 403 403 200 200 403 401", "PATCH", "api:device-configuration", device),
    Line("401 403 403 403 403 200 200 403 401", "POST", "api:device-state", device,
         lambda s: {"state": "suspended"}),
    Line("401 403 403 403 403 409 409 403 401", "POST", "api:device-reinstate", device,
         lambda s: {"reason": "repaired"}),
    Line("401 403 403 403 403 201 201 403 401", "POST", "api:device-code", device),
    Line("401 403 403 403 403 200 200 403 401", "POST", "api:device-rotate", device),
    Line("401 403 403 200 200 403 200 200 401", "GET", "api:specimen-list"),
    Line("401 403 403 201 403 403 201 403 401", "POST", "api:specimen-list", body=new_specimen),
    Line("401 403 403 200 200 403 200 404 401", "GET", "api:specimen-detail", specimen),
    Line("401 403 403 200 403 403 200 403 401", "PATCH", "api:specimen-detail", specimen),
    Line("401 403 403 200 403 403 200 403 401", "POST", "api:specimen-close", specimen),
    Line("401 403 403 200 403 403 200 403 401", "POST", "api:specimen-reopen", specimen),
    Line("401 403 403 200 200 200 200 200 401", "GET", "api:control-slide-list"),
    Line("401 403 403 201 403 403 201 403 401", "POST", "api:control-slide-list", body=new_slide),
    Line("401 403 403 200 200 200 200 404 401", "GET", "api:control-slide-detail", slide),
    Line("401 403 403 200 403 403 200 403 401", "PATCH", "api:control-slide-detail", slide),
    Line("401 403 403 200 200 200 200 404 401", "GET", "api:control-slide-proposal", slide),
    Line("401 403 403 200 403 403 200 403 401", "POST", "api:control-slide-withdraw", slide),
    Line("401 403 403 200 200 200 200 200 401", "GET", "api:control-run-list"),
    Line("401 403 403 200 200 403 403 200 401", "GET", "api:hold-list"),
    Line("401 403 403 200 200 403 403 404 401", "POST", "api:hold-release", hold, why),
    Line("401 403 403 204 204 403 403 404 401", "POST", "api:hold-set-aside", hold, why),
    Line("401 403 403 200 200 403 403 404 401", "POST", "api:hold-many",
         body=lambda s: {**why(s), "report": str(held_report(s)["report_id"])}),
    Line("401 403 403 200 200 403 403 200 401", "GET", "api:mix-up-list"),
    Line("401 403 403 200 200 403 403 404 401", "GET", "api:mix-up-detail", pk("mix_up")),
    Line("401 403 403 200 200 403 403 404 401", "POST", "api:mix-up-settle", pk("mix_up"),
         lambda s: {**why(s), "keep": None}),
    Line("401 403 403 200 200 403 403 200 401", "GET", "api:report-list"),
    Line("401 403 403 200 200 403 403 404 401", "GET", "api:report-detail", pk("report")),
    Line("401 403 403 200 200 403 403 404 401", "POST", "api:report-seen", pk("report"),
         lambda s: {"images": []}),
    Line("401 403 403 403 200 403 403 404 401", "POST", "api:report-sign", pk("report"), signature),
    Line("401 403 403 403 409 403 403 404 401", "POST", "api:report-confirm", pk("report"),
         signature, note="nothing waits"),
    Line("401 403 403 403 409 403 403 404 401", "POST", "api:report-send-back", pk("report"),
         reason, note="nothing waits"),
    Line("401 403 403 403 400 403 403 404 401", "POST", "api:report-amend", pk("released")),
    Line("401 403 403 403 400 403 403 404 401", "POST", "api:report-withdraw", pk("released")),
    Line("401 403 403 200 200 403 403 404 401", "POST", "api:report-verify", pk("report"), version),
    Line("401 403 403 200 200 403 403 404 401", "GET", "api:report-pdf", pk("report")),
    Line("401 403 403 202 202 403 403 404 401", "POST", "api:analysis-retry", pk("failed")),
    Line("401 403 403 200 200 200 200 200 401", "GET", "api:schema"),
    Line(" in 403 403 200 200 200 200 200  in", "GET", "api:docs"),
    Line("404 404 404 404 404 404 404 404 404", "GET", "api:nothing-here",
         lambda s: {"path": "nothing"}),
    # the admin: what is not the same for every model (see below for that)
    Line(" in  in  in 200 200 200 200 200  in", "GET", "admin:index"),
    Line(" in 403 403 302 302 302 302 302  in", "GET", "admin:login"),
    Line(" in 302 302 302 302 302 302 302  in", "POST", "admin:logout"),
    Line(" in  in  in 302 302 302 302 302  in", "GET", "admin:password_change"),
    Line(" in  in  in 302 302 302 302 302  in", "GET", "admin:password_change_done"),
    Line(" in  in  in 200 200 200 200 200  in", "GET", "admin:jsi18n"),
    Line(" in  in  in 200 200 403 200 200  in", "GET", "admin:autocomplete", body=lambda s: {
         "app_label": "diagnostics", "model_name": "specimen", "field_name": "patient"}),
    Line(" in  in  in 404 404 404 404 404  in", "GET", "admin:view_on_site",
         lambda s: {"content_type_id": 1, "object_id": "1"}),
    Line(" in  in  in 200 404 200 200 404  in", "GET", "admin:app_list", app("devices")),
    Line(" in  in  in 200 200 200 200 200  in", "GET", "admin:app_list", app("accounts"),
         note="of accounts"),
    Line(" in  in  in 403 403 200 200 403  in", "POST", "admin:devices_device_code", device),
    Line(" in  in  in 403 403 200 200 403  in", "POST", "admin:devices_device_issue_key", device),
    Line(" in  in  in 403 403 302 302 403  in", "POST", "admin:devices_device_rotate", device),
    Line(" in  in  in 403 403 302 302 403  in", "POST", "admin:devices_device_revoke_key",
         admin_key),
    Line(" in  in  in 403 403 302 302 403  in", "POST", "admin:devices_device_configuration",
         device),
    Line(" in  in  in 403 403 302 302 403  in", "POST", "admin:devices_device_state",
         lambda s: {**device(s), "to": "suspended"}),
    Line(" in  in  in 403 403 302 302 403  in", "POST", "admin:devices_device_reinstate", device,
         lambda s: {"reason": "repaired"}),
    Line(" in  in  in 302 403 403 302 403  in", "POST", "admin:diagnostics_specimen_switch",
         specimen),
    Line(" in  in  in 302 403 403 302 403  in", "POST", "admin:diagnostics_controlslide_adopt",
         slide),
    Line(" in  in  in 302 403 403 302 403  in", "POST", "admin:diagnostics_controlslide_withdraw",
         slide),
    Line(" in  in  in 403 403 403 302 403  in", "POST", "admin:patients_portalaccess_revoke",
         pk("access")),
    Line(" in  in  in 403 403 403 302 403  in", "POST", "admin:patients_invitation_revoke",
         lambda s: {"pk": Invitation.objects.get(patient=s.world.patient).pk}),
    Line(" in  in  in 403 403 403 200 403  in", "GET", "admin:accounts_user_password",
         lambda s: {"pk": s.world.technician.pk}),
    Line(" in  in  in 403 403 403 302 403  in", "POST", "admin:accounts_user_shut",
         lambda s: {"pk": s.world.technician.pk}),
    Line(" in  in  in 403 403 403 302 403  in", "POST", "admin:accounts_user_reset",
         lambda s: {"pk": s.world.technician.pk}),
    Line(" in  in  in 403 403 403 302 403  in", "POST", "admin:accounts_lockout_lift",
         lambda s: {"pk": s.world.technician.lockouts.get().pk}),
]
# fmt: on


def outcome(answer: Any) -> str:
    """The status as text; a redirect to a sign-in page is 'in'."""
    if answer.status_code == 302 and "/login/?next=" in answer["Location"]:
        return "in"
    return str(answer.status_code)


def ask(line: Line, scene: Scene, hand: str) -> str:
    """The status that `hand` gets, or 'in' when sent to sign in; whatever was written is undone."""
    client = Client(raise_request_exception=True)
    headers = {}
    if hand == "device":
        headers["Authorization"] = f"Bearer {scene.world.key}"
    elif hand != "anonymous":
        client.force_login(getattr(scene.world, hand))
    address = reverse(line.route, kwargs=line.args(scene))
    body: Any = line.body(scene)
    options: dict[str, Any] = {"headers": headers}
    if line.route.startswith("api:") and line.method != "GET":
        options["content_type"] = "application/json"
    if line.method == "PUT":
        body = scene.world.smear(99)
        headers |= {"Content-Digest": content_digest(body), "Accession-Number": "N-2"}
        options["content_type"] = "image/jpeg"
    if line.route.startswith("api:device-upload"):
        told = metadata(particulars(b"x", "N-2"))
        headers |= {"Tus-Resumable": "1.0.0", "Upload-Length": "2", "Upload-Metadata": told}
        headers |= {"Upload-Offset": "0"}
        body, options["content_type"] = b"x", PIECE
    call = getattr(client, line.method.lower())
    with transaction.atomic():
        answer = call(address, body, **options)
        transaction.set_rollback(True)
    return outcome(answer)


@pytest.mark.parametrize("line", TABLE, ids=str)
def test_every_hand_gets_what_the_table_says(scene: Scene, line: Line) -> None:
    got = {hand: ask(line, scene, hand) for hand in HANDS}
    expected = dict(zip(HANDS, line.statuses.split(), strict=True))
    assert got == expected


# --- no address without a line ----------------------------------------------------------------

METHODS = ("get", "put", "post", "patch", "delete")
STANDARD = ("changelist", "add", "change", "delete", "history")


def addresses(resolver: Any = None, space: str = "") -> Iterator[tuple[str, URLPattern]]:
    """Every named address of the product, with its namespace."""
    for pattern in (resolver or get_resolver()).url_patterns:
        if isinstance(pattern, URLPattern):
            # Django's admin has two nameless ones: an old form of 'change', and a last resort.
            if pattern.name or not space.startswith("admin:"):
                yield f"{space}{pattern.name}", pattern
        else:
            inner = f"{pattern.namespace}:" if pattern.namespace else space
            yield from addresses(pattern, inner)


def ways(pattern: URLPattern) -> set[str]:
    """The methods an API view answers; of a plain view that cannot be told from outside."""
    view: Any = getattr(pattern.callback, "cls", None)
    if view is None:
        return set()
    actions = getattr(pattern.callback, "actions", None)
    answered = actions or [method for method in METHODS if hasattr(view, method)]
    return {m.upper() for m in METHODS if m in answered and m in view.http_method_names}


def is_standard(name: str) -> bool:
    """Whether it is one of the addresses that the admin makes for every model."""
    return name.startswith("admin:") and name.rsplit("_", 1)[-1] in STANDARD


def test_every_address_has_its_line() -> None:
    listed = {line.route for line in TABLE}
    known = {name for name, _ in addresses()}
    missing = {name for name in known - listed if not is_standard(name)}
    assert not missing, f"say in TABLE who gets what at {sorted(missing)}"
    assert listed <= known


def test_every_method_of_the_api_has_its_line() -> None:
    listed = {(line.route, line.method) for line in TABLE}
    for name, pattern in addresses():
        missing = {(name, way) for way in ways(pattern)} - listed
        assert not missing, f"say in TABLE who gets what at {sorted(missing)}"
