"""The backend's one module, under the name that Django looks for."""

import select
from typing import Any

from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection that is asked whether it still works only where there is reason to doubt it.

    Django asks `SELECT 1` before each request's first question, a tenth of what an upload costs.
    But a server says nothing unasked, except that it ends the connection; and of a machine that
    vanished without a word the kernel hears soon, by the keepalives of the settings.
    """

    health_check_enabled: bool
    health_check_done: bool
    errors_occurred: bool

    def close_if_health_check_failed(self) -> None:
        """Close a connection that does not work any more, so that the next question opens one."""
        if self.health_check_enabled and not self.health_check_done and _is_quiet(self.connection):
            self.health_check_done = True
        super().close_if_health_check_failed()

    def is_usable(self) -> bool:
        """Whether the connection may serve another request: none does after an error.

        It may keep statements, read and planned, whose tables an upgrade has changed since.
        """
        return not self.errors_occurred and super().is_usable()


def _is_quiet(connection: Any) -> bool:
    """Whether nothing has come from the server, not even the end, since its last answer."""
    if connection is None or connection.closed:
        return False
    socket = select.poll()
    socket.register(connection.fileno(), select.POLLIN)
    return not socket.poll(0)
