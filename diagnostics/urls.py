"""Addresses of the worklist, the case, the portal and their pictures."""

from django.urls import path

from diagnostics.pages import (
    case,
    family,
    fleet,
    looked,
    papers,
    pictures,
    portal,
    verify,
    worklist,
)

urlpatterns = [
    path("worklist/", worklist.worklist, name="worklist"),
    path("worklist/live/", worklist.worklist_rows, name="worklist-live"),
    path("fleet/", fleet.fleet, name="fleet"),
    path("fleet/live/", fleet.fleet_live, name="fleet-live"),
    path("fleet/<uuid:device_id>/", fleet.fleet_device, name="fleet-device"),
    path("fleet/<uuid:device_id>/live/", fleet.fleet_device_live, name="fleet-device-live"),
    path("cases/<uuid:report_id>/", case.case, name="case"),
    path("cases/<uuid:report_id>/live/", case.case_live, name="case-live"),
    path("cases/<uuid:report_id>/verify/", case.verify, name="case-verify"),
    path("cases/<uuid:report_id>/sign/", case.sign, name="case-sign"),
    path("cases/<uuid:report_id>/told/", family.told, name="case-told"),
    path("cases/<uuid:report_id>/report.pdf", papers.case_pdf, name="case-pdf"),
    path("analyses/<uuid:analysis_id>/retry/", case.retry, name="analysis-retry"),
    path("pictures/<uuid:image_id>/<slug:kind>", pictures.picture, name="picture"),
    path("portal/", portal.portal, name="portal"),
    path("portal/live/", portal.portal_live, name="portal-live"),
    path("portal/patients/<uuid:patient_id>/looked/", looked.looked, name="portal-looked"),
    path("portal/reports/<uuid:report_id>/", portal.portal_report, name="portal-report"),
    path("portal/reports/<uuid:report_id>/report.pdf", papers.portal_pdf, name="portal-pdf"),
    path(
        "portal/reports/<uuid:report_id>/live/",
        portal.portal_report_live,
        name="portal-report-live",
    ),
    path(
        "portal/reports/<uuid:report_id>/pictures/<uuid:image_id>/<slug:kind>",
        pictures.portal_picture,
        name="portal-picture",
    ),
    path("verify/<uuid:version_id>/<slug:start>/", verify.verify, name="verify"),
]
