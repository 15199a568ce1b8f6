"""Who gets what at every door of the product: one table, and no door without a line in it.

Columns are hands, lines are addresses; objects in the addresses belong to the clinic of the
technician, the haematologist, the device manager and the administrator. The outsider is a
haematologist of another clinic; the guardian may read about the clinic's patient in the portal,
the stranger about a patient elsewhere; 'device' is a microscope's key and no session.
'in' stands for a redirect to the sign-in page.

The other roles of the other clinic have no columns, because a rule says what they get (see
`OTHERS`). What an answer depends on besides, the state of the object, is in `by_state.py`; who
hears what at which socket, in `SOCKETS`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ml import packages
from patients.models import Invitation
from tests.permissions.scene import (
    Scene,
    a_package,
    a_picture_id,
    a_reference,
    a_session_of,
    admin_key,
    an_emergency_in,
    an_upload,
    app,
    device,
    device_id,
    dicom_object,
    field,
    held,
    held_report,
    hold,
    key,
    microscope,
    mix_up,
    named_cell,
    neither,
    new_access,
    new_device,
    new_patient,
    new_slide,
    new_specimen,
    no_pictures,
    paper,
    patient,
    picture,
    pk,
    portal_picture,
    reason,
    released,
    report,
    sent_picture,
    signature,
    slide,
    specimen,
    version,
    why,
)

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
# Whose place each has in the other clinic. They get what their colleague gets where the address
# speaks of nothing in particular, and are refused where it speaks of something of this clinic's.
OTHERS = {
    "other_technician": "technician",
    "other_device_manager": "device_manager",
    "other_administrator": "administrator",
    "other_device": "device",
}
REFUSED = {"401", "403", "404", "in"}


def nothing(scene: Scene) -> dict[str, Any]:
    """Of an address in which nothing is named."""
    return {}


@dataclass(frozen=True)
class Line:
    """What each of HANDS gets at one address, asked in one way."""

    statuses: str
    method: str
    route: str
    args: Callable[[Scene], dict[str, Any]] = nothing
    body: Callable[[Scene], Any] = nothing
    note: str = ""
    # What those of OTHERS get: "refused", "unknown" (refused as if there were no such thing, which
    # in what is sent is 400), or the "same" as their colleagues.
    others: str = ""

    def expected_elsewhere(self, colleague: str) -> set[str]:
        """What somebody of the other clinic may get, whose colleague here gets `colleague`."""
        named = self.args is not nothing or self.body is not nothing
        rule = self.others or ("refused" if named else "same")
        return {"refused": REFUSED, "unknown": REFUSED | {"400"}, "same": {colleague}}[rule]

    def __str__(self) -> str:
        return f"{self.method} {self.route}{' ' + self.note if self.note else ''}"


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
    Line(" in 302 302 302 302 302 302 302  in", "GET", "mfa_edit_webauthn", lambda s: {"pk": 1},
         others="same"),
    Line(" in 302 302 302 302 302 302 302  in", "GET", "mfa_remove_webauthn", lambda s: {"pk": 1},
         others="same"),
    # an invitation: the same for all, and nothing without its secret
    Line("404 404 404 404 404 404 404 404 404", "GET", "invitation"),
    Line("404 404 404 404 404 404 404 404 404", "GET", "invitation-follow",
         lambda s: {"secret": "no-such-secret"}),
    # the worklist and the case
    Line(" in 403 403 200 200 403 403 200  in", "GET", "worklist"),
    Line(" in 403 403 200 200 403 403 200  in", "GET", "worklist-live"),
    Line(" in 403 403 302 302 403 403 302  in", "POST", "view-save",
         body=lambda s: {"name": "Nights"}, others="same"),
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
         lambda s: {"digest": packages.describe(packages.COMMITTED).digest}, others="same"),
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
    Line(" in 404 404 422 422 404 404 404  in", "POST", "case-contact", released,
         note="says nothing of a call"),
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
    Line("200 200 200 200 200 200 200 200 200", "GET", "verify", paper, others="same"),
    Line("422 422 422 422 422 422 422 422 422", "POST", "verify", paper, note="no digest",
         others="same"),
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
    Line("401 401 401 401 401 401 401 401 200", "POST", "api:device-images", body=no_pictures,
         others="same"),
    Line("401 401 401 401 401 401 401 401 201", "POST", "api:device-uploads", others="refused"),
    Line("401 401 401 401 401 401 401 401 204", "PATCH", "api:device-upload", an_upload),
    Line("401 401 401 401 401 401 401 401 204", "DELETE", "api:device-upload", an_upload),
    # DICOMweb: to a microscope what it sent, to staff what is their clinics'
    Line("401 403 403 200 200 403 403 200 200", "GET", "api:dicom-studies"),
    Line("401 403 403 403 403 403 403 403 415", "POST", "api:dicom-studies"),
    Line("401 403 403 200 200 403 403 200 200", "GET", "api:dicom-all-series"),
    Line("401 403 403 200 200 403 403 200 200", "GET", "api:dicom-all-instances"),
    Line("401 403 403 200 200 403 403 404 200", "GET", "api:dicom-study", dicom_object("study")),
    Line("401 403 403 403 403 403 403 403 415", "POST", "api:dicom-study", dicom_object("study"),
         others="same"),
    Line("401 403 403 200 200 403 403 404 200", "GET", "api:dicom-study-metadata",
         dicom_object("study")),
    Line("401 403 403 200 200 403 403 200 200", "GET", "api:dicom-series", dicom_object("study"),
         others="same"),
    Line("401 403 403 200 200 403 403 200 200", "GET", "api:dicom-study-instances",
         dicom_object("study"), others="same"),
    Line("401 403 403 200 200 403 403 404 200", "GET", "api:dicom-one-series",
         dicom_object("study", "series")),
    Line("401 403 403 200 200 403 403 404 200", "GET", "api:dicom-series-metadata",
         dicom_object("study", "series")),
    Line("401 403 403 200 200 403 403 200 200", "GET", "api:dicom-instances",
         dicom_object("study", "series"), others="same"),
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
    Line("401 403 403 403 403 403 201 403 401", "POST", "api:portal-access-list", body=new_access,
         others="unknown"),
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
    Line("401 403 403 201 403 403 201 403 401", "POST", "api:specimen-list", body=new_specimen,
         others="unknown"),
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
         "app_label": "diagnostics", "model_name": "specimen", "field_name": "patient"},
         others="same"),
    Line(" in  in  in 404 404 404 404 404  in", "GET", "admin:view_on_site",
         lambda s: {"content_type_id": 1, "object_id": "1"}),
    Line(" in  in  in 200 404 200 200 404  in", "GET", "admin:app_list", app("devices"),
         others="same"),
    Line(" in  in  in 200 200 200 200 200  in", "GET", "admin:app_list", app("accounts"),
         note="of accounts", others="same"),
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

# What each hears of six events, one on each topic: cases, microscopes and a child's reports, of
# this clinic in small letters and of the other in capitals; or the code its socket is closed with.
# fmt: off
SOCKETS = {
    #             ano  gua   str   technician  haem. manager admin. outsider device
    "ws/clinic/": "4401 4403 4403 cases+fleet cases fleet   fleet  CASES    4401",
    "ws/portal/": "4401 child CHILD 4403      4403  4403    4403   4403     4401",
}
# fmt: on
