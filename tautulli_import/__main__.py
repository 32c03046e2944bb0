"""Start the program: ``python -m tautulli_import`` and the console script."""

from __future__ import annotations

import os
import signal
import sys

from . import __version__


def main() -> None:
    """Run the command line. Answer ``--version`` before any slow import."""
    _refuse_windows()
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
    try:
        if sys.argv[1:] in (["--version"], ["-V"]):
            sys.stdout.write(f"tautulli-import {__version__}\n")
            sys.stdout.flush()
            return
        # Else pydantic reads the metadata of all that is installed, to look for plugins.
        os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
        from .cli.app import app

        app(prog_name="tautulli-import")
    except OSError as error:  # commands handle theirs, so it was help that could not be printed
        from .cli.exit_codes import end_output

        sys.exit(end_output(error))


def _refuse_windows() -> None:
    """End the program on Windows, where the modules that it needs do not exist."""
    if sys.platform == "win32":
        sys.stderr.write(
            "Error: tautulli-import runs on Linux and macOS, not on Windows.\n"
            "  Use it in WSL, which is a Linux inside Windows: wsl --install\n"
        )
        sys.exit(2)


if __name__ == "__main__":
    main()
