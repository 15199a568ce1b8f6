"""Ages that decide who reads about whom: a child, a youth who may read along, an adult alone."""

from datetime import date

from django.conf import settings
from django.db import models

# From here on a child's own account reads beside the guardians'.
YOUTH_YEARS = 12


class AgeBand(models.TextChoices):
    """Computed from the birth date, never stored."""

    CHILD = "child", "Child, 0 to 11"
    YOUTH = "youth", "Youth, from 12"
    ADULT = "adult", "Adult"


def band_of(birth: date, today: date) -> AgeBand:
    """The band of somebody born on `birth`."""
    if birth <= born_by(settings.MAJORITY_YEARS, today):
        return AgeBand.ADULT
    return AgeBand.YOUTH if birth <= born_by(YOUTH_YEARS, today) else AgeBand.CHILD


def born_by(years: int, today: date) -> date:
    """The last birth date of those who have turned `years`.

    Who was born on 29 February turns a year older on 1 March where there is no such day.
    """
    try:
        return today.replace(year=today.year - years)
    except ValueError:
        return today.replace(year=today.year - years, day=28)
