"""The list of what was taken does not depend on anybody's word, and outlives a power cut."""

import hashlib
from uuid import uuid4

import pytest

from devices.simulator.taken import TAIL, Album, Taken, count_taken, list_in, on_card, read_taken


def picture(number, body):
    return Taken(
        number=number,
        id=uuid4(),
        sha256=hashlib.sha256(body).hexdigest(),
        size=len(body),
        accession="A-1",
        captured_at="2026-11-20T09:30:00+00:00",
    )


def album_with(folder, *bodies):
    album = Album(folder)
    for number, body in enumerate(bodies):
        album.take(picture(number, body), body)
    return album


def test_a_picture_stays_on_the_card_until_the_agent_has_it(tmp_path):
    album = album_with(tmp_path, b"one", b"two")
    first, second = album.taken
    assert [album.body(one) for one in album.not_stored] == [b"one", b"two"]

    album.stored(first)

    assert not on_card(tmp_path, first.id)
    assert read_taken(tmp_path) == ([first, second], {first.id})
    # After a power cut it goes on with the one that nobody has.
    assert Album(tmp_path).not_stored == [second]
    assert Album(tmp_path).taken == [first, second]


@pytest.mark.parametrize("left", range(1, 60, 7))
def test_a_line_torn_by_a_power_cut_is_a_picture_never_taken(tmp_path, left):
    album_with(tmp_path, b"one", b"two").close()
    path = list_in(tmp_path)
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + second[:left])

    album = Album(tmp_path)

    assert [one.number for one in album.taken] == [0]
    assert count_taken(tmp_path) == 1
    assert count_taken(tmp_path / "elsewhere") == 0
    # Its bytes go, too; and what is written next is a line of its own.
    assert [path.name for path in (tmp_path / "card").iterdir()] == [str(album.taken[0].id)]
    album.take(picture(1, b"again"), b"again")
    assert [one.number for one in read_taken(tmp_path)[0]] == [0, 1]


def test_a_long_list_is_counted_by_its_end(tmp_path):
    album = album_with(tmp_path, *(f"{number}".encode() for number in range(400)))
    assert list_in(tmp_path).stat().st_size > TAIL
    assert count_taken(tmp_path) == 400
    album.stored(album.taken[0])
    assert count_taken(tmp_path) == 400
