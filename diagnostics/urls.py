"""Addresses of the worklist, the case, the portal and their pictures."""

urlpatterns: list = []
