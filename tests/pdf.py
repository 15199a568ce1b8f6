"""Reads PDFs as Typst writes them: enough to know what a person or a screen reader would find."""

import re
import zlib

_OBJECT = re.compile(rb"\n(\d+) 0 obj\n(.*?)\nendobj", re.S)
_SHOWN = re.compile(
    rb"/(?P<font>f\d+) [\d.]+ Tf|(?P<glyphs>\()"
    rb"|/ActualText<FEFF(?P<said>[0-9A-F]*)>|(?P<end>EMC|ET)"
)
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|.)", re.S)
_NAMED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}


class Pdf:
    """A PDF by its objects."""

    def __init__(self, data: bytes) -> None:
        assert data.startswith(b"%PDF-")
        self.objects = {int(n): body for n, body in _OBJECT.findall(data)}

    @property
    def catalog(self) -> str:
        """The document's own dictionary: its language, direction and tags."""
        return next(o for o in self.objects.values() if b"/Type/Catalog" in o).decode("latin1")

    @property
    def metadata(self) -> str:
        """What it calls itself (XMP)."""
        return self._stream(int(re.findall(r"/Metadata (\d+)", self.catalog)[0])).decode()

    @property
    def alternatives(self) -> list[str]:
        """What a screen reader says in place of the pictures."""
        found = [re.search(rb"/Alt\(((?:[^()\\]|\\.)*)\)", o) for o in self.objects.values()]
        return [match[1].decode("latin1") for match in found if match]

    @property
    def paper(self) -> tuple[float, float]:
        """Width and height of the first page, points."""
        box = re.search(rb"/MediaBox\[0 0 ([\d.]+) ([\d.]+)\]", self._pages()[0])
        assert box
        return float(box[1]), float(box[2])

    def pages(self) -> list[str]:
        """The text of each page, one line for each run of glyphs."""
        return [self._text(page) for page in self._pages()]

    @property
    def text(self) -> str:
        """The text of all pages in one line."""
        return " ".join(" ".join(self.pages()).split())

    def says(self, words: str) -> bool:
        """Whether `words` stand there, wherever lines and invisible characters break them."""
        return _bare(words) in _bare(self.text)

    def _pages(self) -> list[bytes]:
        return [o for o in self.objects.values() if b"/Type/Page/" in o]

    def _text(self, page: bytes) -> str:
        resources = self._follow(rb"/Resources (\d+)", page)
        fonts = {
            name.decode(): self._letters(int(number))
            for name, number in re.findall(rb"/(f\d+) (\d+) 0 R", resources)
        }
        content = re.search(rb"/Contents (\d+)", page)
        assert content
        said, letters, instead = [], {}, False
        stream, at = self._stream(int(content[1])), 0
        while match := _SHOWN.search(stream, at):
            at = match.end()
            if font := match["font"]:
                letters = fonts[font.decode()]
            elif match["said"] is not None:
                said.append(bytes.fromhex(match["said"].decode()).decode("utf-16-be"))
                instead = True
            elif match["end"]:
                said.append("\n" if match["end"] == b"ET" else "")
                instead = False
            else:
                at = _end_of_string(stream, at)
                glyphs = _ESCAPE.sub(_unescaped, stream[match.end() : at - 1])
                codes = [glyphs[i : i + 2] for i in range(0, len(glyphs), 2)]
                said += [] if instead else [letters.get(code, "") for code in codes]
        return "".join(said)

    def _letters(self, font: int) -> dict[bytes, str]:
        number = re.search(rb"/ToUnicode (\d+)", self.objects[font])
        assert number
        pairs = re.findall(rb"<([0-9A-F]{4})> <([0-9A-F]+)>", self._stream(int(number[1])))
        return {
            bytes.fromhex(code.decode()): bytes.fromhex(text.decode()).decode("utf-16-be")
            for code, text in pairs
        }

    def _follow(self, pattern: bytes, body: bytes) -> bytes:
        """The object that `pattern` names in `body`, with the ones that it names for fonts."""
        number = re.search(pattern, body)
        assert number
        found = self.objects[int(number[1])]
        fonts = re.search(rb"/Font (\d+) 0 R", found)
        return found + (self.objects[int(fonts[1])] if fonts else b"")

    def _stream(self, number: int) -> bytes:
        body = self.objects[number]
        raw = re.search(rb"stream\r?\n(.*)\r?\nendstream", body, re.S)
        assert raw
        return zlib.decompress(raw[1]) if b"/FlateDecode" in body else raw[1]


def _unescaped(match: re.Match[bytes]) -> bytes:
    code = match[1]
    return bytes([int(code, 8)]) if code.isdigit() else _NAMED.get(code, code)


def _end_of_string(stream: bytes, at: int) -> int:
    """Behind the bracket that closes the one before `at`; those inside come in pairs."""
    depth = 1
    while depth:
        depth += {40: 1, 41: -1}.get(stream[at], 0)
        at += 2 if stream[at] == 92 else 1
    return at


def _bare(text: str) -> str:
    return re.sub("[\\s\u200b\u2066-\u2069]", "", text)
