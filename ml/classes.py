"""The four classes the network tells apart (paper section 3.2), in the order of its outputs."""

from enum import StrEnum


class Class(StrEnum):
    """One output of the network. The value is what is stored; the order is the softmax order."""

    BENIGN = "benign"
    EARLY_PRE_B = "early_pre_b"
    PRE_B = "pre_b"
    PRO_B = "pro_b"

    @property
    def malignant(self) -> bool:
        """Whether the class is a subtype of acute lymphoblastic leukaemia."""
        return self is not Class.BENIGN


CLASSES: tuple[Class, ...] = tuple(Class)

# How the Taleqani folders spell them.
FOLDERS: dict[str, Class] = {
    "Benign": Class.BENIGN,
    "Early": Class.EARLY_PRE_B,
    "Pre": Class.PRE_B,
    "Pro": Class.PRO_B,
}
