"""From exceptions to exit codes: the only place that ends the program."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

import typer

from .. import interrupts
from ..errors import SinkError, TautulliImportError

__all__ = ["guarded"]


_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _on_signal(number: int, _frame: FrameType | None) -> None:
    """The first one ends what is being done in good order, the second leaves at once."""
    if not interrupts.ask(number):
        os._exit(128 + number)


@contextmanager
def guarded(*, debug: bool = False, color: bool | None = None) -> Iterator[None]:
    """Turn what goes wrong inside into a sentence on standard error and an exit code."""
    with _listening():
        yield from _guarded(debug=debug, color=color)


@contextmanager
def _listening() -> Iterator[None]:
    """Hear of signals as long as there is something that they would end."""
    interrupts.forget()
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    heard = [
        number
        for number, handler in before.items()
        if handler in (signal.SIG_DFL, signal.default_int_handler)
    ]
    for number in heard:
        signal.signal(number, _on_signal)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, before[number])


def _guarded(*, debug: bool, color: bool | None) -> Iterator[None]:
    try:
        yield
        sys.stdout.flush()
    except TautulliImportError as error:
        from .console import Screen

        if debug:
            traceback.print_exc()
        Screen(color=_wants_color(color)).error(error)
        try:
            sys.stdout.flush()
        except OSError:
            _give_up_stdout()
        raise typer.Exit(error.exit_code) from None
    except BrokenPipeError:
        _give_up_stdout()  # the reader has all it wanted ("| head -1")
        raise typer.Exit(0) from None
    except KeyboardInterrupt:
        _say_stopped(interrupts.Stopped(signal.SIGINT))
        raise typer.Exit(128 + signal.SIGINT) from None
    except interrupts.Stopped as stopped:
        _say_stopped(stopped)
        raise typer.Exit(128 + stopped.number) from None
    except (typer.Exit, typer.Abort):
        raise
    except OSError as error:
        # Files are dealt with where they are opened: this is standard output or error.
        if debug:
            traceback.print_exc()
        with contextlib.suppress(OSError):
            sys.stderr.write(
                f"Error: writing to standard output failed: {error.strerror or error}.\n"
            )
        _give_up_stdout()
        raise typer.Exit(SinkError.exit_code) from None
    except Exception as error:  # noqa: BLE001 - the last one to catch it says it in a sentence
        if debug:
            traceback.print_exc()
        sys.stderr.write(
            f"Error: something unexpected happened ({type(error).__name__}: {error}).\n"
            "  This is a bug in tautulli-import: please report it with the output of --debug.\n"
        )
        raise typer.Exit(1) from None


def _give_up_stdout() -> None:
    """What Python would still flush at exit must not fail a second time."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _wants_color(flag: bool | None) -> bool:
    """For an error that comes before the settings could be read."""
    if flag is not None:
        return flag
    said = os.environ.get("TAUTULLI_IMPORT_COLOR", "").lower()
    return said not in ("0", "false", "no", "off", "f", "n")


def _say_stopped(stopped: interrupts.Stopped) -> None:
    _give_up_stdout()  # a reader that is gone, or does not read, must not hold us up
    said = stopped.said or "Stopped; what was not finished is as it was before."
    line = f"\n  To go on: {stopped.line}" if stopped.line else " Run it again."
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{said}{line}\n")
