"""The house's rules that no tool checks: floors, light imports, plug-ins, and sizes that fit on a screen or two."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import tunewright
from tunewright.base import plugins
from tunewright.base.plugins import PluginConfig, Plugins

SOURCE = Path(tunewright.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))

# docs/architecture.md draws these; rooms that are still to come stand here too.
FLOORS = {
    "base": 0,
    "recipe": 1,
    "store": 1,
    "endpoints": 1,
    "models": 2,
    "data": 3,
    "forest": 3,
    "metrics": 3,
    "objectives": 4,
    "generate": 4,
    "train": 5,
    "evaluate": 5,
    "compress": 5,
    "plan": 6,
    "monitor": 6,
    "search": 7,
    "lifecycle": 7,
    "server": 8,
    "studio": 8,
    "cli": 9,
}

# What `import tunewright` must not bring in, and of these what `tunewright --help` must not.
NOT_AT_IMPORT = {"numpy", "pydantic", "sqlalchemy", "yaml", "typer", "rich"}
NOT_AT_HELP = {"torch", "transformers", "peft", "polars", "pyarrow", "sklearn", "scipy", "dateparser", "alembic"}

LONGEST_FILE = 500
LONGEST_FUNCTION = 70

KINDS = [kind for kind in vars(plugins).values() if isinstance(kind, Plugins)]
PLUGINS = [(kind, name) for kind in KINDS for name in kind.names()]


def imported(tree: ast.AST, package: list[str]) -> Iterator[tuple[int, str]]:
    """Line and full name of everything that a module imports, wherever in it the import stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def broken_floors(source: str, module: list[str], *, is_package: bool = False) -> list[str]:
    """Sentences about imports that go up or sideways."""
    room = module[1]
    found = []
    for line, name in imported(ast.parse(source), module if is_package else module[:-1]):
        parts = name.split(".")
        if parts[0] != "tunewright" or parts[1:] == ["__version__"] or parts[1:2] == [room]:
            continue
        other = parts[1] if len(parts) > 1 else ""
        if other not in FLOORS:
            found.append(f"line {line} imports {name}: take it from its room, not from the front door")
        elif FLOORS[other] >= FLOORS[room]:
            found.append(f"line {line} imports {name}: {room} is on floor {FLOORS[room]}, {other} on {FLOORS[other]}")
    return found


def module_of(file: Path) -> list[str]:
    parts = ["tunewright", *file.relative_to(SOURCE).with_suffix("").parts]
    return parts[:-1] if parts[-1] == "__init__" else parts


def test_every_room_is_on_the_plan() -> None:
    rooms = {folder.name for folder in SOURCE.iterdir() if folder.is_dir() and folder.name != "__pycache__"}
    assert rooms <= FLOORS.keys()
    loose = {file.name for file in SOURCE.glob("*.py")}
    assert loose <= {"__init__.py", "__main__.py"}


def test_the_plan_is_drawn_in_the_architecture() -> None:
    """Each room that exists stands in the page's table, on its floor."""
    page = (Path(__file__).parents[1] / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = [line.split("|") for line in page.splitlines() if line.startswith("| ") and line[2].isdigit()]
    drawn = {room: int(row[1]) for row in rows for room in FLOORS if f"`{room}/`" in row[2]}
    assert drawn == {room: FLOORS[room] for room in drawn}
    assert {file.parent.name for file in SOURCE.glob("*/__init__.py")} <= drawn.keys()


def test_imports_run_downward_only() -> None:
    faults = [
        f"{file.relative_to(SOURCE)}: {fault}"
        for file in FILES
        if file.parent != SOURCE
        for fault in broken_floors(
            file.read_text(encoding="utf-8"), module_of(file), is_package=file.name == "__init__.py"
        )
    ]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("source", "is_broken"),
    [
        ("from tunewright.base.errors import DataError", False),
        ("from tunewright.data.example import Example", False),
        ("from tunewright import __version__", False),
        ("import tunewright.models.chat", False),
        ("from .rows import read", False),
        ("import torch", False),
        ("from tunewright.train.loop import train", True),
        ("from tunewright import cli", True),
        ("from tunewright import load_recipe", True),
        ("import tunewright", True),
        ("import tunewright.forest", True),
        ("from ..forest import build", True),
        ("def f():\n    from tunewright.metrics import accuracy", True),
        ("if TYPE_CHECKING:\n    from tunewright.lifecycle import run", True),
    ],
)
def test_the_check_itself(source: str, is_broken: bool) -> None:
    assert bool(broken_floors(source, ["tunewright", "data", "prepare"])) == is_broken


def modules_after(code: str) -> set[str]:
    """The top-level modules that are loaded once a program has run."""
    program = (
        f"{code}\nimport json, sys\nprint('\\n' + json.dumps(sorted({{name.split('.')[0] for name in sys.modules}})))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_the_package_brings_in_nothing_heavy() -> None:
    assert not modules_after("import tunewright") & (NOT_AT_IMPORT | NOT_AT_HELP)


def test_importing_the_package_is_quick() -> None:
    took = []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import tunewright"], check=True)
        took.append(time.perf_counter() - start)
    assert min(took) < 0.3


def test_asking_for_help_brings_in_nothing_heavy() -> None:
    code = """
import sys
from tunewright.cli.app import main
sys.argv = ["tunewright", "--help"]
try:
    main()
except SystemExit as end:
    assert not end.code
"""
    assert not modules_after(code) & NOT_AT_HELP


def test_everything_public_is_there() -> None:
    assert [name for name in tunewright.__all__ if getattr(tunewright, name, None) is None] == []


@pytest.mark.parametrize(("kind", "name"), PLUGINS, ids=[f"{kind.kind}-{name}" for kind, name in PLUGINS])
def test_a_plugin_is_named_by_its_file(kind: Plugins, name: str) -> None:
    config = kind.config(name)
    assert issubclass(config, PluginConfig)
    assert config.model_fields["name"].default == name
    assert config.model_config["frozen"] is True
    assert config.model_config["extra"] == "forbid"
    assert kind.module(name).__doc__, "says in a docstring what it is"


def test_plugins_bring_in_no_torch() -> None:
    code = "\n".join(f"import {kind.module(name).__name__}" for kind, name in PLUGINS)
    assert not modules_after(code) & {"torch", "transformers", "peft"}


def test_files_and_functions_fit_on_a_screen_or_two() -> None:
    faults = []
    for file in FILES:
        text = file.read_text(encoding="utf-8")
        name = file.relative_to(SOURCE)
        if (lines := len(text.splitlines())) > LONGEST_FILE:
            faults.append(f"{name} has {lines} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > LONGEST_FUNCTION:
                    faults.append(f"{name}:{node.lineno}: {node.name} has {length} lines")
    assert not faults, "\n".join(faults)
