"""Turn exceptions into messages and exit codes. No other module ends the program."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final, TextIO

import typer

from .. import interrupts
from ..errors import SinkError, TautulliImportError
from ..formatting import harmless
from .hiding import forget_secrets, without_secrets
from .results import forget_result, print_error, print_result

__all__ = ["end_output", "guarded"]


_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_BUG: Final = "This is a bug in tautulli-import. Please report it with the output of --debug."


def _printable(text: str) -> str:
    """Return a text without secrets, and with each line harmless to a terminal."""
    return "\n".join(harmless(line) for line in without_secrets(text).split("\n"))


def _print_traceback() -> None:
    sys.stderr.write(_printable(traceback.format_exc()))


def _on_signal(number: int, _frame: FrameType | None) -> None:
    """Stop in good order on the first signal, and exit at once on the second."""
    if not interrupts.ask(number):
        _end(number)


def _end(number: int) -> None:
    """End the process at once, as ``kill -9`` does, but with a word and the signal's exit code."""
    with contextlib.suppress(OSError, ValueError):
        if select.select([], [2], [], 0)[1]:  # nobody may read it, and nothing here may wait
            os.write(2, b"Stopped at once. Run the same command again.\n")
    os._exit(128 + number)


@contextmanager
def guarded(
    *, debug: bool = False, color: bool | None = None, as_json: bool = False
) -> Iterator[None]:
    """Turn an exception inside into a message on standard error and an exit code.

    With ``as_json``, also print it as an object on standard output.
    """
    forget_secrets()
    forget_result()
    with contextlib.ExitStack() as stack:
        if debug:
            from .debug_log import printed

            stack.enter_context(printed(_printable))
        try:
            stack.enter_context(_signal_handlers())
            yield from _guarded(debug=debug, color=color, as_json=as_json)
        except interrupts.Stopped as stopped:  # before the command began, or after its end
            _say_stopped(stopped)
            raise typer.Exit(128 + stopped.number) from None


@contextmanager
def _signal_handlers() -> Iterator[None]:
    """Handle signals, except those that the parent process ignores (``nohup``)."""
    interrupts.forget()
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    handled = [
        number
        for number, handler in before.items()
        if handler in (signal.SIG_DFL, signal.default_int_handler)
    ]
    for number in handled:
        signal.signal(number, _on_signal)
    try:
        with interrupts.enforced(handled, _end):
            yield
    finally:
        for number in handled:
            signal.signal(number, before[number])


def _guarded(*, debug: bool, color: bool | None, as_json: bool) -> Iterator[None]:
    try:
        yield
        print_result()
        sys.stdout.flush()
    except TautulliImportError as error:
        from .console import Screen

        if debug:
            _print_traceback()
        if not error.was_printed:
            Screen(color=_wants_color(color)).error(error)
        try:
            if as_json:
                print_error(error)
            sys.stdout.flush()
        except OSError:
            _give_up(sys.stdout)
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        _say_stopped(interrupts.Stopped(signal.SIGINT))
        raise typer.Exit(128 + signal.SIGINT) from None
    except interrupts.Stopped as stopped:
        _say_stopped(stopped)
        raise typer.Exit(128 + stopped.number) from None
    except (typer.Exit, typer.Abort):
        raise
    except Exception as error:  # noqa: BLE001 - nothing above would print a message
        if debug and not isinstance(error, BrokenPipeError):
            _print_traceback()
        if isinstance(error, OSError) and not (error.filename or error.errno == errno.ENOENT):
            # Whoever opens a file handles its errors, so this is standard output or standard error.
            raise typer.Exit(end_output(error)) from None
        said = _printable(f"{type(error).__name__}: {error}")
        sys.stderr.write(f"Error: An unexpected error occurred ({said}).\n  {_BUG}\n")
        if as_json:
            with contextlib.suppress(OSError):
                print_error(
                    TautulliImportError(f"An unexpected error occurred ({said}).", hint=_BUG)
                )
        raise typer.Exit(1) from None


def end_output(error: OSError) -> int:
    """Print that standard output failed, discard what is left for it, and return the exit code."""
    is_closed = isinstance(error, BrokenPipeError)  # the reader has read enough ("| head -1")
    if not is_closed:
        with contextlib.suppress(OSError):
            sys.stderr.write(
                f"Error: Cannot write to standard output: {error.strerror or error}.\n"
            )
    _give_up(sys.stdout)
    return 0 if is_closed else SinkError.exit_code


def _give_up(stream: TextIO) -> None:
    """Discard what is left for an output. Python would fail again on flushing it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _wants_color(flag: bool | None) -> bool:
    """Return true if an error may use colours. The settings may not be loaded yet."""
    if flag is not None:
        return flag
    value = os.environ.get("TAUTULLI_IMPORT_COLOR", "").lower()
    return value not in ("0", "false", "no", "off", "f", "n")


def _say_stopped(stopped: interrupts.Stopped) -> None:
    _give_up(sys.stdout)  # a pipe that nobody reads would block the exit
    progress = stopped.said or "Stopped. Nothing is half-written."
    line = f"\n  To go on: {stopped.line}" if stopped.line else " Run it again."
    if sys.stderr.isatty():  # a terminal would break the line within a word
        import shutil
        import textwrap

        progress = "\n" + textwrap.fill(progress, shutil.get_terminal_size().columns - 1)
    try:
        sys.stderr.write(f"{progress}{line}\n")
    except OSError:  # the terminal was closed
        _give_up(sys.stderr)
