"""``make bench``: how fast and how big, as ratios within one run.

Over HTTP it measures against ``tests.support.tautulli``, which costs what the real Tautulli was
measured to cost: the whole query at every request, and every row of it made into a dict.

The history is made by ``tests.support.history`` and kept in ``.cache``. Times are the best of a few
rounds taken by turns, because the machines that this runs on are shared and noisy.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

from tests.support.history import generate

CACHE = Path(".cache")
_SMALL = 10_000
# 1,000,000 plays are of 258,000 items then, as on a large shared server.
_MANY_TITLES = 8

# 23 columns of every row: what any importer has to read, with nothing done to it.
JOIN = """
    SELECT h.id, h.reference_id, h.started, h.stopped, h.user_id, h.user, h.section_id,
           h.media_type, h.view_offset, m.rating_key, m.grandparent_rating_key, m.title,
           m.parent_title, m.grandparent_title, m.parent_media_index, m.media_index, m.year,
           m.originally_available_at, m.duration, m.guid, m.live, m.marker_credits_first,
           m.marker_credits_final
    FROM session_history h
    JOIN session_history_metadata m ON m.id = h.id
    JOIN session_history_media_info i ON i.id = h.id
    ORDER BY h.id
"""


def bare_read(database: Path) -> int:
    """Read the join with the standard library, row by row; how many rows."""
    connection = sqlite3.connect(f"file:{database}?mode=ro&immutable=1", uri=True)
    try:
        return sum(1 for _ in connection.execute(JOIN))
    finally:
        connection.close()


def import_once(database: Path, *, every_viewing: bool = False) -> None:
    """Run the whole import in this process, as ``db --to tracker`` does it."""
    from tautulli_import.imports.job import Job
    from tautulli_import.imports.run import run
    from tautulli_import.model.selection import Selection
    from tautulli_import.sources.database.source import Source
    from tests.support.one_run import target

    with tempfile.TemporaryDirectory() as folder:
        source = Source([database])
        try:
            now = int(time.time())
            sink = target("tracker", Path(folder) / "T", now=now, every_viewing=every_viewing)
            run(source, Job("db", [sink], Selection()))
        finally:
            source.close()


def import_remembering(database: Path, folder: Path) -> None:
    """Run it with a state file in ``folder``: the first time, or when nothing is new."""
    from tautulli_import.imports.job import Job
    from tautulli_import.imports.run import Memory, run
    from tautulli_import.model.selection import Selection
    from tautulli_import.sources.database.source import Source
    from tautulli_import.state.checkpoint import CheckpointStore, JobKey
    from tautulli_import.state.file import StateFile, database_source
    from tautulli_import.state.outputs import OutputStore
    from tests.support.one_run import target

    now = int(time.time())
    with (
        closing(StateFile(folder / "state", database_source([database]))) as state,
        closing(Source([database])) as source,
    ):
        key = JobKey(str(database), "db", ("tracker",), {}, {})
        job = Job("db", [target("tracker", folder / "T", now=now)], Selection())
        outputs = OutputStore(state, key.key)
        run(source, job, Memory(items=CheckpointStore(state, key), outputs=outputs))


def seconds(work: Callable[[Path], object], database: Path) -> float:
    """How long it takes once."""
    began = time.perf_counter()
    work(database)
    return time.perf_counter() - began


def peak_megabytes(database: Path, what: str) -> float:
    """Return the peak resident memory of a fresh process that does ``what`` once."""
    command = [
        sys.executable,
        "-m",
        "tests.bench.imports",
        "--only",
        what,
        "--database",
        str(database),
    ]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(json.loads(answer.stdout)["peak_kilobytes"]) / 1024


def over_http(plays: int) -> None:
    """Compare the crawl of ``api`` with one single dump and with pages of 100 rows."""
    from tests.support.tautulli import FakeTautulli

    CACHE.mkdir(exist_ok=True)
    database = CACHE / f"http-{plays}.db"
    if not database.exists():
        generate(database, plays=plays, truth=False)
        with closing(sqlite3.connect(database)) as connection, connection:
            # No request at all could have these rows in it.
            connection.execute(
                "UPDATE session_history_metadata SET duration = 1 WHERE duration = 0"
            )
    with FakeTautulli(database, cost=True) as server, tempfile.TemporaryDirectory() as folder:
        alone = [1.0]
        for name, length, requests in (("one single dump", plays, 1), ("pages of 100", 100, 20)):
            began = time.perf_counter()
            for number in range(requests):
                dump(server.url, server.key, number * length, length)
            took = (time.perf_counter() - began) / requests
            needed = max(1, -(-plays // length))
            alone.append(took * needed)
            more = f", from {requests} of them" if requests < needed else ""
            print(f"{name:<25} {took * needed:8.2f} s   {needed:6,} requests{more}")
        for name in ("api, first run", "api, nothing new"):
            asked = len(server.requests)
            began = time.perf_counter()
            import_over_http(server.url, server.key, Path(folder))
            took = time.perf_counter() - began
            count = len(server.requests) - asked
            print(
                f"{name:<25} {took:8.2f} s   {count:6,} requests   {took / alone[1]:.2f} x the dump"
            )
        began = time.perf_counter()
        download(server.url, server.key, Path(folder) / "bare.db")
        bare = time.perf_counter() - began
        began = time.perf_counter()
        program = [sys.executable, "-m", "tautulli_import", "db", str(Path(folder) / "bare.db")]
        subprocess.run(
            [
                *program,
                "--to",
                "tracker",
                "-q",
                "--out",
                str(Path(folder) / "db"),
                "--state-dir",
                folder,
            ],
            check=True,
        )
        read = time.perf_counter() - began
        began = time.perf_counter()
        import_over_http(server.url, server.key, Path(folder), via="database")
        took = time.perf_counter() - began
        parts = f"bare download {bare:.2f} s, db {read:.2f} s"
        print(f"{'api --via database':<25} {took:8.2f} s   {took / (bare + read):.2f} x {parts}")


def dump(url: str, key: str, start: int, length: int) -> bytes:
    """Return some rows of the ungrouped history, as a plain script reads them."""
    import httpx

    answer = httpx.get(
        f"{url}/api/v2",
        params={
            "apikey": key, "cmd": "get_history", "grouping": 0, "include_activity": 0,
            "order_column": "date", "order_dir": "asc", "start": start, "length": length,
        },
        timeout=600,
    )  # fmt: skip
    answer.raise_for_status()
    json.loads(answer.content)
    return answer.content


def download(url: str, key: str, path: Path) -> None:
    """Download the bare database."""
    import httpx

    with (
        path.open("wb") as file,
        httpx.stream(
            "GET", f"{url}/api/v2", params={"apikey": key, "cmd": "download_database"}, timeout=600
        ) as answer,
    ):
        for piece in answer.iter_bytes(1 << 20):
            file.write(piece)


def import_over_http(url: str, key: str, folder: Path, *, via: str = "history") -> None:
    """Run ``api --to tracker`` as people run it, in a process of its own."""
    subprocess.run(
        [
            *(sys.executable, "-m", "tautulli_import", "api", "--to", "tracker", "--quiet"),
            *("--out", str(folder / via), "--state-dir", str(folder / "state"), "--via", via),
            "--no-enrich",
        ],
        check=True,
        env={**os.environ, "TAUTULLI_URL": url, "TAUTULLI_API_KEY": key},
    )


def start_up(*arguments: str) -> float:
    """Seconds to run a command of the program, best of seven."""
    return min(
        seconds(lambda _: subprocess.run(arguments, check=True, capture_output=True), Path())
        for _ in range(7)
    )


def starting() -> None:
    """How long it takes to say nothing much."""
    program = [sys.executable, "-m", "tautulli_import"]
    nothing = start_up(sys.executable, "-c", "pass")
    for name, most in (("--version", 50), ("--help", 100)):
        over = (start_up(*program, name) - nothing) * 1000
        print(f"start-up, {name:<14} {over:9.0f} ms over bare Python (at most {most})")


def measure(plays: int, variety: int, what: str, rounds: int) -> float:
    """Measure imports of a history. Return the seconds that a play takes."""
    database = CACHE / f"history-{plays}x{variety}.db"
    if not database.exists():
        print(f"Making a history of {plays:,} plays (about {plays // 15_000} s) …")
        unfinished = database.with_suffix(".partial")
        unfinished.unlink(missing_ok=True)
        generate(unfinished, plays=plays, truth=False, variety=variety)
        shutil.move(unfinished, database)
    bare_read(database)  # into the page cache
    reads, imports, remembering, nights, viewings = [], [], [], [], []
    for _ in range(rounds):
        reads.append(seconds(bare_read, database))
        imports.append(seconds(import_once, database))
        viewings.append(seconds(partial(import_once, every_viewing=True), database))
        with tempfile.TemporaryDirectory() as folder:
            into = partial(import_remembering, folder=Path(folder))
            remembering.append(seconds(into, database))
            nights.append(seconds(into, database))
    read, whole = min(reads), min(imports)
    print(f"{plays:,} plays, {what}")
    print(f"bare read of the join     {read:8.2f} s   {plays / read:12,.0f} plays/s")
    print(f"db --to tracker           {whole:8.2f} s   {plays / whole:12,.0f} plays/s")
    for name, took, most in (
        ("ratio to the bare read", whole / read, 2.5),
        ("with --rewatches", min(viewings) / read, 3.5),
        ("with a state file", min(remembering) / read, 2.5),
        ("nothing new", min(nights) / read, 2.5),
    ):
        print(f"{name:<25} {took:8.2f} x   (wanted: at most {most})")
    for name, what_once, most in (
        ("peak, first and again", "import", 350),
        ("peak with --rewatches", "viewings", 600),
    ):
        print(f"{name:<25} {peak_megabytes(database, what_once):8.0f} MB  (at most {most})")
    return whole / plays


def main() -> None:
    """Print the figures."""
    # An installed program has compiled modules. Without them half of the start-up is compiling.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plays", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--http-plays", type=int, default=50_000)
    parser.add_argument("--only", choices=["import", "viewings", "bare", "http", "events"])
    parser.add_argument("--event-plays", type=int, default=50_000)
    parser.add_argument("--database", type=Path)
    given = parser.parse_args()
    if given.only == "http":
        over_http(given.http_plays)
        return
    if given.only == "events":
        events(given.event_plays)
        return
    if given.only:
        if given.only == "import":
            with tempfile.TemporaryDirectory() as folder:
                import_remembering(given.database, Path(folder))
                import_remembering(given.database, Path(folder))
        elif given.only == "viewings":
            import_once(given.database, every_viewing=True)
        else:
            bare_read(given.database)
        # Not ru_maxrss: that begins with what the parent had (Linux).
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        print(json.dumps({"peak_kilobytes": int(status.split("VmHWM:")[1].split()[0])}))
        return

    CACHE.mkdir(exist_ok=True)
    for variety, what in ((_MANY_TITLES, "many titles"), (1, "few titles")):
        small = measure(min(given.plays, _SMALL), variety, what, given.rounds)
        if given.plays > _SMALL:
            large = measure(given.plays, variety, what, given.rounds)
            print(f"time per play             {large / small:8.2f} x that of {_SMALL:,}")
    starting()
    print(f"{given.http_plays:,} plays over HTTP")
    over_http(given.http_plays)
    events(given.event_plays)


def events(plays: int) -> None:
    """Playback events into JetStream and DuckDB."""
    from tests.bench.events import measure

    CACHE.mkdir(exist_ok=True)
    measure(CACHE / f"events-{plays}.db", plays)


if __name__ == "__main__":
    main()
