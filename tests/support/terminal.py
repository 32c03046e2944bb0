"""The program in a terminal, with a person who answers its questions."""

import codecs
import os
import pty
import select
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from tests.support.forked import started

_PATIENCE = 60
"""Seconds without a word after which a program is taken to wait for an unexpected answer."""


def in_a_terminal(
    *args: str | Path, cwd: Path, environment: Mapping[str, str], typed: str = "\x04", **more: str
) -> tuple[int, str]:
    """Run the program with a terminal on all three streams; its exit code and what was shown.

    ``typed`` waits in the terminal until the program reads it. It is the end of the input if a
    test expects no question.
    """
    size = {"TERM": "xterm-256color", "COLUMNS": "200", "LINES": "50"}
    return _run(args, cwd, {**environment, **size, **more}, typed, ())


def talk(
    *args: str | Path,
    cwd: Path,
    environment: Mapping[str, str],
    answers: Sequence[tuple[str, str]],
    **more: str,
) -> tuple[int, str]:
    """Run the program, and answer each question when it is asked; its exit code and what was shown.

    ``answers`` are the ends of the questions, in their order, with the answers to them.
    """
    size = {"TERM": "dumb", "COLUMNS": "300", "LINES": "50"}
    return _run(args, cwd, {**environment, **size, **more}, "", answers)


def _run(
    args: Sequence[str | Path],
    folder: Path,
    environment: Mapping[str, str],
    typed: str,
    answers: Sequence[tuple[str, str]],
) -> tuple[int, str]:
    ours, theirs = pty.openpty()
    with started(
        *("tautulli_import", [*map(str, args)]),
        environment=environment,
        folder=folder,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        session=True,
    ) as process:
        os.close(theirs)
        os.write(ours, typed.encode())
        shown, asked = b"", 0
        waiting = list(answers)
        with suppress(OSError):  # the far end of a terminal that is gone: EIO
            while select.select([ours], [], [], _PATIENCE)[0]:
                if not (chunk := os.read(ours, 65536)):
                    break
                shown += chunk
                while waiting and (place := shown.find(waiting[0][0].encode(), asked)) >= 0:
                    asked = place + len(waiting[0][0].encode())
                    os.write(ours, waiting.pop(0)[1].encode())
        os.close(ours)  # ends a program that waits for an answer
        code = process.wait(timeout=60)
    return code, codecs.decode(shown, "utf-8", "replace")
