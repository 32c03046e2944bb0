"""The map of the package, held against the imports that the modules really have."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import tautulli_import

ROOT = Path(tautulli_import.__file__).parent
PACKAGE = "tautulli_import"

#: Folders and single modules, from the bottom up: each imports only from those before it. Modules
#: of one folder may use each other, as long as nothing goes in circles.
ORDER = (
    *("errors", "interrupts", "formatting", "progress", "directory", "files", "archives"),
    *("temp_folder",),
    *("web", "model", "state", "jetstream", "crosswatch", "event_store", "sinks", "sources"),
    *("counting", "ids", "items", "events", "imports", "options", "settings", "cli"),
)
#: What reads files, a clock, the environment or chance.
WORLD = frozenset(
    {
        *("os", "sys", "time", "io", "pathlib", "shutil", "tempfile", "socket", "subprocess"),
        *("random", "secrets", "sqlite3", "threading", "asyncio", "locale", "zoneinfo"),
        *("httpx", "urllib.request", "platformdirs"),
    }
)
#: Modules of `ids` that ask a server or read a file. The others are rules.
ASKING = (
    "plex",
    "plex_cache",
    "plex_library",
    "plex_cloud",
    "cloud_client",
    "threads",
)
SLOW = frozenset(
    {"httpx", "jinja2", "sqlite_utils", "pydantic_settings", "pydantic", "nats", "duckdb"}
)


class Import(NamedTuple):
    """One import statement's module, and where it stands."""

    module: str
    line: int
    at_top: bool


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(ROOT.rglob("*.py"))}


@cache
def tree(name: str) -> ast.Module:
    return ast.parse(MODULES[name].read_text(encoding="utf-8"))


@cache
def imports(name: str) -> tuple[Import, ...]:
    """Return everything that a module imports, by absolute names, wherever it does so."""
    return tuple(_imports(name))


def _imports(name: str) -> Iterator[Import]:
    is_package = MODULES[name].name == "__init__.py"
    home = [PACKAGE, *name.split(".")] if name else [PACKAGE]
    inside = {
        node
        for outer in ast.walk(tree(name))
        if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        or is_for_types_only(outer)
        for node in ast.walk(outer)
    }
    for node in ast.walk(tree(name)):
        at_top = node not in inside
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, at_top)
        elif isinstance(node, ast.ImportFrom):
            base: list[str] = []
            if node.level:
                up = node.level - (1 if is_package else 0)
                base = home[: len(home) - up]
            module = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                deeper = f"{module}.{alias.name}"
                known = deeper.removeprefix(f"{PACKAGE}.") in MODULES
                yield Import(deeper if known else module, node.lineno, at_top)


def is_for_types_only(node: ast.AST) -> bool:
    """Tell whether it is an ``if TYPE_CHECKING:``, of which nothing is ever loaded."""
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
    )


def inner_imports(name: str) -> Iterator[tuple[str, int]]:
    """Yield the modules of the package that a module imports, with the lines."""
    for module, line, _ in imports(name):
        if module.startswith(f"{PACKAGE}."):
            yield module.removeprefix(f"{PACKAGE}."), line


def roots(name: str, *, top_only: bool = False) -> set[str]:
    """Return the outermost names of what a module imports from elsewhere."""
    return {each.module.split(".")[0] for each in imports(name) if each.at_top or not top_only} - {
        PACKAGE,
        "__future__",
    }


def place(name: str) -> str:
    """Return the folder of a module, or the module itself on the top level."""
    return name.partition(".")[0]


def in_memory_only(name: str) -> bool:
    """Tell whether the module wants nothing of ``io`` but text in memory."""
    of_io = {
        node.attr
        for node in ast.walk(tree(name))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "io"
    }
    return of_io == {"StringIO"}


def with_code() -> list[str]:
    return [n for n in MODULES if n not in ("", "__main__") and len(tree(n).body) > 1]


def test_the_map_names_every_folder_and_no_other() -> None:
    assert {place(name) for name in with_code()} == set(ORDER)


def test_a_module_imports_only_from_folders_above_its_own() -> None:
    upward = [
        f"{name}:{line} imports {target}"
        for name in with_code()
        for target, line in inner_imports(name)
        if ORDER.index(place(target)) > ORDER.index(place(name))
    ]
    assert upward == []


def test_nothing_imports_the_command_line_but_the_command_line_and_main() -> None:
    importers = {
        name
        for name in MODULES
        if any(target.startswith("cli.") for target, _ in inner_imports(name))
    }
    assert {name for name in importers if not name.startswith("cli.")} == {"__main__"}


def test_there_is_no_circle_of_modules() -> None:
    graph = {name: {target for target, _ in inner_imports(name)} for name in MODULES}
    order = list(TopologicalSorter(graph).static_order())  # raises CycleError
    assert set(MODULES) - {""} <= set(order)


