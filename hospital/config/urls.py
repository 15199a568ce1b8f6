"""Every address of the product."""

from django.contrib import admin
from django.urls import include, path

from hospital.config.health import healthz, readyz
from hospital.config.metrics import metrics

urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("metrics", metrics, name="metrics"),
    path("admin/", admin.site.urls),
    path("", include("hospital.accounts.urls")),
    path("", include("patients.urls")),
    path("", include("diagnostics.urls")),
    path("api/", include("hospital.config.api")),
]
