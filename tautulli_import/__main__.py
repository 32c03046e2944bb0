"""``python -m tautulli_import`` and the console script."""

from __future__ import annotations

import os
import signal
import sys

from . import __version__


def main() -> None:
    """Run the command line. ``--version`` is answered before anything heavy is loaded."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # until there is something to be finished
    for name, mode in (("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:  # closed by who started us; messages are not worth failing for
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123 - for good
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that knows no Unicode
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write(f"tautulli-import {__version__}\n")
        return
    from .cli.app import app

    app(prog_name="tautulli-import")


if __name__ == "__main__":
    main()