def test_there_are_few_modules_on_the_top_level() -> None:
    assert len([path for path in MODULES.values() if path.parent == ROOT]) <= 12


def test_every_import_within_the_package_is_relative() -> None:
    absolute = [
        f"{name}:{node.lineno}"
        for name in MODULES
        for node in ast.walk(tree(name))
        if (
            isinstance(node, ast.ImportFrom)
            and not node.level
            and node.module
            and node.module.split(".")[0] == PACKAGE
        )
        or (isinstance(node, ast.Import) and any(a.name.startswith(PACKAGE) for a in node.names))
    ]
    assert absolute == []


def test_only_the_console_and_its_parts_know_rich() -> None:
    assert {name for name in MODULES if "rich" in roots(name)} == {
        "cli.bar",
        "cli.console",
        "cli.terminal",
    }


def test_only_the_command_line_knows_typer() -> None:
    knowing = {name for name in MODULES if "typer" in roots(name)}
    assert knowing
    assert {name for name in knowing if not name.startswith("cli.")} == set()


def test_nobody_imports_click_for_typer_carries_its_own() -> None:
    assert {name for name in MODULES if "click" in roots(name)} == set()


def test_a_rule_reads_no_file_no_clock_and_no_environment() -> None:
    asking = {f"ids.{name}" for name in ASKING}
    rules = [n for n in with_code() if place(n) in ("model", "ids") and n not in asking]
    assert len(rules) > 10
    for name in rules:
        used = {each.module for each in imports(name)} & WORLD
        if in_memory_only(name):
            used.discard("io")
        calls = {
            node.func.id
            for node in ast.walk(tree(name))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        moments = {
            node.attr
            for node in ast.walk(tree(name))
            if isinstance(node, ast.Attribute) and node.attr in {"now", "utcnow", "today"}
        }
        assert (name, used) == (name, set())
        assert (name, calls & {"open", "print", "input", "exec", "eval"}) == (name, set())
        assert (name, moments) == (name, set())


def test_what_is_slow_to_load_is_loaded_where_it_is_used() -> None:
    slow = {
        name: roots(name, top_only=True) & SLOW for name in MODULES if place(name) != "settings"
    }
    assert {name: found for name, found in slow.items() if found} == {}


def test_no_module_prints() -> None:
    printing = [
        f"{name}:{node.lineno}"
        for name in MODULES
        for node in ast.walk(tree(name))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    ]
    assert printing == []


def test_core_code_touches_no_standard_stream() -> None:
    flow = [name for name in with_code() if place(name) in ("counting", "items", "imports")]
    flow += ["events.pipeline", "sinks.base"]
    assert [name for name in flow if "sys" in roots(name)] == []


def test_there_is_no_sql_in_the_command_line() -> None:
    asking = [
        name
        for name in MODULES
        if place(name) == "cli"
        for node in ast.walk(tree(name))
        if isinstance(node, ast.Attribute) and node.attr in ("execute", "executemany")
    ]
    assert asking == []


def test_a_module_says_what_it_is_for_and_stays_short() -> None:
    assert [name for name in MODULES if not ast.get_docstring(tree(name))] == []
    lengths = {
        name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in MODULES.items()
    }
    assert {name: length for name, length in lengths.items() if length > 420} == {}


def test_what_a_module_offers_exists() -> None:
    for name in with_code():
        assigned = [
            node.value
            for node in tree(name).body
            if isinstance(node, ast.Assign)
            and any(isinstance(to, ast.Name) and to.id == "__all__" for to in node.targets)
        ]
        assert (name, len(assigned)) == (name, 1)
        offered = ast.literal_eval(assigned[0])
        defined = {
            target.id
            for node in tree(name).body
            for target in (node.targets if isinstance(node, ast.Assign) else [])
            if isinstance(target, ast.Name)
        }
        defined |= {
            node.target.id
            for node in tree(name).body
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
        }
        defined |= {
            node.name
            for node in tree(name).body
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        }
        assert (name, set(offered) - defined) == (name, set())
        assert (name, len(set(offered))) == (name, len(offered))


def test_loading_the_command_line_loads_nothing_that_help_does_not_need() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sys, tautulli_import.cli.app; print(*sys.modules)"],
        capture_output=True,
        check=True,
        text=True,
    )
    loaded = set(done.stdout.split())
    assert "tautulli_import.cli.app" in loaded
    assert loaded & {*SLOW, "msgspec", "sqlite3", "platformdirs"} == set()


def test_asking_for_the_version_does_not_even_load_the_command_line() -> None:
    program = (
        "import sys; sys.argv[1:] = ['--version']\n"
        "from tautulli_import.__main__ import main; main(); print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True
    )
    version, _, modules = done.stdout.partition("\n")
    assert version == f"tautulli-import {tautulli_import.__version__}"
    assert {"typer", "rich", "msgspec"} & set(modules.split()) == set()
