"""The API's addresses, put together from the apps."""

from django.contrib.auth.decorators import login_not_required
from django.urls import include, path, re_path

from hospital.base.api import no_such_address

app_name = "api"

urlpatterns = [
    path("device/v1/", include("devices.api.urls")),
    path("device/v1/", include("diagnostics.api.urls")),
    re_path(r"^(?P<path>.*)$", login_not_required(no_such_address), name="nothing-here"),
]
