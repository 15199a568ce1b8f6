"""Which pictures were probably taken from one slide, when nobody has written it down."""

from collections.abc import Sequence

from ml.data.index import DataUnreadable, Example, Report, silent


def infer(examples: Sequence[Example], *, report: Report = silent) -> list[Example]:
    """The examples with `group` and `session` filled in."""
    raise DataUnreadable("there is no groups.csv: give one with file, class and group")
