"""Whether a hospital can go on working while a new version's migrations run.

The version that hospitals run is named by its newest migrations, in `release.toml`. What has come
since is judged statement by statement, as PostgreSQL gets it: does it stop a big table for as long
as that is big, and can the released processes, which are still up, live with it? See
docs/decisions/0027.

    python -m tests.upgrade        writes release.toml: now this version is the one that is out
"""

import re
import subprocess
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent
RELEASE = HERE / "release.toml"
# Rows by the dozen, or as many as somebody types: what takes a moment there stops nobody.
SMALL = {
    "accounts_clinic",
    "accounts_membership",
    "devices_device",
    "diagnostics_contacttry",
    "diagnostics_controlslide",
    "diagnostics_escalationstep",
    "diagnostics_modelpackage",
    "diagnostics_readingrule",
    "diagnostics_releaserule",
    "patients_retentionrule",
}


@dataclass(frozen=True)
class Rule:
    """A kind of statement that must not come to a table the released version uses.

    Attributes:
        breaks: the released processes cannot live with it, however small the table.
    """

    pattern: re.Pattern[str]
    remedy: str
    breaks: bool = False
    unless: re.Pattern[str] | None = None


def _rule(pattern: str, remedy: str, *, breaks: bool = False, unless: str = "") -> Rule:
    excused = re.compile(unless, re.DOTALL) if unless else None
    return Rule(re.compile(pattern, re.DOTALL), remedy, breaks, excused)


_TABLE = r'"(?P<table>\w+)"'
_ALTER = rf"^ALTER TABLE {_TABLE} "
RULES = [
    _rule(
        rf"^CREATE (UNIQUE )?INDEX (?!CONCURRENTLY).*? ON {_TABLE}",
        "AddIndexConcurrently, in a migration of its own with atomic = False.",
    ),
    _rule(
        rf"{_ALTER}ADD CONSTRAINT .* (CHECK|FOREIGN KEY)",
        "AddConstraintNotValid, and ValidateConstraint in the next migration.",
        unless=r"NOT VALID;?$",
    ),
    _rule(
        rf"{_ALTER}ADD CONSTRAINT .* UNIQUE",
        "AddIndexConcurrently of a unique index, then the constraint USING INDEX.",
        unless=r"UNIQUE USING INDEX",
    ),
    _rule(
        rf"{_ALTER}ALTER COLUMN .* SET NOT NULL",
        "A CHECK (… IS NOT NULL) that is added NOT VALID and then validated; then NOT NULL.",
        breaks=True,
    ),
    _rule(
        rf"{_ALTER}ALTER COLUMN .* TYPE ",
        "A new column beside the old one. A longer varchar costs each kept connection one error"
        " (docs/decisions/0031): list it as accepted.",
        breaks=True,
    ),
    _rule(
        rf"{_ALTER}ADD COLUMN .* NOT NULL",
        "db_default: the released version does not name the column when it inserts.",
        breaks=True,
        unless=r" DEFAULT [^;]*;?$",
    ),
    _rule(
        rf"{_ALTER}ALTER COLUMN .* DROP DEFAULT",
        "db_default: the released version does not name the column when it inserts.",
        breaks=True,
    ),
    _rule(
        rf"{_ALTER}(DROP COLUMN|RENAME)",
        "The released version still reads it: take it away one version later.",
        breaks=True,
    ),
    _rule(
        rf"^DROP TABLE {_TABLE}",
        "The released version still reads it: take it away one version later.",
        breaks=True,
    ),
]


@dataclass(frozen=True)
class Finding:
    """A statement that stops the hospital, and how to do it otherwise."""

    statement: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.statement}\n    → {self.remedy}"


def judged(statements: Iterable[str], tables: set[str]) -> Iterator[Finding]:
    """What is wrong with `statements`, given the `tables` of the released version."""
    for statement in statements:
        for rule in RULES:
            match = rule.pattern.search(statement)
            if match is None or (rule.unless and rule.unless.search(statement)):
                continue
            table = match["table"]
            if table in tables and (rule.breaks or table not in SMALL):
                yield Finding(statement, rule.remedy)


def released() -> dict[str, str]:
    """The newest migration of each of our apps in the version that hospitals run."""
    return tomllib.loads(RELEASE.read_text())


def since_release(loader: Any) -> list[tuple[str, str]]:
    """Our apps' migrations that the released version does not have, in order."""
    graph, old = loader.graph, _of_release(loader)
    plan = graph._generate_plan(graph.leaf_nodes(), at_end=True)
    return [node for node in plan if node[0] in _ours() and node not in old]


def tables_of_release(loader: Any) -> set[str]:
    """The tables that the released version reads and writes."""
    nodes = sorted(released().items())
    state = loader.project_state([node for node in nodes if node in loader.graph.nodes])
    return {model._meta.db_table for model in state.apps.get_models()}


def sql_of(connection: Any, loader: Any, node: tuple[str, str]) -> list[str]:
    """What a migration says to `connection`'s database, but for its Python."""
    migration = loader.graph.nodes[node]
    state = loader.project_state(node, at_end=False)
    with connection.schema_editor(collect_sql=True, atomic=False) as editor:
        migration.apply(state, editor, collect_sql=True)
    return [line for line in editor.collected_sql if not line.startswith("--")]


def commit_of_release() -> str:
    """The newest commit that has the released migrations and none that came later.

    Looked for, not noted: a commit has another name after it was rebased or squashed.

    Raises:
        LookupError: this clone does not go back that far, or is none.
    """
    log = subprocess.run(
        ["git", "log", "--first-parent", "--format=%H"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    for commit in log.stdout.split():
        if _newest_in(commit) == released():
            return commit
    raise LookupError(
        "No commit here has the migrations of tests/release.toml: this is a shallow clone, or no "
        "clone. `git fetch --unshallow` brings it."
    )


def _newest_in(commit: str) -> dict[str, str]:
    listed = subprocess.run(
        ["git", "ls-tree", "--name-only", "-r", commit, "--", *_folders()],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    names: dict[str, str] = {}
    for path in sorted(Path(line) for line in listed.stdout.splitlines()):
        if path.suffix == ".py" and path.stem != "__init__":
            names[path.parts[-3]] = path.stem
    return names


def _ours() -> dict[str, Path]:
    from django.apps import apps

    return {
        app.label: Path(app.path, "migrations").relative_to(ROOT)
        for app in apps.get_app_configs()
        if Path(app.path).is_relative_to(ROOT) and Path(app.path, "migrations").is_dir()
    }


def _folders() -> list[str]:
    return sorted(map(str, _ours().values()))


def _of_release(loader: Any) -> set[tuple[str, str]]:
    graph = loader.graph
    return {before for node in released().items() for before in graph.forwards_plan(node)}


def main() -> None:
    """Write release.toml."""
    import django

    django.setup()
    head = [
        "# The newest migrations of the version that hospitals run. When another goes out:",
        "# python -m tests.upgrade",
    ]
    newest = {
        app: max(path.stem for path in (ROOT / folder).glob("[0-9]*.py"))
        for app, folder in _ours().items()
    }
    lines = [f'{app} = "{name}"' for app, name in sorted(newest.items())]
    RELEASE.write_text("\n".join([*head, *lines]) + "\n")


if __name__ == "__main__":
    main()
