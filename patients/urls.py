"""Addresses of an invitation to the portal."""

from django.urls import path

from patients.pages import views

urlpatterns = [
    path("invitation/", views.accept, name="invitation"),
    path("invitation/<str:secret>/", views.follow, name="invitation-follow"),
]
