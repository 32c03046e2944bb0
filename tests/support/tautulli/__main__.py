"""Serve a database until Ctrl-C: `python -m tests.support.tautulli DB [--port N] [--zone Z] …`."""

import argparse
import sys
from contextlib import suppress
from pathlib import Path
from threading import Event

from tests.support.tautulli.server import KEY, FakeTautulli


def main(arguments: list[str] | None = None) -> int:
    """Serve what the command line asks for; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.tautulli", description=__doc__)
    parser.add_argument("database", type=Path, metavar="DB")
    parser.add_argument("--port", type=int, default=0, help="0, the default, is any free one")
    parser.add_argument("--zone", default="UTC", help="where the server lives: Europe/Berlin")
    parser.add_argument("--key", default=KEY, help="the API key")
    parser.add_argument("--http-root", default="", help="a path before everything else")
    parser.add_argument("--cost", action="store_true", help="take as long as the real one")
    given = parser.parse_args(arguments)
    if not given.database.is_file():
        parser.error(f"{given.database} is not there: python -m tests.support.history makes one")
    options = {"port": given.port, "zone": given.zone, "key": given.key, "cost": given.cost}
    with FakeTautulli(given.database, http_root=given.http_root, **options) as tautulli:
        sys.stdout.write(f"{tautulli.url}\n")
        sys.stdout.flush()
        with suppress(KeyboardInterrupt):
            Event().wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
