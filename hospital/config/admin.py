"""Django's own admin, with our name on it."""

from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from hospital.accounts.scoped_admin import NotedSearch


class LeukolensAdminSite(AdminSite):
    """Plain Django admin: the skins break a strict Content-Security-Policy."""

    site_header = "Leukolens"
    site_title = "Leukolens"
    index_title = "Registries and administration"
    enable_nav_sidebar = True
    site_url = None  # the header has its own way back, to the worklist

    def login(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """The one door for everybody: a second one would need a second lock."""
        if self.has_permission(request):
            return redirect("admin:index")
        if request.user.is_authenticated:
            raise PermissionDenied
        return redirect_to_login(request.GET.get("next", "/admin/"))

    def autocomplete_view(self, request: HttpRequest) -> Any:
        """Searching by name is reading, too."""
        return NotedSearch.as_view(admin_site=self)(request)

    def password_change(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """The page for everybody."""
        return redirect("password")

    def password_change_done(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """The page for everybody."""
        return redirect("account")
