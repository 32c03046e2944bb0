"""A case through one door of the command line, in the test's own process."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from tests.support.cases.build import answers, build, put_tracker
from tests.support.cases.case import Case
from tests.support.cases.judge import Outcome, judge
from tests.support.inside import Inside
from tests.support.tautulli import FakeTautulli

__all__ = ["run"]

_OUTPUTS: Final = {"jsonl": "out.jsonl", "tracker": "tracker", "editor": "out-history.json"}


def run(inside: Inside, case: Case, door: str, folder: Path) -> Outcome:
    """Run it in an empty folder, and judge what came of it."""
    folder.mkdir()
    database, out = folder / "tautulli.db", folder / _OUTPUTS[case.to]
    build(case, database)
    if case.tracker:
        put_tracker(case, out)
    outcome = Outcome()
    with FakeTautulli(database) as fake:
        fake.plex, fake.plex_up = answers(case), case.plex is not None
        args = _arguments(case, door, folder, fake.url)
        env = {"TAUTULLI_API_KEY": fake.key} if door == "api" or fake.plex_up else {}
        done = inside(*args, "--out", out, env=env)
        outcome.asked = len(fake.asked("get_metadata"))
        outcome.items = _items(out)
        if case.tracker and done.code == 0:
            inside(*args, "--out", out, env=env)
            if _items(out) != outcome.items:
                outcome.troubles.append("a second run changes the tracker again")
    with suppress(FileNotFoundError):
        outcome.report = json.loads((folder / "report.json").read_text("utf-8"))
    if done.code != case.want_exit:
        outcome.troubles.append(f"exit code {done.code}, not {case.want_exit}: {done.err}")
    outcome.troubles += judge(case, outcome)
    return outcome


def _arguments(case: Case, door: str, folder: Path, url: str) -> Sequence[str | Path]:
    args: list[str | Path] = [door]
    if door == "db":
        args.append(folder / "tautulli.db")
    if door == "api" or case.plex is not None:
        args += ["--url", url]
    if case.plex is None:
        args.append("--no-enrich")
    if case.ids:
        ids = folder / "ids.csv"
        ids.write_text(f"{case.ids.strip()}\n", "utf-8")
        args += ["--ids", ids]
    args += ["--to", case.to, "--report", folder / "report.json", "--state-dir", folder / "state"]
    return [*args, *case.options]


def _items(path: Path) -> Sequence[Mapping[str, Any]]:
    """Return what was written, each item with its key."""
    path = path / "history.json" if path.is_dir() else path
    if not path.exists():
        return []
    text = path.read_text("utf-8")
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in text.splitlines()]
    items = json.loads(text)["items"]
    if isinstance(items, dict):
        return [{"key": key} | item for key, item in items.items()]
    return list(items)
