"""Days, times and numbers as the reader's language writes them.

What a language needs for this stands in its catalogue, so that one file brings a language
(docs/languages.md). The calendar is the hospital's in every language: a date must be the same on
the screen, on the paper and in the laboratory.
"""

from datetime import date, datetime

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import get_language_bidi, pgettext

_DIGITS = "0123456789"
# Put around what reads the other way, or has no way of its own, such as a telephone number.
_ISOLATE, _END = "\N{FIRST STRONG ISOLATE}", "\N{POP DIRECTIONAL ISOLATE}"


def numerals(value: object) -> str:
    """`value` with the digits of the language. Not for numbers that are typed or dialled."""
    digits = pgettext("the ten digits, from nought to nine", "0123456789")
    return str(value).translate(str.maketrans(_DIGITS, digits))


def day(at: date | datetime) -> str:
    """A day, such as '3 November 2026'."""
    return _shaped(at, pgettext("how a day is written, in the letters of PHP", "j F Y"))


def moment(at: datetime) -> str:
    """A day and a time, such as '3 November 2026, 14:05', in the hospital's time zone."""
    return _shaped(at, pgettext("how a day and a time are written", "j F Y, H:i"))


def brief(at: datetime) -> str:
    """A day and a time where there is little room, such as '3 Nov 2026, 14:05'."""
    return _shaped(at, pgettext("how a day and a time are written briefly", "j M Y, H:i"))


def weekday(at: datetime) -> str:
    """A day and a time with the day of the week."""
    return _shaped(at, pgettext("how a day and a time are written in full", "l, j F Y, H:i"))


def apart(value: object) -> str:
    """A name or number that stays whole in a sentence that runs from right to left."""
    return f"{_ISOLATE}{value}{_END}" if get_language_bidi() else str(value)


def _shaped(at: date | datetime, form: str) -> str:
    local = timezone.localtime(at) if isinstance(at, datetime) else at
    return numerals(date_format(local, form))
