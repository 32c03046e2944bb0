"""One run makes each sink once, and looks once for the sinks that are installed."""

from __future__ import annotations

import importlib.metadata
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tautulli_import.sinks import base, installed
from tests.conftest import Cli
from tests.sinks.test_third_party_sink import COMPLETE, install
from tests.support.history import add_play, add_user, create
from tests.support.inside import Inside

COUNTING = COMPLETE.replace(
    "    titles = ()\n",
    """\
    titles = ()

    def __init__(self, options):
        super().__init__(options)
        with Path("made").open("a") as made:
            made.write(f"{options.user}\\n")
""",
)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Return a film watched by each of two people."""
    path = tmp_path / "tautulli.db"
    with closing(create(path)) as conn:
        for number, name in enumerate(("alice", "bob"), 1):
            add_user(conn, number, name, name.capitalize())
            add_play(conn, title=f"Film {number}", year=2000, user_id=number)
    return path


@pytest.mark.sampled(4)
@pytest.mark.parametrize(
    ("options", "made"),
    [
        ((), ["None"]),
        (("--dry-run",), ["None"]),
        (("--rewatches", "--report", "report.json"), ["None"]),
        (("--to", "tracker", "--to", "jsonl"), ["None"]),
        (("--each-user",), ["Alice", "Bob", "None"]),
        (("--each-user", "--dry-run"), ["Alice", "Bob", "None"]),
    ],
    ids=" ".join,
)
def test_a_sink_of_somebody_else_is_made_once_and_once_for_each_user(
    cli: Cli, database: Path, tmp_path: Path, options: tuple[str, ...], made: list[str]
) -> None:
    env = install(tmp_path / "site", COUNTING)
    out = ("--out", "jsonl=x.jsonl") if "jsonl" in options else ()
    for _ in range(2):
        assert cli("db", database, "--to", "titles", *options, *out, env=env).code == 0
        assert sorted((tmp_path / "made").read_text("utf-8").split()) == made
        (tmp_path / "made").unlink()


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the sinks that are made, by class, and the searches for those that are installed."""
    counts: Counter[str] = Counter()
    make, search = base.BaseSink.__init__, importlib.metadata.entry_points

    def making(self: base.BaseSink, options: base.SinkOptions) -> None:
        counts[type(self).__name__] += 1
        make(self, options)

    def searching(**params: Any) -> Any:
        counts["searches"] += params.get("group") == installed.GROUP
        return search(**params)

    monkeypatch.setattr(base.BaseSink, "__init__", making)
    monkeypatch.setattr(installed, "entry_points", searching)
    monkeypatch.setattr(importlib.metadata, "entry_points", searching)
    return counts


@pytest.mark.parametrize(
    ("options", "made"),
    [
        (("--to", "tracker"), {"TrackerSink": 1}),
        (("--to", "tracker", "--each-user"), {"TrackerSink": 3}),
        (("--to", "tracker", "--dry-run"), {"TrackerSink": 1}),
        (("--dry-run",), {"TrackerSink": 1}),
        (
            ("--to", "tracker", "--to", "editor", "--out", "tracker=T", "--restart"),
            {"TrackerSink": 1, "EditorSink": 1},
        ),
        (("--to", "jsonl", "--events", "--out", "x.jsonl"), {"EventsSink": 1}),
        (
            ("--to", "tracker", "--to", "duckdb", "--each-user"),
            {"TrackerSink": 3, "DuckdbSink": 1},
        ),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, tuple) else "",
)
def test_each_sink_is_made_once_and_searched_for_once(
    inside: Inside,
    counted: Counter[str],
    database: Path,
    options: tuple[str, ...],
    made: dict[str, int],
) -> None:
    for _ in range(2):
        counted.clear()
        done = inside("db", database, "--no-enrich", *options)
        assert done.code == 0, done.err
        assert +counted == {**made, "searches": 1}
