"""The program with something happening to it: python -m tests.crash.driver SPEC -- ARGUMENTS.

SPEC is a `Spec` in JSON. With a ``log`` and no ``strike`` the boundaries are merely written down.
"""

from __future__ import annotations

import importlib
import os
import resource
import sys
import traceback
from contextlib import ExitStack
from typing import Any

import msgspec

from tests.crash.files import tear_renames, watch_files
from tests.crash.spec import Spec
from tests.crash.sql import watch_sqlite
from tests.crash.watch import Watch

__all__ = ["UnknownNameError", "prepare", "run_program"]


class UnknownNameError(Exception):
    """The program has nothing of that name."""


def prepare(spec: Spec, log: int | None = None) -> None:
    """Do to this process what the spec says, for good."""
    for name, value in spec.set.items():
        _set(name, value)
    if spec.watched:
        watch = Watch(spec, log)
        watch_files(watch)
        watch_sqlite(watch)
    if spec.torn_rename:
        tear_renames()
    if spec.largest is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (spec.largest, spec.largest))


def run_program(arguments: list[str], *, windows: int | None = None) -> int:
    """Run it as the console script does, and return how it ended."""
    from tautulli_import.__main__ import main
    from tests.support.over_http import small_windows

    sys.argv = ["tautulli-import", *arguments]
    code: object = 0
    try:
        with ExitStack() as stack:
            if windows is not None:
                stack.enter_context(small_windows(windows))
            main()
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 - what the interpreter would do at its end
        traceback.print_exc()
        code = 1
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            code = code or 120
    return code if isinstance(code, int) else int(bool(code))


def _set(name: str, value: Any) -> None:
    """Give another value to a name of the program."""
    parts = name.split(".")
    for length in range(len(parts) - 1, 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:-1]:
            found = getattr(found, part, None)
        if not hasattr(found, parts[-1]):
            break
        setattr(found, parts[-1], value)
        return
    raise UnknownNameError(f"there is no {name} to be set to {value!r}")


def _main() -> int:
    if len(sys.argv) < 3 or sys.argv[2] != "--":
        sys.stderr.write("python -m tests.crash.driver SPEC -- ARGUMENTS\n")
        return 2
    spec = msgspec.json.decode(sys.argv[1], type=Spec)
    log = None
    if spec.log is not None:
        log = os.open(spec.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    prepare(spec, log)
    return run_program(sys.argv[3:], windows=spec.windows)


if __name__ == "__main__":
    sys.exit(_main())
