"""Writes the table of all settings into docs/operate.md: names and defaults from the settings
themselves, the words from meanings.toml. A test holds the three together."""

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
SETTINGS = HERE.with_name("settings.py")
PAGE = HERE.parents[2] / "docs" / "operate.md"
BLOCK = re.compile(r"(<!-- settings -->\n).*?(<!-- /settings -->)", re.DOTALL)


def meanings() -> dict[str, dict[str, str]]:
    """Meaning, and default where the settings do not say it, by names as the table has them."""
    found: dict[str, Any] = tomllib.loads(HERE.with_suffix(".toml").read_text())
    return found


def defaults() -> dict[str, object]:
    """Every name that the settings read from the environment, with its default.

    Ellipsis where the default depends on something else.
    """
    found: dict[str, object] = {}
    for node in ast.walk(ast.parse(SETTINGS.read_text())):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name("env")),
                args=[ast.Constant(str(name)), *rest],
                keywords=keywords,
            ):
                given = [*rest, *(word.value for word in keywords if word.arg == "default")]
                found.setdefault(name, _value(given[0]) if given else ...)
    return found


def table() -> str:
    """The table, in Markdown."""
    known = defaults()
    lines = ["| name | default | meaning |", "|---|---|---|"]
    for together, said in meanings().items():
        names = together.split(", ")
        default = said.get("default") or ", ".join(_shown(known[name]) for name in names)
        cells = ", ".join(f"`{name}`" for name in names), default, said["meaning"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def page(text: str) -> str:
    """`text` with the table put in where it belongs."""
    return BLOCK.sub(lambda block: block.group(1) + table() + block.group(2), text)


def _value(node: ast.expr) -> object:
    """A literal, a product of literals, or Ellipsis."""
    match node:
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            factors = _value(left), _value(right)
            if isinstance(factors[0], int) and isinstance(factors[1], int):
                return factors[0] * factors[1]
            return ...
    try:
        value: object = ast.literal_eval(node)
    except ValueError:
        return ...
    return value


def _shown(value: object) -> str:
    match value:
        case None | "" | []:
            return "none"
        case bool():
            return str(value).lower()
        case list():
            return ", ".join(map(str, value))
        case float() if value.is_integer():
            return str(int(value))
    return str(value)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
