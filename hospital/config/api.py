"""The API's addresses, put together from the apps."""

from django.contrib.auth.decorators import login_not_required
from django.urls import include, path, re_path
from django.views.decorators.csrf import csrf_exempt

from hospital.base.api import no_such_address

app_name = "api"

# It reads nothing and changes nothing, so it may answer anybody.
nothing = csrf_exempt(login_not_required(no_such_address))

urlpatterns = [
    path("device/v1/", include("devices.api.urls")),
    path("device/v1/", include("diagnostics.api.urls")),
    re_path(r"^(?P<path>.*)$", nothing, name="nothing-here"),
]
