"""Refusals: every 'no' the system says carries a stable code and a sentence that helps.

Services raise `Refusal`; the API turns it into problem+json (RFC 9457), pages into a message.
"""

from http import HTTPStatus
from typing import Any, ClassVar


class Refusal(Exception):
    """A request that was understood and cannot be granted. Nothing was written.

    Attributes:
        status: the HTTP status it becomes at the border.
        code: stable, for programs; documented in docs/device-api.md.
        detail: one sentence for a person, saying what to do.
        retry_after: seconds after which trying again makes sense, else None.
    """

    status: ClassVar[int] = 422
    code: str = "refused"

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        retry_after: int | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.code
        self.retry_after = retry_after
        self.extra = extra


class Forbidden(Refusal):
    """The actor may not do this, or not to this object."""

    status = 403
    code = "forbidden"


class NotFound(Refusal):
    """No such thing, or none that the actor may know of."""

    status = 404
    code = "not_found"


class Conflict(Refusal):
    """What is asked contradicts what is already stored."""

    status = 409
    code = "conflict"


class Overloaded(Refusal):
    """The system is busy; what was sent should be sent again later."""

    status = 503
    code = "overloaded"


class TooLarge(Refusal):
    """There are more bytes than are taken, or than were announced."""

    status = 413
    code = "too_large"

    @classmethod
    def than(cls, limit: int) -> "TooLarge":
        """Than `limit` bytes, whatever was announced."""
        return cls(f"The limit is {limit} bytes. Send a smaller or compressed picture.")


def ensure_fits(text: str, longest: int, *, what: str) -> str:
    """The text without blanks around it; nothing of what somebody wrote is ever cut off.

    Args:
        longest: in characters.
        what: what it is, in one word for people and programs: 'comment'.

    Raises:
        Refusal: it is longer (`comment_too_long`).
    """
    text = text.strip()
    if len(text) > longest:
        raise Refusal(
            f"The {what} has {len(text)} characters, and {longest} is the most. Shorten it.",
            code=f"{what}_too_long",
        )
    return text


def phrase_of(status: int) -> str:
    """A status in words, also the one that the protocol tus has made up for itself."""
    return "Checksum Mismatch" if status == 460 else HTTPStatus(status).phrase
