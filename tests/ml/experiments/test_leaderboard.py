"""The leaderboard judges all alike, goes on after a break, and says what colour gives."""

import json

import numpy as np
import pytest

from ml.experiments import leaderboard, leaderboard_page
from ml.experiments.classifiers import chosen
from tests.ml.experiments import drawn

FAMILIES = chosen(["logistic", "neighbours", "vgg16", "colour"])
COUNTS = {"image": 3, "group": 3, "session": 3}


@pytest.fixture(scope="module")
def smears(tmp_path_factory):
    return drawn.examples(tmp_path_factory.mktemp("smears"))


@pytest.fixture(scope="module")
def board(smears, tmp_path_factory):
    return run(smears, tmp_path_factory.mktemp("runs"))


def run(smears, folder, trunks=None, families=FAMILIES):
    return leaderboard.run(
        smears,
        trunks or drawn.Means(),
        origin="means of colours",
        folder=folder,
        report=drawn.quiet,
        families=families,
        counts=COUNTS,
    )


def test_every_family_is_judged_by_picture_by_slide_and_by_sitting(board):
    assert [line["key"] for line in board["lines"]] == [family.key for family in FAMILIES]
    for line in board["lines"]:
        assert set(line["figures"]) == {"image", "group", "session"}
        for figures in line["figures"].values():
            assert 0.25 < figures["accuracy"] <= 1
            assert len(figures["rounds"]) == 3


def test_run_again_nothing_is_looked_at_or_taught_again(smears, tmp_path):
    trunks = drawn.Means()
    first = run(smears, tmp_path, trunks)
    assert trunks.asked == len(smears)
    taught = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npy")}
    again = run(smears, tmp_path, trunks)
    assert trunks.asked == len(smears)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npy")} == taught
    assert again == first


def test_other_trunks_are_asked_anew(smears, tmp_path):
    run(smears, tmp_path, families=chosen(["logistic"]))

    class Others(drawn.Means):
        def fingerprint(self):
            return "others"

    others = Others()
    run(smears, tmp_path, others, families=chosen(["logistic"]))
    assert others.asked == len(smears)


def test_one_trunk_alone_sees_its_own_half(smears, tmp_path):
    seen = []

    def spy(taught, targets, asked, seed):
        seen.append(taught.shape[1])
        return np.full((len(asked), 4), 0.25)

    from dataclasses import replace

    families = [replace(family, classify=spy) for family in chosen(["logistic", "densenet121"])]
    run(smears, tmp_path, families=families)
    assert set(seen) == {54, 27}


def test_with_one_sitting_nothing_is_judged_by_sitting(smears, tmp_path):
    from dataclasses import replace

    one = [replace(example, session="the only one") for example in smears]
    result = run(one, tmp_path, families=chosen(["logistic"]))
    assert set(result["folds"]) == {"image", "group"}
    assert "by sitting, %" not in leaderboard_page.write(result)


def test_the_histogram_knows_how_much_of_each_colour_and_not_where():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
    counted = leaderboard.histogram(picture)
    np.testing.assert_allclose((counted**2).sum(), 1, rtol=1e-5)
    shuffled = rng.permutation(picture.reshape(-1, 3)).reshape(picture.shape)
    np.testing.assert_array_equal(leaderboard.histogram(shuffled), counted)
    assert not np.array_equal(leaderboard.histogram(255 - picture), counted)


def test_the_page_ranks_by_slide_and_tells_what_colour_alone_gives(board, tmp_path):
    html = leaderboard_page.write(board)
    scores = [line["figures"]["group"]["macro_f1"] for line in leaderboard_page.ranked(board)]
    assert scores == sorted(scores, reverse=True)
    assert "How much there is of each colour" in html
    for line in board["lines"]:
        assert line["title"] in html
    assert "http" not in html.replace("http://www.w3.org", "")
    assert json.loads(json.dumps(board)) == board
