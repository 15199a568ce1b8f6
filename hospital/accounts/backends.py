"""Django's permission questions, answered from the roles table."""

from typing import Any

from django.contrib.auth.backends import BaseBackend

from hospital.accounts.models import User
from hospital.accounts.selectors import permissions_of


class RoleBackend(BaseBackend):
    """Grants what the user's roles grant somewhere; which clinic is the selectors' question."""

    def has_perm(self, user_obj: Any, perm: str, obj: Any = None) -> bool:
        if not isinstance(user_obj, User) or not user_obj.is_active:
            return False
        return perm in self._permissions(user_obj)

    def has_module_perms(self, user_obj: Any, app_label: str) -> bool:
        """Whether the user holds any permission of the app: what the admin's index asks."""
        if not isinstance(user_obj, User) or not user_obj.is_active:
            return False
        return any(p.startswith(f"{app_label}.") for p in self._permissions(user_obj))

    def _permissions(self, user: User) -> frozenset[str]:
        cached: frozenset[str] | None = getattr(user, "_role_permissions", None)
        if cached is None:
            cached = permissions_of(user)
            user._role_permissions = cached  # type: ignore[attr-defined]
        return cached
