"""The marks on a chart's axis are round, and no finer than what is measured."""

from datetime import date

import pytest

from diagnostics.pages.charts import Scale, line


@pytest.mark.parametrize(
    ("least", "most", "finest", "marks"),
    [
        (0, 0, 1, ["0", "1"]),
        (0, 1, 1, ["0", "1"]),
        (0, 7, 1, ["0", "5", "10"]),
        (0, 90, 1, ["0", "50", "100"]),
        (-0.004, -0.004, 0.1, ["-0.1", "0.0"]),
        (0.12, 0.17, 0.01, ["0.12", "0.14", "0.16", "0.18"]),
        (251, 251, 1, ["220", "240", "260", "280"]),
    ],
)
def test_marks_are_round_and_no_finer_than_what_is_measured(
    least: float, most: float, finest: float, marks: list[str]
) -> None:
    assert [tick.label for tick in Scale(least, most, finest).ticks()] == marks


def test_no_share_has_room_above_the_whole() -> None:
    today = date(2026, 11, 28)
    [*_, highest] = line("c", "Confidence", [today], {today: 95.0}, unit="%", digits=1).up
    assert highest.label == "100"
