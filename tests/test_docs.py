"""Promises of the pages that promise: every test they name is there, every row has one."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
DOCS = TESTS.parent / "docs"
PAGES = ["promises.md", "hazards.md", "threat-model.md"]
NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)[^)]*\)")


@cache
def names_in(file: Path) -> set[str]:
    """What is defined in a file; nothing when there is no such file."""
    if not file.exists():
        return set()
    tree = ast.parse(file.read_text())
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, functions)}


@pytest.mark.parametrize("page", PAGES)
def test_every_test_that_a_page_names_exists(page: str) -> None:
    named = NAMED.findall((DOCS / page).read_text())
    assert len(named) > 30
    assert [f"{file}::{name}" for file, name in named if name not in names_in(TESTS / file)] == []


@pytest.mark.parametrize(("page", "column"), [("promises.md", 1), ("hazards.md", 4)])
def test_no_promise_and_no_control_is_without_a_test(page: str, column: int) -> None:
    lines = (DOCS / page).read_text().splitlines()
    rows = [line.strip("|").split("|") for line in lines if re.match(r"\| (?!promise)", line)]
    rows = [row for row in rows if len(row) > column and row[0].strip()]
    assert rows
    assert [row[0] for row in rows if not NAMED.search(row[column])] == []


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.name)
def test_every_link_between_the_pages_leads_somewhere(page: Path) -> None:
    links = LINK.findall(page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []
