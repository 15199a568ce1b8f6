"""Nothing is allowed by default.

A file of its own: REST framework imports its default permissions while it is still being imported.
"""

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request


class Denied(BasePermission):
    """The default of every API view: a view that names no permission lets nobody in."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Never."""
        return False
