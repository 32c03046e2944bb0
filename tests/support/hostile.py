"""What hostile answers are tried on: a small history, and a Tautulli that is about to lie.

The crawl reads windows of four rows, so that a dozen plays take as many requests as a hundred
thousand would.
"""

from __future__ import annotations

import re
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final

import pytest
from msgspec import Struct

from tautulli_import.sources.http import access, crawl, refresh
from tests.conftest import Result
from tests.support.history import add_people, add_play, create
from tests.support.inside import Inside
from tests.support.tautulli import KEY, FakeTautulli, Fault, Reply, html, when
from tests.support.waiting import LONGEST

__all__ = ["CODES", "ROWS", "World", "gentle", "make_history", "says", "told"]

CODES: Final = frozenset({2, 3, 4, 5, 6, 7, 8})
"""The exit codes of errors that a person is told in a sentence."""
ROWS: Final = 12
_DAY: Final = 86_400
_LONG_AGO: Final = 1_600_000_000
_MOST_REQUESTS: Final = 1_000
_JSON: Final = {"Content-Type": "application/json;charset=UTF-8"}


def make_history(folder: Path) -> Path:
    """Eleven films and an episode: six of them on one day long ago, four lately."""
    path = folder / "tautulli.db"
    today = int(time.time())
    with closing(create(path)) as conn:
        add_people(conn)
        for number in range(8):
            add_play(
                conn,
                title=f"Film {number}",
                year=2000 + number,
                guid=f"com.plexapp.agents.imdb://tt000000{number}?lang=en",
                user="alice",
                started=_LONG_AGO + (number // 6) * 400 * _DAY + number * 60,
            )
        for number in range(2):
            add_play(
                conn,
                title=f"Nameless <{number}>",
                user_id=2,
                user="bob",
                started=today - (30 - number) * _DAY,
            )
        add_play(
            conn,
            media_type="episode",
            grandparent_title="A Show",
            guid="com.plexapp.agents.thetvdb://11/1/1?lang=en",
            user="alice",
            started=today - 20 * _DAY,
        )
        add_play(
            conn,
            title="Yesterday",
            guid="com.plexapp.agents.imdb://tt0000009?lang=en",
            user="alice",
            started=today - _DAY,
        )
    return path


def gentle(monkeypatch: pytest.MonkeyPatch, timeout: float) -> None:
    """Let windows be small, and choose the patience."""
    monkeypatch.setattr(refresh, "Crawl", partial(crawl.Crawl, most=4))
    fields = access.Access.__struct_fields__
    defaults = access.Access.__struct_defaults__
    assert dict(zip(fields[-len(defaults) :], defaults, strict=True))["timeout"] == 120
    monkeypatch.setattr(
        "tautulli_import.cli.connect.Access",
        lambda *args, **given: access.Access(*args, **{**given, "timeout": timeout}),
    )


class World(Struct):
    """A Tautulli, the program, and a file that an earlier import has left."""

    tautulli: FakeTautulli
    program: Inside
    folder: Path

    def run(self, *args: str | Path) -> Result:
        """Run the program with the server's address and key in its environment.

        Whatever the server does, it ends soon, says no more than it should, and asks no more
        often than makes sense.
        """
        server = self.tautulli.environment
        asked = len(self.tautulli.requests)
        until = time.monotonic() + LONGEST

        def is_enough() -> bool:
            return len(self.tautulli.requests) - asked > _MOST_REQUESTS or time.monotonic() > until

        # Whoever never ends is sent away, so that the test can say so.
        guard = when(lambda _: is_enough(), html(401, "Enough"))
        self.tautulli.faults.insert(0, guard)
        result = self.program(*args, env=server)
        self.tautulli.faults.remove(guard)
        assert not is_enough(), result.err[-2000:]
        assert result.code in CODES | {0}, result.err
        assert "Traceback" not in result.err
        assert "unexpected" not in result.err
        assert KEY not in result.out + result.err
        if result.code:
            told(result, self.tautulli.url)
        return result

    def imports(self, *args: str) -> Result:
        """Import into the file, without asking Plex."""
        return self.run("api", "--to", "jsonl", "--out", self.out, "--no-enrich", *args)

    @property
    def out(self) -> Path:
        """Where items go."""
        return self.folder / "items.jsonl"

    @property
    def items(self) -> bytes:
        """What stands there; nothing when there is no file."""
        return self.out.read_bytes() if self.out.exists() else b""


def told(result: Result, where: str) -> str:
    """Return the one sentence that an error is told in; it names the server, and a hint follows."""
    found = re.findall(r"^Error: (.+\.)\n  (\S.+)$", result.err, re.MULTILINE)
    assert len(found) == 1, result.err
    assert result.err.count("Error:") == 1
    ((sentence, _),) = found
    assert where in sentence, result.err
    return str(sentence)


def says(body: bytes, status: int = 200) -> Fault:
    """Answer with these bytes, and claim that they are JSON."""
    return lambda _: Reply(status=status, body=body, headers=_JSON)
