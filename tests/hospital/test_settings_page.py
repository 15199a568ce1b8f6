"""A promise to whoever sets up an installation: the table of settings is whole and true."""

from hospital.config import meanings


def test_every_setting_has_a_meaning_and_nothing_else_has() -> None:
    named = [name for together in meanings.meanings() for name in together.split(", ")]
    assert sorted(named) == sorted(meanings.defaults())


def test_the_page_has_the_table_as_it_is_now() -> None:
    text = meanings.PAGE.read_text()
    # Run: python -m hospital.config.meanings
    assert meanings.page(text) == text


def test_a_default_is_said_by_hand_only_where_the_settings_do_not_say_it() -> None:
    known = meanings.defaults()
    for together, said in meanings.meanings().items():
        if "default" not in said:
            assert all(known[name] is not ... for name in together.split(", ")), together
