"""The API's addresses, put together from the apps."""

from django.contrib.auth.decorators import login_not_required
from django.urls import include, path, re_path
from django.views.decorators.csrf import csrf_exempt
from drf_spectacular.views import SpectacularAPIView
from rest_framework.routers import SimpleRouter

from devices.api.registry import DeviceViewSet
from diagnostics.api.controls import ControlRunViewSet, ControlSlideViewSet
from diagnostics.api.holds import HoldViewSet, MixUpViewSet
from diagnostics.api.reports import AnalysisViewSet, ReportViewSet
from diagnostics.api.specimens import SpecimenViewSet
from hospital.accounts.api import ClinicViewSet, IsStaff, StaffSession
from hospital.base.api import no_such_address
from hospital.config.api_docs import docs
from patients.api.portal import PortalAccessViewSet
from patients.api.registry import PatientViewSet

app_name = "api"

staff = SimpleRouter()
staff.register("clinics", ClinicViewSet, "clinic")
staff.register("patients", PatientViewSet, "patient")
staff.register("portal-access", PortalAccessViewSet, "portal-access")
staff.register("devices", DeviceViewSet, "device")
staff.register("specimens", SpecimenViewSet, "specimen")
staff.register("control-slides", ControlSlideViewSet, "control-slide")
staff.register("control-runs", ControlRunViewSet, "control-run")
staff.register("holds", HoldViewSet, "hold")
staff.register("mix-ups", MixUpViewSet, "mix-up")
staff.register("reports", ReportViewSet, "report")
staff.register("analyses", AnalysisViewSet, "analysis")

schema = SpectacularAPIView.as_view(
    authentication_classes=[StaffSession], permission_classes=[IsStaff]
)
# It reads nothing and changes nothing, so it may answer anybody.
nothing = csrf_exempt(login_not_required(no_such_address))

urlpatterns = [
    path("device/v1/", include("devices.api.urls")),
    path("device/v1/", include("diagnostics.api.urls")),
    path("dicom/", include("diagnostics.api.dicom.urls")),
    path("v1/", include(staff.urls)),
    path("schema/", schema, name="schema"),
    path("docs/", docs, name="docs"),
    re_path(r"^(?P<path>.*)$", nothing, name="nothing-here"),
]
