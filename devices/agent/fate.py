"""What becomes of a picture that the hospital did not take: by the answer, and by nothing else."""

from enum import StrEnum

from .client import UNEXPLAINED, Refused, Unreachable

# About the microscope and not about the picture: nothing else would be taken either.
ABOUT_THE_MICROSCOPE = ("device_", "key_", "certificate_", "invalid_key")
# The bytes did not arrive as they were sent: the same bytes again are welcome.
BROKEN_ON_THE_WAY = frozenset({"digest_mismatch", "incomplete_body", "checksum_mismatch"})
# Will not change by repeating, so a person must look.
FINAL = frozenset({400, 403, 404, 409, 410, 413, 415, 422})
# Even without an explanation: a proxy says it of the size, and would say it again.
FINAL_UNEXPLAINED = frozenset({413})


class Fate(StrEnum):
    """What to do with a picture after a failed attempt."""

    LATER = "later"
    """The line or the server is at fault: send it again."""
    UNKNOWN = "unknown"
    """Its specimen is not registered, perhaps not yet: send it again, slowly, for some hours."""
    REFUSED = "refused"
    """It will never be taken as it is: set it aside for a person."""
    STOPPED = "stopped"
    """The microscope itself is not let in: keep everything and send nothing."""


def fate_of(error: Refused | Unreachable) -> Fate:
    """What an answer, or none, means for the picture."""
    if isinstance(error, Unreachable) or error.code in BROKEN_ON_THE_WAY:
        return Fate.LATER
    unexplained = error.code == UNEXPLAINED
    if error.status == 401 or (
        error.status == 403 and (unexplained or error.code.startswith(ABOUT_THE_MICROSCOPE))
    ):
        return Fate.STOPPED
    if error.code == "unknown_accession":
        return Fate.UNKNOWN
    if error.status in (FINAL_UNEXPLAINED if unexplained else FINAL):
        return Fate.REFUSED
    return Fate.LATER
