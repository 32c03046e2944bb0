"""``--debug``: what a person attaches to a report of a bug."""

from __future__ import annotations

import re
from pathlib import Path

from tests.conftest import Cli
from tests.support.history import generate
from tests.support.tautulli import KEY, FakeTautulli, on, status, times


def test_each_request_window_and_retry_is_told_without_the_key(tmp_path: Path, cli: Cli) -> None:
    generate(tmp_path / "a.db", plays=300, seed=7)
    with FakeTautulli(tmp_path / "a.db") as server:
        server.faults.append(on("get_history", times(1, status(502))))
        answer = cli("api", "--dry-run", "--debug", env=server.environment)
    assert answer.code == 0, answer.err
    lines = [line for line in answer.err.splitlines() if re.match(r"\d\d:\d\d:\d\d\.\d{3} ", line)]
    assert lines[0].partition(" ")[2].startswith("tautulli-import ")
    assert len([line for line in lines if " get_history " in line]) >= 2
    assert [line for line in lines if "answered 502" in line]
    assert [line for line in lines if re.search(r"\d+ of \d+ rows", line)]
    assert [line for line in lines if "answers are remembered" in line]
    assert [line for line in lines if "api_key = …" in line]
    assert KEY not in answer.err + answer.out


def test_settings_and_files_are_told(tmp_path: Path, cli: Cli) -> None:
    generate(tmp_path / "a.db", plays=20, seed=7)
    answer = cli("db", "a.db", "--to", "jsonl", "--out", "a.jsonl", "--all-users", "--debug")
    assert "all_users = True (option)" in answer.err
    assert "a.db is read in the mode" in answer.err
    assert re.search(r"The state of file://\S*a\.db is in \S+", answer.err)


def test_nothing_is_told_without_it(tmp_path: Path, cli: Cli) -> None:
    generate(tmp_path / "a.db", plays=20, seed=7)
    cli("db", "a.db", "--dry-run", "--debug")
    assert cli("db", "a.db", "--dry-run", "--all-users", "--quiet").err == ""
