"""Pages that do not shift while somebody reads them: by cursor, never by number."""

from typing import Any

from rest_framework.pagination import CursorPagination


class ByCursor(CursorPagination):
    """Follows the view's `ordering`, whose last field must be unique."""

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200

    def get_ordering(self, request: Any, queryset: Any, view: Any) -> tuple[str, ...]:
        """The view's own."""
        return tuple(view.ordering)
