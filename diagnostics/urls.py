"""Addresses of the worklist, the case, the portal and their pictures."""

from django.urls import path

from diagnostics.pages import (
    case,
    controls,
    fleet,
    mix_ups,
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
    path("fleet/<uuid:device_id>/controls/", controls.history, name="controls"),
    path("fleet/<uuid:device_id>/controls/live/", controls.live, name="controls-live"),
    path("fleet/<uuid:device_id>/release/", controls.release, name="controls-release"),
    path("cases/<uuid:report_id>/", case.case, name="case"),
    path("cases/<uuid:report_id>/live/", case.case_live, name="case-live"),
    path("cases/<uuid:report_id>/verify/", case.verify, name="case-verify"),
    path("cases/<uuid:report_id>/sign/", case.sign, name="case-sign"),
    path("cases/<uuid:report_id>/report.pdf", papers.case_pdf, name="case-pdf"),
    path("cases/<uuid:report_id>/release/", case.release_all, name="case-release"),
    path("cases/<uuid:report_id>/close/", case.close, name="case-close"),
    path("cases/<uuid:report_id>/reopen/", case.reopen, name="case-reopen"),
    path("held/<uuid:image_id>/release/", case.release, name="held-release"),
    path("held/<uuid:image_id>/set-aside/", case.set_aside, name="held-set-aside"),
    path("mix-ups/<uuid:mix_up_id>/", mix_ups.mix_up, name="mix-up"),
    path("mix-ups/<uuid:mix_up_id>/settle/", mix_ups.settle, name="mix-up-settle"),
    path("analyses/<uuid:analysis_id>/retry/", case.retry, name="analysis-retry"),
    path("pictures/<uuid:image_id>/<slug:kind>", pictures.picture, name="picture"),
    path("portal/", portal.portal, name="portal"),
    path("portal/live/", portal.portal_live, name="portal-live"),
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
