"""What a million pictures cost follows from what one took."""

import pytest

from bench import cost

MEASURED = {
    "upload": {"web": 6.0, "analyses": 0.0, "database": 2.0},
    "analysis": {"web": 1.0, "analyses": 36.0, "database": 3.0},
}


def test_a_millisecond_each_is_a_thousand_seconds_a_million():
    assert cost.core_hours(3.6) == pytest.approx(1.0)


def test_the_database_is_full_when_its_milliseconds_fill_a_second():
    found = cost.costs(MEASURED)
    assert found["database_saturates"] == pytest.approx(1000 / 5)
    assert found["prudent"] == pytest.approx(140)
    # 200 pictures a second keep 200 x 36 ms of workers busy.
    assert found["workers"] == pytest.approx(7.2)


def test_shares_add_up_and_are_priced():
    shares = cost.costs(MEASURED, price=0.5)["shares"]
    assert shares["total"]["core_hours"] == pytest.approx(48 / 3.6)
    assert shares["total"]["money"] == pytest.approx(48 / 3.6 / 2)
    parts = [one["core_hours"] for name, one in shares.items() if name != "total"]
    assert sum(parts) == pytest.approx(shares["total"]["core_hours"])


def test_without_a_database_of_its_own_nothing_is_said_of_its_limit():
    embedded = {name: {"web": 6.0, "analyses": 30.0} for name in MEASURED}
    assert cost.costs(embedded)["database_saturates"] is None
    assert cost.sentence(embedded) == ""


def test_the_sentence_shows_the_calculation():
    told = cost.sentence(MEASURED)
    assert "1000 / 5.00 = 200 pictures a second" in told
    assert "13.3 core-hours" in told
