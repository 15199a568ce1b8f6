"""What `Together` promises to threads that want the same at the same moment."""

import threading
import time
from collections.abc import Sequence

import pytest

from hospital.base.together import Together


def all_at_once(together: Together[int, int], items: Sequence[int]) -> dict[int, object]:
    """What each item got, its result or its error."""
    start, got = threading.Barrier(len(items)), {}

    def want(item: int) -> None:
        start.wait()
        try:
            got[item] = together(item)
        except Exception as error:
            got[item] = error

    threads = [threading.Thread(target=want, args=[item]) for item in items]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    return got


def test_each_gets_its_own_result_and_rounds_are_shared():
    rounds = []

    def double(items):
        rounds.append(len(items))
        time.sleep(0.01)
        return [2 * item for item in items]

    got = all_at_once(Together(double, most=8, apart=ValueError), range(40))

    assert got == {item: 2 * item for item in range(40)}
    assert sum(rounds) == 40
    assert max(rounds) <= 8
    assert len(rounds) < 40


def test_one_alone_is_served_in_its_own_thread():
    together = Together(lambda items: [threading.get_ident()], most=8, apart=ValueError)
    assert together(1) == threading.get_ident()


def test_the_fault_of_one_is_nobody_elses():
    def picky(items):
        time.sleep(0.01)
        if 3 in items:
            raise ValueError(3)
        return list(items)

    got = all_at_once(Together(picky, most=32, apart=ValueError), range(12))

    assert isinstance(got.pop(3), ValueError)
    assert got == {item: item for item in range(12) if item != 3}


def test_a_failure_that_is_nobodys_fault_reaches_everybody_and_passes():
    def broken(items):
        raise OSError("gone")

    together = Together(broken, most=32, apart=ValueError)
    got = all_at_once(together, range(6))
    assert all(isinstance(error, OSError) for error in got.values())
    with pytest.raises(OSError, match="gone"):
        together(1)
