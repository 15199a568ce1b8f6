"""Walks an object's elements before pydicom builds anything of them.

Proves that every length is true, that nothing is missing at the end, and that there are not more
elements than an object of one picture has. A few bytes an element would otherwise become hundreds.
"""

from struct import Struct

from pydicom.datadict import dictionary_VR

from diagnostics.dicom.refusals import ObjectRefused

PREAMBLE = 128
MOST_ELEMENTS = 20_000
DEEPEST = 16

_PIXEL_DATA = 0x7FE00010
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF
SOP_CLASS, SOP_INSTANCE, TRANSFER_SYNTAX = 0x00020002, 0x00020003, 0x00020010
_ANNOUNCED = frozenset([SOP_CLASS, SOP_INSTANCE, TRANSFER_SYNTAX])
# PS3.5 7.1.2: these have two bytes of nothing and then a length of four.
_LONG = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_SHORT = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_TAG, _SIZE2, _SIZE4 = Struct("<HH"), Struct("<H"), Struct("<I")


def unreadable(why: str) -> ObjectRefused:
    """The refusal of bytes that are no whole DICOM object; `why` holds nothing of them."""
    return ObjectRefused(f"This is no whole DICOM object ({why}). Send it again.")


def file_meta(data: bytes) -> tuple[dict[int, str], int]:
    """SOP class, instance and transfer syntax as a Part-10 file announces them, by tag; and where
    its dataset begins.

    Raises:
        ObjectRefused: no preamble, or the meta group is broken.
    """
    if data[PREAMBLE : PREAMBLE + 4] != b"DICM":
        raise unreadable("no DICM at byte 128")
    walk = _Walk(data)
    told: dict[int, str] = {}
    at, last = PREAMBLE + 4, 0
    # The group's own two bytes: what comes after it may be in implicit VR.
    while data[at : at + 2] == b"\2\0":
        tag, _, length, value = walk.head(at, implicit=False)
        if tag <= last or length == _UNDEFINED or value + length > len(data):
            raise unreadable("its file meta information is broken")
        if tag in _ANNOUNCED:
            told[tag] = data[value : value + length].decode("ascii", "replace").rstrip("\0 ")
        at, last = value + length, tag
    return told, at


def ensure_whole(data: bytes, start: int, *, implicit: bool) -> None:
    """Walk the dataset from byte `start` to the end.

    Raises:
        ObjectRefused: a length is untrue, tags do not ascend, it ends too early, or there are
            more elements or levels than an object of one picture has.
    """
    _Walk(data).dataset(start, len(data), implicit=implicit, depth=0)


class _Walk:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.left = MOST_ELEMENTS

    def head(self, at: int, *, implicit: bool) -> tuple[int, bytes, int, int]:
        """Tag, VR (b'' when implicit), length and place of the value of the element at `at`."""
        self.left -= 1
        if self.left < 0:
            raise unreadable("more elements than one picture needs")
        if at + 8 > len(self.data):
            raise unreadable("it is cut short")
        group, element = _TAG.unpack_from(self.data, at)
        tag = group << 16 | element
        if implicit or group == 0xFFFE:
            return tag, b"", _SIZE4.unpack_from(self.data, at + 4)[0], at + 8
        vr = self.data[at + 4 : at + 6]
        if vr in _SHORT:
            return tag, vr, _SIZE2.unpack_from(self.data, at + 6)[0], at + 8
        if vr not in _LONG:
            raise unreadable("an element of no known kind")
        if at + 12 > len(self.data):
            raise unreadable("it is cut short")
        return tag, vr, _SIZE4.unpack_from(self.data, at + 8)[0], at + 12

    def dataset(
        self, at: int, end: int, *, implicit: bool, depth: int, delimited: bool = False
    ) -> int:
        """Walk elements up to `end`, or to the item's own end mark; return where that was."""
        last = -1
        while at < end:
            tag, vr, length, value = self.head(at, implicit=implicit)
            if delimited and tag == _ITEM_END:
                return value
            if tag <= last or tag >> 16 == 0xFFFE:
                raise unreadable("its elements are not in order")
            at, last = self.value(tag, vr, length, value, end, implicit=implicit, depth=depth), tag
        if delimited or at != end:
            raise unreadable("it is cut short")
        return at

    def value(
        self,
        tag: int,
        vr: bytes,
        length: int,
        at: int,
        end: int,
        *,
        implicit: bool,
        depth: int,
    ) -> int:
        """Walk over one value; return where it ends."""
        if length != _UNDEFINED and at + length > end:
            raise unreadable("it is cut short")
        if tag == _PIXEL_DATA:
            return self.fragments(at, end) if length == _UNDEFINED else at + length
        # PS3.5 6.2.2: what is UN and of undefined length holds a sequence in implicit VR.
        inner = implicit or vr == b"UN"
        if length == _UNDEFINED:
            return self.sequence(at, end, implicit=inner, depth=depth, delimited=True)
        if vr == b"SQ" or (implicit and _is_sequence(tag)):
            return self.sequence(at, at + length, implicit=inner, depth=depth, delimited=False)
        return at + length

    def sequence(self, at: int, end: int, *, implicit: bool, depth: int, delimited: bool) -> int:
        """Walk a sequence's items."""
        if depth >= DEEPEST:
            raise unreadable("its sequences are too deep")
        while at < end:
            tag, _, length, value = self.head(at, implicit=True)
            if delimited and tag == _SEQUENCE_END:
                return value
            if tag != _ITEM or (length != _UNDEFINED and value + length > end):
                raise unreadable("a sequence is broken")
            stop = end if length == _UNDEFINED else value + length
            at = self.dataset(
                value,
                stop,
                implicit=implicit,
                depth=depth + 1,
                delimited=length == _UNDEFINED,
            )
        if delimited or at != end:
            raise unreadable("it is cut short")
        return at

    def fragments(self, at: int, end: int) -> int:
        """Walk encapsulated pixel data."""
        while at < end:
            tag, _, length, value = self.head(at, implicit=True)
            if tag == _SEQUENCE_END:
                return value
            if tag != _ITEM or value + length > end:
                raise unreadable("it is cut short")
            at = value + length
        raise unreadable("it is cut short")


def _is_sequence(tag: int) -> bool:
    try:
        return dictionary_VR(tag) == "SQ"
    except KeyError:
        return False
