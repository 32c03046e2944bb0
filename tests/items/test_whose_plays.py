"""Whose plays become one history is said, and not every night again."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.conftest import Cli
from tests.support.history import add_play, add_user

COMMAND = ("--to", "tracker", "--no-enrich")


def said(cli: Cli, history: Path, *options: str) -> str:
    """Return what an import of it says."""
    done = cli("db", history, *COMMAND, *options)
    assert done.code == 0, done.err
    return done.err


def test_whose_plays_are_merged_is_said_once(cli: Cli, history: Path) -> None:
    assert "Merging the plays of 2 users" in said(cli, history)
    assert said(cli, history) == ("Nothing new: 4 plays read, crosswatch-tracker is up to date.\n")


def test_it_is_said_again_when_somebody_has_come_to_it(cli: Cli, history: Path) -> None:
    said(cli, history)
    with closing(sqlite3.connect(history)) as conn, conn:
        add_user(conn, 3, "carol", "Carol")
        add_play(conn, title="Fourth Film", year=2004, user_id=3, user="carol")
    assert "Merging the plays of 3 users" in said(cli, history)


def test_a_quiet_run_has_told_nobody(cli: Cli, history: Path) -> None:
    assert said(cli, history, "--quiet") == ""
    assert "Merging the plays of 2 users" in said(cli, history)


def test_a_dry_run_always_says_it(cli: Cli, history: Path) -> None:
    said(cli, history)
    assert "Merging the plays of 2 users" in said(cli, history, "--dry-run")


def test_who_forgets_the_checkpoint_is_told_again(cli: Cli, history: Path) -> None:
    said(cli, history)
    assert cli("checkpoint", "clear", "--all").code == 0
    assert "Merging the plays of 2 users" in said(cli, history)
