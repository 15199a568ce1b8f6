"""Django's own admin, with our name on it."""

from django.contrib.admin import AdminSite


class LeukolensAdminSite(AdminSite):
    """Plain Django admin: the skins break a strict Content-Security-Policy."""

    site_header = "Leukolens"
    site_title = "Leukolens"
    index_title = "Registries and administration"
    enable_nav_sidebar = True
    site_url = None  # the header has its own way back, to the worklist
