"""Every address of the product."""

from django.contrib import admin
from django.urls import include, path

from hospital.config import machines

urlpatterns = [
    *machines.urlpatterns,
    # First: a microscope's request is looked for among the fewest.
    path("api/", include("hospital.config.api")),
    path("admin/", admin.site.urls),
    path("", include("hospital.accounts.urls")),
    path("", include("patients.urls")),
    path("", include("diagnostics.urls")),
]
