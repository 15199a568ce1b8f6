"""docs/agent.md is true: its commands and options exist, its codes and words are the agent's."""

import re
import shlex
from pathlib import Path

import typer

from devices.agent import cli, labels, page, picture, taking
from tests.devices.agent.test_cli import STANDINGS

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "agent.md").read_text()
COMMANDS = typer.main.get_command(cli.app).commands


def test_every_command_in_it_is_one():
    lines = re.findall(r"leukolens-agent(?:\.exe)? ([a-z].*?)[\"\n]", PAGE)
    assert {shlex.split(line)[0] for line in lines} == set(COMMANDS)
    for line in lines:
        # posix=False: a Windows path keeps its backslashes.
        name, *words = shlex.split(line, posix=False)
        with COMMANDS[name].make_context(name, list(words), resilient_parsing=True) as context:
            assert not context.args, line


def test_every_option_in_it_is_one():
    known = {
        option
        for command in COMMANDS.values()
        for parameter in command.params
        for option in (*parameter.opts, *parameter.secondary_opts)
    }
    elsewhere = {"--no-deps", "--cuts", "--now"}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE)) - elsewhere <= known


def test_every_standing_and_every_code_of_its_own_is_explained():
    assert all(f"| `{word}` |" in PAGE for _, _, word in STANDINGS)
    sources = (
        "".join(Path(module.__file__).read_text() for module in (labels, picture, taking))
        + (Path(cli.__file__).parent / "sender.py").read_text()
    )
    codes = set(
        re.findall(r'(?:code = |code=|UNREADABLE = |Unclear\(\s*|Unusable\(\s*)"(\w+)"', sources)
    )
    codes |= set(picture.RETAKE)
    # The hospital's too, or never a dead letter's.
    codes -= {"too_many_pixels"}
    assert len(codes) > 8
    assert {code for code in codes if f"`{code}`" not in PAGE} == set()


def test_the_pages_address_is_right():
    assert f"http://127.0.0.1:{page.PORT}/" in PAGE
