"""Write a sample history: `python -m tests.support.history OUT.db [--plays N] [--seed S] …`."""

import argparse
import sys
from pathlib import Path

from tests.support.history.generator import generate
from tests.support.history.truth import Totals

#: What Tautulli keeps beside its database. Its API is off: nobody is to be asked for what is
#: invented, least of all a real Tautulli that this machine may have.
CONFIG_INI = """\
[General]
config_version = 22
http_host = 0.0.0.0
http_port = 8181
http_root = ""
enable_https = 0
api_enabled = 0
api_key = 0000-not-a-real-api-key-0000
[PMS]
pms_ip = 192.0.2.1
pms_port = 32400
[Monitoring]
movie_watched_percent = 85
tv_watched_percent = 85
music_watched_percent = 85
watched_marker = 3
"""


def main(arguments: list[str] | None = None) -> int:
    """Write what the command line asks for; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.history", description=__doc__)
    parser.add_argument("out", type=Path, metavar="OUT.db")
    parser.add_argument("--plays", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--wal", action="store_true", help="in WAL mode, Tautulli's own default")
    parser.add_argument("--config-ini", action="store_true", help="with a config.ini beside it")
    parser.add_argument("--force", action="store_true", help="overwrite what is there")
    given = parser.parse_args(arguments)
    out: Path = given.out
    files = [out, out.with_name("config.ini")] if given.config_ini else [out]
    existing = [str(file) for file in files if file.exists()]
    if existing and not given.force:
        parser.error(f"{', '.join(existing)} already there: --force overwrites")
    for leftover in (out, Path(f"{out}-wal"), Path(f"{out}-shm")):
        leftover.unlink(missing_ok=True)
    truth = generate(out, plays=given.plays, seed=given.seed, wal=given.wal, truth=False)
    for config in files[1:]:
        config.write_text(CONFIG_INI, encoding="utf-8")
    sys.stdout.write(f"{out}: {describe(truth.totals)}\n")
    return 0


def describe(totals: Totals) -> str:
    """Return the totals in one line."""
    kinds = ", ".join(f"{number} {kind}" for kind, number in totals.by_media_type.items())
    return (
        f"{totals.rows} plays ({kinds}); of movies and episodes {totals.watched} watched, "
        f"{totals.partial} partial, {totals.without_numbers} without numbers"
    )


if __name__ == "__main__":
    sys.exit(main())
