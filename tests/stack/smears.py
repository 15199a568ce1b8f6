"""Pictures for the stack, each unlike the others."""

from itertools import count

from ml.synthetic import smear, to_bytes

_seeds = count(1000)


def smears(number: int) -> list[bytes]:
    """So many different drawn smears, small to be quick."""
    return [to_bytes(smear(seed=next(_seeds), size=224), "image/jpeg") for _ in range(number)]
