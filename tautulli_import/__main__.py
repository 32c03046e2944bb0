"""Start the program: ``python -m tautulli_import`` and the console script."""

from __future__ import annotations

import os
import signal
import sys

from . import __version__


def main() -> None:
    """Run the command line. Answer ``--version`` before any slow import."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(
            signal.SIGINT, signal.SIG_DFL
        )  # nothing needs finishing before a command starts
    for name, mode in (("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:  # the parent process closed it; a lost message is no reason to fail
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123 - stays open
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # for a terminal without Unicode
    if sys.argv[1:] in (["--version"], ["-V"]):
        sys.stdout.write(f"tautulli-import {__version__}\n")
        return
    from .cli.app import app

    app(prog_name="tautulli-import")


if __name__ == "__main__":
    main()
