"""Addresses of DICOMweb, as PS3.18 names them."""

from django.urls import path

from diagnostics.api.dicom.retrieve import (
    FramesView,
    MetadataView,
    ObjectsView,
    RenderedView,
    StudyView,
)
from diagnostics.api.dicom.store import InstancesView, SeriesView, StudiesView

STUDY = "studies/<str:study>"
SERIES = f"{STUDY}/series/<str:series>"
INSTANCE = f"{SERIES}/instances/<str:instance>"

urlpatterns = [
    path("studies", StudiesView.as_view(), name="dicom-studies"),
    path("series", SeriesView.as_view(), name="dicom-all-series"),
    path("instances", InstancesView.as_view(), name="dicom-all-instances"),
    path(STUDY, StudyView.as_view(), name="dicom-study"),
    path(f"{STUDY}/metadata", MetadataView.as_view(), name="dicom-study-metadata"),
    path(f"{STUDY}/series", SeriesView.as_view(), name="dicom-series"),
    path(f"{STUDY}/instances", InstancesView.as_view(), name="dicom-study-instances"),
    path(SERIES, ObjectsView.as_view(), name="dicom-one-series"),
    path(f"{SERIES}/metadata", MetadataView.as_view(), name="dicom-series-metadata"),
    path(f"{SERIES}/instances", InstancesView.as_view(), name="dicom-instances"),
    path(INSTANCE, ObjectsView.as_view(), name="dicom-instance"),
    path(f"{INSTANCE}/metadata", MetadataView.as_view(), name="dicom-instance-metadata"),
    path(f"{INSTANCE}/frames/<str:frames>", FramesView.as_view(), name="dicom-frames"),
    path(f"{INSTANCE}/rendered", RenderedView.as_view(), name="dicom-rendered"),
]
