"""Promises about languages: whoever reads the portal reads all of it, and as it is meant.

A language is complete or not offered: a catalogue in locale/ is what offers it.
"""

import re

import pytest
from babel.messages.catalog import Message

from tests.words import catalogues, collected, compiled, read, templates

LANGUAGES = sorted(catalogues())
AGAIN = "run: make words"
# Names of what is filled in: %(day)s, {page}, %n, and the tags around some of it.
_FILLED_IN = re.compile(r"%\(\w+\)[sd]|\{\w*\}|%+n(?![a-z])|</?[a-z]+>")
# What of a template nobody reads as it stands there, and what is the same in every language.
_NOT_READ = re.compile(
    r"{% block (main_class|live) %}.*?{% endblock %}|{% blocktranslate.*?endblocktranslate %}"
    r'|<p class="code">.*?</p>'
    r"|{%.*?%}|{{.*?}}|<[^>]*>|&\w+;",
    re.DOTALL,
)
_NAMES = {"Leukolens"}


def forms(string: object) -> list[str]:
    return [str(form) for form in (string if isinstance(string, list | tuple) else [string])]


def missing(message: Message) -> bool:
    return not all(forms(message.string))


def test_the_languages_that_were_promised_are_there() -> None:
    assert {"es", "bn", "fa"} <= set(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_that_the_portal_says_lacks_a_translation(language: str) -> None:
    catalog = read(catalogues()[language])
    lacking = [
        said.id
        for said in collected()
        if said.id and ((found := catalog.get(said.id, said.context)) is None or missing(found))
    ]
    assert not lacking, f"{AGAIN}, then translate in locale/{language}: {lacking}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_translated_that_is_no_longer_said(language: str) -> None:
    said = {(message.context, message.id) for message in collected()}
    over = [m.id for m in read(catalogues()[language]) if (m.context, m.id) not in said and m.id]
    assert not over, f"{AGAIN} to drop {over}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_translation_fills_in_what_the_english_does(language: str) -> None:
    """A plural may say 'a second' where the English counts; nothing new may be asked for."""
    for message in read(catalogues()[language]):
        if not message.id:
            continue
        wanted = [set(_FILLED_IN.findall(form)) for form in forms(message.id)]
        for form in forms(message.string):
            assert set(_FILLED_IN.findall(form)) in wanted, (message.id, form)


@pytest.mark.parametrize("language", LANGUAGES)
def test_there_are_as_many_plurals_as_the_language_has(language: str) -> None:
    catalog = read(catalogues()[language])
    for message in catalog:
        if isinstance(message.id, tuple):
            assert len(forms(message.string)) == catalog.num_plurals, message.id


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_shown_is_what_the_translator_wrote(language: str) -> None:
    """The compiled catalogue is that of the written one, bytes by bytes."""
    written = catalogues()[language]
    assert written.with_suffix(".mo").read_bytes() == compiled(read(written)), AGAIN


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_ten_digits_are_ten(language: str) -> None:
    digits = read(catalogues()[language]).get("0123456789", "the ten digits, from nought to nine")
    assert digits is not None
    assert [int(digit) for digit in str(digits.string)] == list(range(10))


def test_no_template_says_a_word_that_is_not_collected() -> None:
    """What stands between the tags is a tag of Django's, or nothing to read."""
    for path in templates():
        text = _NOT_READ.sub(" ", path.read_text())
        assert set(re.findall(r"[A-Za-z]{2,}", text)) <= _NAMES, path
