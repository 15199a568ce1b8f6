"""Addresses of the device API that are about pictures."""

from django.urls import path

from diagnostics.api.bulk import ImagesView
from diagnostics.api.device import ImageView
from diagnostics.api.uploads import UploadsView, UploadView

# Any text, not Django's UUID: ids in capital letters are the same ids, and what is no id at all
# deserves an answer that says so.
urlpatterns = [
    path("images", ImagesView.as_view(), name="device-images"),
    path("images/<str:image_id>", ImageView.as_view(), name="device-image"),
    path("uploads", UploadsView.as_view(), name="device-uploads"),
    path("uploads/<str:upload_id>", UploadView.as_view(), name="device-upload"),
]
