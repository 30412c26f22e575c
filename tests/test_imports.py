"""The house: which room may import which, walked from the source; and that the light rooms stay light."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import albert_zh

PACKAGE = Path(albert_zh.__file__).parent

#: Room -> rooms it may import. A name with a dot is one module of a room. The picture is in the README.
ALLOWED = {
    "__init__": set(),
    "__main__": {"cli"},
    "files": set(),
    "config": {"files"},
    "flags": {"files"},
    "terminal": set(),
    "workers": {"terminal", "files"},
    "text": {"files"},
    "tasks": {"text", "files", "config"},
    "pretrain": {"text", "workers", "files"},
    "hub": {"files"},
    "models": {"config"},
    "convert": {"models", "config", "files"},
    "locate": {"convert", "hub", "files"},
    "layouts": {"locate", "convert", "text", "config", "files"},
    "pretrained": {"layouts", "locate", "convert", "models", "text", "config", "files"},
    "conversion": {"pretrained", "layouts", "convert", "models", "text", "config", "files"},
    "prepared": {"tasks", "text", "pretrain.example", "pretrain.records", "files"},
    "training": {
        "prepared",
        "pretrained",
        "layouts",
        "workers",
        "convert",
        "models",
        "text",
        "tasks",
        "pretrain.records",
        "pretrain.manifest",
        "files",
        "config",
    },
    "report": {
        "tasks",
        "text",
        "pretrain.inspect",
        "pretrain.manifest",
        "pretrain.records",
        "training.logs",
        "config",
        "files",
    },
    "opened": {"pretrained", "models", "tasks", "text", "files"},
    "serve": {"opened", "pretrained", "models", "tasks", "text", "files"},
    "server": {"serve", "opened", "tasks", "workers", "terminal", "files"},
    "export": {
        "hub.catalog",
        "opened",
        "serve",
        "pretrained",
        "layouts",
        "convert",
        "models",
        "tasks",
        "text",
        "workers",
        "terminal",
        "files",
    },
    "suite": {"training", "report", "pretrained", "tasks", "hub", "workers", "terminal", "files"},
    "changes": {"models.parameters", "pretrain", "text", "terminal", "config", "files"},
    "cli": {"*"},
}
TENSORFLOW_ROOMS = {"training", "convert", "serve", "export"}
KERAS_ROOMS = {"models", "training", "convert", "serve", "export", "layouts", "pretrained", "opened", "conversion"}


@dataclass(frozen=True)
class Import:
    """``importer`` (dotted, without the package's name) imports ``imported`` (dotted, with it)."""

    importer: str
    imported: str
    line: int
    at_start: bool  # runs when the module is imported: neither inside a function nor for type checkers alone

    @property
    def room(self) -> str:
        return self.importer.split(".")[0]

    @property
    def inside(self) -> str | None:
        """The imported module without the package's name, None when it is not of the package."""
        return self.imported.removeprefix("albert_zh.") if self.imported.startswith("albert_zh.") else None


def modules() -> dict[str, Path]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)] = path
    return found


MODULES = modules()


def imports_of(name: str, path: Path) -> Iterator[Import]:
    def walk(node: ast.AST, at_start: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            now = at_start and not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
                now = False
            if isinstance(child, ast.Import):
                for alias in child.names:
                    yield Import(name, alias.name, child.lineno, now)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{path}:{child.lineno}: a relative import; write it from albert_zh"
                for alias in child.names:
                    full = f"{child.module}.{alias.name}"
                    is_module = full.removeprefix("albert_zh.") in MODULES
                    yield Import(name, full if is_module else child.module, child.lineno, now)
            yield from walk(child, now)

    return walk(ast.parse(path.read_text(encoding="utf-8")), True)


IMPORTS = [found for name, path in MODULES.items() for found in imports_of(name, path)]


def test_every_room_imports_only_what_stands_below_it():
    wrong = []
    for found in IMPORTS:
        if found.inside is None:
            continue
        allowed = ALLOWED[found.room]
        target_room = found.inside.split(".")[0]
        if not {found.inside, target_room, "*"} & allowed and target_room != found.room:
            wrong.append(f"{found.importer}:{found.line} imports {found.inside}")
    assert not wrong, "\n".join(wrong)


def test_every_module_is_in_a_known_room():
    assert {name.split(".")[0] for name in MODULES} <= set(ALLOWED)


def test_nothing_imports_the_command_line():
    assert {found.importer for found in IMPORTS if found.inside == "cli"} == {"__main__"}


@pytest.mark.parametrize(("library", "rooms"), [("tensorflow", TENSORFLOW_ROOMS), ("keras", KERAS_ROOMS)])
def test_heavy_libraries_are_imported_only_where_they_belong(library, rooms):
    users = {found.room for found in IMPORTS if found.imported.split(".")[0] == library}
    assert users <= rooms


def test_only_declared_packages_are_imported():
    declared = {"keras", "numpy", "jieba", "rjieba", "sentencepiece", "google", "google_crc32c", "requests", "tqdm"}
    declared |= {
        "safetensors",
        "ml_dtypes",
        "tensorboard",
        "tensorflow",
        "albert_zh",
        "urllib3",
        "fastapi",
        "fastapi_offline",
        "pydantic",
        "starlette",
        "uvicorn",
    }  # urllib3 comes with requests; pydantic and starlette with fastapi
    used = {found.imported.split(".")[0] for found in IMPORTS}
    assert used - declared <= sys.stdlib_module_names


def test_no_module_imports_itself_in_a_circle():
    graph: dict[str, set[str]] = {name: set() for name in MODULES}
    for found in IMPORTS:
        if found.at_start and found.inside in graph:
            graph[found.importer].add(found.inside)
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, f"circle: {' -> '.join([*trail[trail.index(name) :], name])}"
        if name not in done:
            for target in sorted(graph[name]):
                visit(target, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def test_the_light_rooms_load_neither_tensorflow_nor_keras():
    rooms = set("config files flags terminal workers text pretrain tasks hub prepared report changes".split())
    light = [name for name in MODULES if name.split(".")[0] in rooms]
    names = ["albert_zh", *(f"albert_zh.{name}" for name in light)]
    program = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]: importlib.import_module(name)\n"
        "heavy = {'tensorflow', 'keras'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program, *names], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
