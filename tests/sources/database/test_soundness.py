"""Damage of single pages: the check of trees and the reading of rows together see all of it."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

from tautulli_import.errors import SourceDamagedError
from tautulli_import.model.selection import Selection
from tautulli_import.sources.database.source import Source
from tests.support.page_damage import PAGE_DAMAGES, Damage, Pages

TABLES: Final = ("session_history", "session_history_metadata", "session_history_media_info")
ODD_VALUE: Final = re.compile(r"\w+ value in ")
NO_LIMITS: Final = Selection(include_partial=True, latest=4_000_000_000)


def read(path: Path) -> list[Any]:
    """Return all rows of a file, as an import judges them and as plays."""
    with closing(Source([path], page=50)) as source:
        judged = [row for batch in source.judged(NO_LIMITS, detailed=True) for row in batch.rows]
        source.refuse_damage()
        return judged + [play for batch in source.batches() for play in batch.plays]


def sqlite_sees_damage(path: Path) -> bool:
    """Return what SQLite says of the tables of plays, apart from values of odd types."""
    try:
        with closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as conn:
            for table in TABLES:
                lines = conn.execute(f"PRAGMA quick_check({table})").fetchall()
                if any(line != "ok" and not ODD_VALUE.match(line) for (line,) in lines):
                    return True
                counts = [
                    conn.execute(f"SELECT count(*) FROM {table} {how}").fetchall()  # noqa: S608
                    for how in ("", "NOT INDEXED")
                ]
                if counts[0] != counts[1]:
                    return True
    except sqlite3.Error:
        return True
    return False


@pytest.fixture(scope="module")
def histories(tmp_path_factory: pytest.TempPathFactory) -> Mapping[int, tuple[Pages, list[Any]]]:
    """Return a history on pages of each size, and all of its rows."""
    folder = tmp_path_factory.mktemp("pages")
    found = {}
    for size in (512, 1024, 4096):
        path = folder / f"{size}.db"
        found[size] = (Pages(path, size), read(path))
        assert not sqlite_sees_damage(path)
    return found


@pytest.mark.sampled(120)
@pytest.mark.parametrize("seed", range(120))
@pytest.mark.parametrize("damage", PAGE_DAMAGES, ids=lambda damage: damage.__name__)
def test_no_row_that_sqlite_knows_to_be_wrong_is_imported(
    histories: Mapping[int, tuple[Pages, list[Any]]], tmp_path: Path, damage: Damage, seed: int
) -> None:
    path = tmp_path / "tautulli.db"
    for size, (pages, whole) in histories.items():
        path.write_bytes(damage(pages, Random(f"{size} {seed}")))  # noqa: S311 - the same each time
        try:
            assert read(path) == whole or not sqlite_sees_damage(path)
        except SourceDamagedError as error:
            said = str(error)
            assert "is damaged" in said, said
