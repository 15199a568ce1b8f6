"""What must hold before anybody acts in a clinic."""

from typing import Any

from hospital.accounts.selectors import may
from hospital.base.problems import Forbidden


def ensure_may(user: Any, permission: str, clinic: Any, deed: str = "do this") -> None:
    """Pass whoever holds `permission` in `clinic` (a Clinic or its id).

    Args:
        deed: what they wanted, in words that end the sentence they are told.

    Raises:
        Forbidden: they do not, or there is no such clinic.
    """
    if not may(user, permission, clinic):
        raise Forbidden(f"Your role does not let you {deed} in this clinic.")
