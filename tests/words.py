"""The catalogues in locale/: what the portal says is collected into them, and they are compiled.

    python -m tests.words            collect and compile, for all languages
    python -m tests.words so         the same, with a language more

Babel does it, so that no gettext need be installed. See docs/languages.md.
"""

import argparse
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.utils.translation.template import templatize

ROOT = Path(__file__).resolve().parents[1]
LOCALE = ROOT / "locale"
# Where everything is said that patients, guardians and newcomers read.
SAID_IN = (
    "templates/*.html",
    "templates/account/**/*.html",
    "templates/accounts/**/*.html",
    "templates/invitations/**/*.html",
    "templates/mfa/**/*.html",
    "templates/parts/**/*.html",
    "templates/portal/**/*.html",
    "templates/verify/**/*.html",
    "templates/diagnostics/not_printed.html",
    "diagnostics/documents/portal.py",
    "diagnostics/documents/sheet.py",
    "diagnostics/looks.py",
    "diagnostics/models/report.py",
    "diagnostics/pages/verify.py",
    "diagnostics/pages/wishes.py",
    "diagnostics/patient_message.py",
    "diagnostics/plain_words.py",
    "diagnostics/services/notices.py",
    "diagnostics/services/printing.py",
    "diagnostics/services/wishes.py",
    "hospital/accounts/pages/*.py",
    "hospital/accounts/roles.py",
    "hospital/accounts/signin/*.py",
    "hospital/base/shaping.py",
    "hospital/config/borrowed.py",
    "patients/*.py",
    "patients/pages/*.py",
)
# Staff's own, among the pages of everybody's account.
NOT_FOR_FAMILIES = {"templates/accounts/emergency.html", "hospital/accounts/pages/emergency.py"}
KEYWORDS = DEFAULT_KEYWORDS | {
    "gettext_lazy": None,
    "ngettext_lazy": (1, 2),
    "pgettext_lazy": ((1, "c"), 2),
}


def collected() -> Catalog:
    """Every message of SAID_IN, with the files that say it."""
    catalog = Catalog(fuzzy=False)
    for path in _files():
        source = path.read_text()
        if path.suffix == ".html":
            # What is left of a template reads like JavaScript: calls of gettext between Xs.
            found = _messages("javascript", templatize(source))
        else:
            found = _messages("python", source)
        for message, context in found:
            catalog.add(message, context=context, locations=[(str(path.relative_to(ROOT)), 0)])
    return catalog


def catalogues() -> dict[str, Path]:
    """The catalogue of each language, by its code."""
    return {po.parts[-3]: po for po in sorted(LOCALE.glob("*/LC_MESSAGES/django.po"))}


def read(path: Path) -> Catalog:
    """A catalogue as a translator left it."""
    with path.open("rb") as file:
        return read_po(file, locale=path.parts[-3])


def compiled(catalog: Catalog) -> bytes:
    """What Django reads; the same bytes for the same words."""
    out = io.BytesIO()
    write_mo(out, catalog)
    return out.getvalue()


def update(language: str) -> int:
    """Bring a language's catalogue up to date and compile it; returns how much it lacks."""
    path = LOCALE / language / "LC_MESSAGES" / "django.po"
    path.parent.mkdir(parents=True, exist_ok=True)
    catalog = read(path) if path.exists() else _new(language)
    catalog.update(collected(), no_fuzzy_matching=True, update_creation_date=False)
    with path.open("wb") as file:
        write_po(file, catalog, width=100, include_lineno=False, ignore_obsolete=True)
    path.with_suffix(".mo").write_bytes(compiled(read(path)))
    return sum(1 for message in catalog if message.id and not _whole(message.string))


def templates() -> list[Path]:
    """Those of SAID_IN that are templates."""
    return [path for path in _files() if path.suffix == ".html"]


def _new(language: str) -> Catalog:
    beginning = datetime(2026, 11, 28, tzinfo=UTC)
    return Catalog(
        locale=language,
        project="Leukolens",
        version="1",
        header_comment="# What patients, guardians and newcomers read. See docs/languages.md.",
        msgid_bugs_address="see docs/languages.md",
        creation_date=beginning,
        revision_date=beginning,
        last_translator="not yet reviewed by a native clinician",
        language_team=language,
        fuzzy=False,
    )


def _files() -> Iterator[Path]:
    found = {path for pattern in SAID_IN for path in ROOT.glob(pattern)}
    return iter(sorted(found - {ROOT / path for path in NOT_FOR_FAMILIES}))


def _messages(method: str, source: str) -> Iterator[tuple[object, str | None]]:
    for _line, message, _comments, context in extract(
        method, io.BytesIO(source.encode()), keywords=KEYWORDS, options={"encoding": "utf-8"}
    ):
        yield message, context


def _whole(string: object) -> bool:
    return all(string) if isinstance(string, list | tuple) else bool(string)


def main() -> None:
    parser = argparse.ArgumentParser(description="Collect the portal's words and compile them.")
    parser.add_argument("language", nargs="*", help="a new language's code, such as 'so'")
    for language in sorted({*catalogues(), *parser.parse_args().language}):
        print(f"{language}: {update(language)} messages without a translation")


if __name__ == "__main__":
    main()
