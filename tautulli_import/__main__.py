"""``python -m tautulli_import`` and the console script."""

from __future__ import annotations

import sys

from . import __version__


def main() -> None:
    """Run the command line. ``--version`` is answered before anything heavy is loaded."""
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write(f"tautulli-import {__version__}\n")
        return
    from .cli.app import app

    app(prog_name="tautulli-import")


if __name__ == "__main__":
    main()
