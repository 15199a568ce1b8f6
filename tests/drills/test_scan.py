"""The scan drill tells trouble first, and a thousand times the same reason once."""

from tests.drills.scan import EXPLAINED, Finding, told

WORDS, WHY = next(iter(EXPLAINED.items()))


def test_trouble_comes_first_and_what_is_explained_comes_once_with_its_reason():
    found = [Finding("wapiti", "medium", f"POST /{n}/ {WORDS}") for n in range(600)]
    found += [Finding("wapiti", "informational", "4000 pages"), Finding("sslscan", "high", "SSLv3")]

    lines = told(found)

    assert list(lines) == [
        ("sslscan", "high", "SSLv3"),
        ("wapiti", "informational", "4000 pages"),
        ("wapiti", "medium, explained", WHY),
    ]
    assert lines["wapiti", "medium, explained", WHY] == 600
