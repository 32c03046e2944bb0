"""Asking Plex, through Tautulli, for the ids that nothing else tells.

A real database, a Tautulli that answers over HTTP, and a state file: every test plays what
matters, says what Plex knows, imports, and looks at what was asked and what came of it.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import stamina
from hypothesis import given, strategies as st
from msgspec import Struct

from tautulli_import.errors import SinkError
from tautulli_import.ids.appearances import appearances_of
from tautulli_import.ids.corrections import parse
from tautulli_import.ids.metadata import Answers, Metadata, Question, ids_of, is_about
from tautulli_import.ids.plex import PlexMetadata
from tautulli_import.ids.works import Work
from tautulli_import.imports.inspect import inspect_source
from tautulli_import.imports.job import Job
from tautulli_import.imports.report import alarms_of, count_items
from tautulli_import.imports.run import run
from tautulli_import.items.build import Records, records_of
from tautulli_import.items.pipeline import PlexSources, ReadResult, read
from tautulli_import.model.items import EXTERNAL, Conflict, Episode, Kind, Origin
from tautulli_import.model.plays import Play
from tautulli_import.model.selection import Selection
from tautulli_import.progress import UNSEEN, Phase, Progress, ProgressGroup
from tautulli_import.sources.database.source import Source
from tautulli_import.sources.http.access import Access, parse_address
from tautulli_import.sources.http.client import Tautulli
from tautulli_import.state.file import StateFile
from tests.support.history import Truth, add_library, add_play, create, generate
from tests.support.history.schema import Value, insert_sql
from tests.support.one_run import add_up_outputs, target
from tests.support.rows import groups_of
from tests.support.tautulli import (
    Asked,
    FakeTautulli,
    Fault,
    Reply,
    hang,
    on,
    status,
    times,
    when,
    with_data,
)
from tests.support.waiting import LONG, SOON, until

DAY = 86_400
LONG_AGO = 1_400_000_000
LATELY = 1_700_000_000
NOW = 1_750_000_000

IMDB = "com.plexapp.agents.imdb://tt{}?lang=en"
TVDB = "com.plexapp.agents.thetvdb://{}/{}/{}?lang=en"


@pytest.fixture(autouse=True)
def _no_waiting() -> Iterator[None]:
    """Let a second try come at once."""
    with stamina.set_testing(True, attempts=2):
        yield


def plex(kind: str, number: int) -> str:
    """Return a GUID of the current agents, which tells no external id."""
    return f"plex://{kind}/{number:024x}"


def film(title: str = "A Film", *guids: str, **fields: object) -> dict[str, Any]:
    """Return what Tautulli answers about a film, in the way it writes it."""
    return _answer("movie", title, guids) | fields


def show(title: str = "A Show", *guids: str, **fields: object) -> dict[str, Any]:
    """Return what Tautulli answers about a show."""
    return _answer("show", title, guids) | fields


def _answer(kind: str, title: str, guids: Sequence[str]) -> dict[str, Any]:
    missing = dict.fromkeys(("original_title", "parent_title", "grandparent_title", "guid"), "")
    lists: dict[str, object] = {"guids": [*guids], "parent_guids": [], "grandparent_guids": []}
    return {"media_type": kind, "title": title, "year": "2001", **missing, **lists}


class Found(Struct, frozen=True):
    """What an import made of it, and what it asked for."""

    reading: ReadResult
    records: Records
    asked: Sequence[int]
    """The rating keys that Plex was asked for, in ascending order."""

    @property
    def keys(self) -> list[str]:
        """The canonical keys, oldest first."""
        return [record.key for record in self.records]

    @property
    def conflicts(self) -> Sequence[Conflict]:
        """What contradicted what."""
        return self.reading.identified.conflicts

    @property
    def warnings(self) -> Sequence[str]:
        """What a person should know about the asking."""
        return self.reading.identified.warnings

    def origins(self, play: int) -> Mapping[str, Origin]:
        """Where each id of the record that a play became came from."""
        (key,) = (one.key for one in self.records if one.play_id == play)
        return dict(self.records.origins())[key]


class Watching(ProgressGroup):
    """Writes down how the asking went, and may do something meanwhile."""

    def __init__(self, then: Callable[[int], object] = lambda _: None) -> None:
        super().__init__()
        self.seen: list[tuple[int, int]] = []
        self._then = then
        self._total: int | None = None

    def begin(self, phase: Phase, total: int, done: int = 0) -> None:
        """Note how many questions there are, if they are asked now."""
        self._total = total if phase == "asking for ids" else None
        self.reached(done)

    def reached(self, done: int) -> None:
        """Note how many questions are through."""
        if self._total is not None:
            self.seen.append((done, self._total))
            self._then(done)


class Home:
    """A history, the Tautulli that has it, and what is remembered of it on this machine."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "tautulli.db"
        self.state = folder / "state"
        self.conn = create(self.path)
        self.conn.execute("PRAGMA synchronous = OFF")
        self.conn.execute("PRAGMA journal_mode = MEMORY")
        self.fake = FakeTautulli(self.path)

    def film(self, rating_key: int | None = 12, title: str = "A Film", **fields: Value) -> int:
        """Return a film watched to its end."""
        told: dict[str, Value] = {"guid": "local://1", "year": 2001, "started": LATELY}
        told |= {"media_type": "movie", "rating_key": rating_key, "title": title} | fields
        return add_play(self.conn, **told)

    def episode(self, show_key: int = 77, title: str = "A Show", **fields: Value) -> int:
        """Return an episode watched to its end."""
        return add_play(
            self.conn,
            **{
                "media_type": "episode",
                "grandparent_rating_key": show_key,
                "grandparent_title": title,
                "guid": "local://2",
                "started": LATELY,
                **fields,
            },
        )

    def films(self, count: int) -> None:
        """So many films without ids, from rating key 1 on, all of which Plex knows."""
        for key in range(1, count + 1):
            self.film(key, f"Film {key}", started=LATELY + key)
            self.fake.plex[key] = film(f"Film {key}", f"tmdb://{1000 + key}")

    def looked_up(self, rating_key: int, tmdb: int) -> None:
        """Store what Tautulli once asked TheMovieDB and keeps."""
        row: dict[str, Value] = {"rating_key": rating_key, "themoviedb_id": tmdb}
        row |= {"themoviedb_url": f"https://www.themoviedb.org/movie/{tmdb}"}
        with self.conn:
            sql = insert_sql("themoviedb_lookup", row)
            self.conn.execute(sql, [*row.values()])

    def imported(
        self,
        selection: Selection | None = None,
        *,
        now: int = NOW,
        corrections: str = "",
        progress: Watching | None = None,
        key: str | None = None,
        each_user: bool = False,
        broken_memory: bool = False,
        **desk: Any,
    ) -> Found:
        """Import it all, the counts checked."""
        before = len(self.fake.requests)
        source = Source([self.path])
        tautulli = self.client(key)
        state = StateFile(self.state, self.fake.url)
        if broken_memory:
            state.step = _disk_full  # type: ignore[method-assign, assignment]
        try:
            reading = read(
                source,
                selection or Selection(),
                corrections=parse(corrections, "ids.csv") if corrections else (),
                each_user=each_user,
                progress=progress or UNSEEN,
                plex=PlexSources(tautulli=PlexMetadata(tautulli, state, now=now, **desk)),
            )
        finally:
            state.close()
            # What was under way when a run was stopped would leave its connection open.
            wait_for_threads()
            tautulli.close()
            source.close()
        records = records_of(reading, every_viewing=False)
        if not each_user:
            add_up_outputs(reading, [records])
        return Found(reading, records, self.asked(before))

    def client(self, key: str | None = None) -> Tautulli:
        """Return a client of the fake."""
        address = parse_address(self.fake.url)
        return Tautulli(Access(address, self.fake.key if key is None else key, timeout=20))

    def asked(self, since: int = 0) -> list[int]:
        """Return the rating keys that were asked for since so many requests, in ascending order."""
        late = self.fake.requests[since:]
        return sorted(int(one.params["rating_key"]) for one in late if one.cmd == "get_metadata")


def asking_threads() -> list[threading.Thread]:
    """Those that still ask."""
    return [thread for thread in threading.enumerate() if "(work)" in thread.name]


def wait_for_threads() -> None:
    """Until none of them asks any more, or never will end."""
    for thread in asking_threads():
        thread.join(5)


def _disk_full() -> Any:
    raise SinkError("The file could not be written: the disk is full.")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """Yield a fresh, empty history and a Plex that knows nothing."""
    made = Home(tmp_path)
    with closing(made.conn), made.fake:
        yield made


# Who is asked for.


def test_a_film_without_ids_is_asked_for_by_its_rating_key(home: Home) -> None:
    play = home.film(12)
    home.fake.plex[12] = film("A Film", "imdb://tt0133093", "tmdb://603")
    found = home.imported()
    assert found.asked == [12]
    assert found.keys == ["tmdb:603"]
    assert found.origins(play) == {"imdb": Origin.GET_METADATA, "tmdb": Origin.GET_METADATA}
    assert count_items(found.records.origins_of_keys()).ids_from["get_metadata"] == 1


def test_a_show_is_asked_for_once_however_many_episodes_were_watched(home: Home) -> None:
    for number in range(1, 31):
        home.episode(77, media_index=number, guid=plex("episode", number))
    home.fake.plex[77] = show("A Show", "tvdb://81189")
    found = home.imported()
    assert found.asked == [77]
    assert found.keys[:2] == ["tvdb:81189#s01e01", "tvdb:81189#s01e02"]
    assert len(found.keys) == 30


def test_what_has_ids_already_is_not_asked_for(home: Home) -> None:
    home.film(1, "By its GUID", guid=IMDB.format("0000001"))
    home.film(2, "By another play", guid=IMDB.format("0000002"), started=LONG_AGO)
    home.film(2, "By another play", guid=plex("movie", 2))
    home.film(3, "By a lookup table")
    home.looked_up(3, 3)
    home.film(4, "By a correction")
    home.episode(6, "By an old episode", guid=TVDB.format(6, 1, 1), started=LONG_AGO)
    home.episode(6, "By an old episode", guid=plex("episode", 6), media_index=2)
    found = home.imported(corrections="type,rating_key,tmdb\nmovie,4,4\n")
    assert found.reading.identified.unused == []
    assert home.fake.requests == []


def test_what_would_not_be_imported_is_not_asked_for(home: Home) -> None:
    home.film(1, "Two minutes of it", view_offset=120_000)
    home.film(2, "Of another user", user_id=2)
    home.film(3, "Wanted", user_id=1)
    assert home.imported(Selection(users=frozenset({1}))).asked == [3]


def test_a_film_in_several_places_is_asked_for_by_its_newest_number(home: Home) -> None:
    home.film(12, guid=plex("movie", 1), started=LONG_AGO)
    home.film(900, guid=plex("movie", 1), started=LATELY)
    assert home.imported().asked == [900]


def test_a_number_is_asked_for_only_on_behalf_of_what_has_it_now(home: Home) -> None:
    home.film(12, "The Old Film", guid=IMDB.format("0000012"), started=LONG_AGO)
    home.film(13, "The Old Film", guid=IMDB.format("0000012"), started=LATELY)
    home.film(12, "The New Film", guid=plex("movie", 12), started=LATELY + DAY)
    home.fake.plex[12] = film("The New Film", "tmdb://2")
    found = home.imported()
    assert found.asked == [12]
    assert found.keys == ["imdb:tt0000012", "tmdb:2"]


def test_a_namesake_of_the_same_release_day_is_asked_about_before_it_is_joined(home: Home) -> None:
    home.film(50, "Twins", guid=IMDB.format("0000005"), started=LONG_AGO)
    home.film(5, "Twins", guid=plex("movie", 5))
    found = home.imported()
    assert (found.asked, found.keys) == ([5], ["imdb:tt0000005"])
    home.fake.plex[5] = film("Twins", "imdb://tt0000006")
    assert home.imported(now=NOW + 40 * DAY).keys == ["imdb:tt0000005", "imdb:tt0000006"]


def test_what_has_no_number_is_not_asked_for(home: Home) -> None:
    home.film(None)
    found = home.imported()
    assert (found.asked, found.warnings) == ([], [])
    assert home.fake.requests == []


def test_a_film_and_a_show_of_one_number_cost_one_question(home: Home) -> None:
    home.film(12, started=LONG_AGO)
    home.episode(12, started=LATELY)
    home.fake.plex[12] = show("A Show", "tvdb://81189")
    found = home.imported()
    assert found.asked == [12]
    assert found.keys == ["plex:12", "tvdb:81189#s01e01"]


def test_users_who_are_kept_apart_cost_no_more(home: Home) -> None:
    home.film(12, user_id=1)
    home.film(12, user_id=2, started=LATELY + DAY)
    home.fake.plex[12] = film("A Film", "tmdb://603")
    assert home.imported(each_user=True).asked == [12]


# What is believed.


def work_of(*plays: tuple[str, str | None, int | None]) -> Work:
    """Return a film played under these titles, GUIDs and years, the newest first."""
    films = [
        _play("movie", number, title=title, guid=guid, year=year)
        for number, (title, guid, year) in enumerate(plays)
    ]
    return _work("movie", films)


def show_of(*titles: str) -> Work:
    """Return a show played under these titles, the newest first."""
    episodes = [
        _play("episode", number, title="Its Episode", grandparent_title=title)
        for number, title in enumerate(titles)
    ]
    return _work("show", episodes)


def _work(kind: Kind, plays: Sequence[Play]) -> Work:
    return Work(kind, appearances_of(groups_of(plays)).all)


def _play(media_type: str, age: int, **fields: Any) -> Play:
    blank: dict[str, Any] = dict.fromkeys(Play.__struct_fields__)
    named = {"media_type": media_type, "rating_key": 12, "stopped": LATELY - age}
    return Play(**blank | {"id": 100 - age} | named | fields)


MINE, OTHER = plex("movie", 0xABC), plex("movie", 0xDEF)


@pytest.mark.parametrize(
    ("work", "answer", "believed"),
    [
        (work_of(("A Film", None, 2001)), Metadata("movie", "A Film", year=2001), True),
        (work_of(("A Film", None, 2001)), Metadata("movie", " a  FILM ", year=2001), True),
        (work_of(("A Film", None, 2001)), Metadata("movie", "Ein Film", "A Film", 2001), True),
        (work_of(("A Film", None, 2001)), Metadata("movie", "Another", year=2001), False),
        (work_of(("A Film", None, 2001)), Metadata("movie", "A Film", year=2002), True),
        (work_of(("A Film", None, 2001)), Metadata("movie", "A Film", year=2000), True),
        (work_of(("A Film", None, 2001)), Metadata("movie", "A Film", year=2003), False),
        (work_of(("A Film", None, 2001)), Metadata("movie", "A Film"), True),
        (work_of(("A Film", None, None)), Metadata("movie", "A Film", year=2050), True),
        (work_of(("", None, 2001)), Metadata("movie", "", year=2001), False),
        (work_of(("A Film", None, 2001)), Metadata("show", "A Film", year=2001), False),
        (work_of(("A Film", None, 2001)), Metadata("episode", "A Film", year=2001), False),
        (work_of(("A Film", None, 2001)), Metadata(), False),
        (work_of(("A Film", MINE, 2001)), Metadata("movie", "Renamed", guid=MINE), True),
        (work_of(("A Film", MINE, 2001)), Metadata("movie", "X", year=1950, guid=MINE), True),
        (work_of(("A Film", MINE, 2001)), Metadata("movie", "X", guid=MINE.upper()), True),
        (work_of(("A Film", MINE, 2001)), Metadata("movie", "A Film", guid=OTHER), False),
        (work_of(("A Film", MINE, 2001)), Metadata("movie", "A Film", guid="local://9"), True),
        (work_of(("A Film", MINE, 2001)), Metadata("movie", "X", guid="local://9"), False),
        (work_of(("A Film", None, 2001)), Metadata("movie", "A Film", guid=OTHER), True),
        (work_of(("New", MINE, 1), ("Old", None, 1)), Metadata("movie", "Old", year=1), True),
        (work_of(("A", MINE, 1), ("A", OTHER, 1)), Metadata("movie", "A", guid=OTHER), False),
        (show_of("A Show"), Metadata("show", "A Show", year=1900), True),
        (show_of("A Show"), Metadata("show", "Eine Serie", "A SHOW"), True),
        (show_of("New Name", "Old Name"), Metadata("show", "old name"), True),
        (show_of("A Show"), Metadata("show", "Another Show"), False),
        (show_of("A Show"), Metadata("movie", "A Show"), False),
        (show_of("A Show"), Metadata("show", "Its Episode"), False),
        (show_of("A Show"), Metadata("season", "A Show"), False),
    ],
)
def test_an_answer_counts_only_when_it_is_about_what_was_played(
    work: Work, answer: Metadata, *, believed: bool
) -> None:
    assert is_about(work, answer) is believed
    with_ids = Metadata(
        answer.media_type,
        answer.title,
        answer.original_title,
        answer.year,
        answer.guid,
        ("tmdb://603",),
    )
    assert ids_of(work, with_ids) == ({"tmdb": "603"} if believed else {})


def test_another_title_that_has_the_number_now_gives_nothing(home: Home) -> None:
    home.film(12, "A Film")
    home.fake.plex[12] = film("What the new server made of 12", "tmdb://1")
    found = home.imported()
    assert found.keys == ["plex:12"]
    assert found.warnings == []


def test_a_film_of_a_legacy_agent_has_its_id_in_its_guid(home: Home) -> None:
    home.film(12)
    home.fake.plex[12] = film("A Film", guid=IMDB.format("0133093"))
    assert home.imported().keys == ["imdb:tt0133093"]


@pytest.mark.parametrize(
    ("guid", "key"),
    [
        ("com.plexapp.agents.thetvdb://121361?lang=en", "tvdb:121361#s01e01"),
        ("com.plexapp.agents.themoviedb://1399?lang=en", "tmdb:1399#s01e01"),
        ("com.plexapp.agents.hama://anidb-23?lang=en", "anidb:23#s01e01"),
        ("local://77", "plex:77#s01e01"),
    ],
)
def test_a_show_of_a_legacy_agent_has_its_id_in_its_guid(home: Home, guid: str, key: str) -> None:
    home.episode(77)
    home.fake.plex[77] = show("A Show", guid=guid)
    assert home.imported().keys == [key]


@pytest.mark.parametrize(
    "odd",
    [
        {"guids": None},
        {"guids": "tmdb://603"},
        {"guids": [None, 7, {"id": "tmdb://603"}, ["tmdb://603"], ""]},
        {"guids": ["nfo://603", "tmdb://", "tmdb://abc", "imdb://603", "://", "tmdb://1/2"]},
        {"title": None, "guids": ["tmdb://603"]},
        {"title": ["A Film"], "guids": ["tmdb://603"]},
        {"media_type": None, "guids": ["tmdb://603"]},
        {"media_type": "clip", "guids": ["tmdb://603"]},
        {"year": "1950", "guids": ["tmdb://603"]},
    ],
)
def test_an_odd_answer_gives_nothing_and_does_no_harm(home: Home, odd: dict[str, Any]) -> None:
    home.film(12)
    home.fake.plex[12] = film("A Film") | odd
    found = home.imported()
    assert (found.keys, found.warnings) == (["plex:12"], [])


@pytest.mark.parametrize("year", [2001, "2001", "", None, [], "soon", "99999999999", "-1"])
def test_a_year_comes_as_it_likes(home: Home, year: object) -> None:
    home.film(12)
    home.fake.plex[12] = film("A Film", "tmdb://603", year=year)
    assert home.imported().keys == ["tmdb:603"]


_texts = st.text() | st.sampled_from(["movie", "show", "A Film", MINE, "tmdb://1", "imdb://tt1"])


@given(
    st.builds(
        Metadata,
        media_type=_texts,
        title=_texts,
        original_title=_texts,
        year=st.none() | st.integers(),
        guid=_texts,
        guids=st.lists(_texts).map(tuple),
    )
)
def test_whatever_is_answered_can_be_looked_at(answer: Metadata) -> None:
    for work in (work_of(("A Film", MINE, 2001)), show_of("A Film")):
        assert all(value for value in ids_of(work, answer).values())


# What is learnt is shared.


def test_old_plays_with_an_id_in_common_become_the_same_item(home: Home) -> None:
    old = home.film(12, "The Film", guid=IMDB.format("0133093"), year=1999, started=LONG_AGO)
    home.film(900, "The Matrix", guid=plex("movie", 1))
    home.fake.plex[900] = film(
        "The Matrix", "imdb://tt0133093", "tmdb://603", guid=plex("movie", 1)
    )
    found = home.imported()
    assert found.asked == [900]
    assert found.keys == ["tmdb:603"]
    works = found.reading.identified.works
    assert {work.ids["tmdb"].value for work in works} == {"603"}
    assert old not in [record.play_id for record in found.records]


def test_a_contradiction_with_an_older_play_is_reported_once(home: Home) -> None:
    home.film(12, "The Film", guid=IMDB.format("0133093"), started=LONG_AGO)
    home.looked_up(12, 1)
    home.film(900, "The Matrix", guid=plex("movie", 1))
    home.fake.plex[900] = film("The Matrix", "imdb://tt0133093", "tmdb://603")
    found = home.imported()
    assert found.keys == ["tmdb:603"]
    assert [_said(one) for one in found.conflicts] == [("The Film", "tmdb", "603", "1")]


def test_a_contradiction_known_before_is_not_reported_again(home: Home) -> None:
    home.film(1, "X", guid=IMDB.format("0000001"), started=LONG_AGO)
    home.looked_up(1, 1)
    home.film(2, "Y", guid=IMDB.format("0000001"), started=LATELY)
    home.looked_up(2, 2)
    home.film(3, "Z", guid=plex("movie", 3))
    before = [_said(one) for one in read_offline(home).identified.conflicts]
    assert before == [("X", "tmdb", "2", "1")]
    home.fake.plex[3] = film("Z", "imdb://tt0000001", "tmdb://2")
    found = home.imported()
    assert [_said(one) for one in found.conflicts] == before
    assert found.keys == ["tmdb:2"]


def _said(conflict: Conflict) -> tuple[str, ...]:
    return conflict.title, conflict.namespace, conflict.kept, conflict.dropped


def read_offline(home: Home) -> ReadResult:
    with closing(Source([home.path])) as source:
        return read(source, Selection())


def test_what_two_namesakes_learn_apart_is_not_given_to_a_third(home: Home) -> None:
    # Before the answers the third can only be the first; after them it may be either.
    home.film(1, "Twins", guid=plex("movie", 1), started=LONG_AGO)
    home.film(2, "Twins", guid="local://2", started=LONG_AGO + DAY)
    home.film(3, "Twins", guid=plex("movie", 3))
    home.fake.plex[1] = film("Twins", "tmdb://1", guid=plex("movie", 1))
    home.fake.plex[3] = film("Twins", "tmdb://3", guid=plex("movie", 3))
    found = home.imported()
    assert found.keys == ["tmdb:1", "plex:2", "tmdb:3"]


class Answering:
    """A desk that knows everything at once, and in any order."""

    def __init__(self, plex_knows: Sequence[tuple[int, Metadata]]) -> None:
        self._plex_knows = plex_knows
        self.asked: list[int] = []

    def ask(self, questions: Sequence[Question], progress: Progress) -> Answers[int]:
        """Answer all of it."""
        progress.begin("asking for ids", len(questions))
        progress.reached(len(questions))
        self.asked += [question.key for question in questions]
        return Answers(dict(self._plex_knows))


def test_the_order_of_the_answers_does_not_matter(home: Home) -> None:
    for key in range(1, 40):
        home.film(key, f"Film {key % 13}", guid=plex("movie", key % 20), started=LATELY + key)
    home.film(100, "Film 3", guid=IMDB.format("0000003"), started=LONG_AGO)
    knows = [
        (key, Metadata("movie", f"Film {key % 13}", guids=(f"tmdb://{key % 7}", "imdb://tt3")))
        for key in range(1, 40)
    ]
    outcomes = set()
    with closing(Source([home.path])) as source:
        for seed in range(5):
            random.Random(seed).shuffle(knows)  # noqa: S311 - repeatable chance
            reading = read(source, Selection(), plex=PlexSources(tautulli=Answering(knows)))
            records = records_of(reading, every_viewing=False)
            outcomes.add(repr((list(records), reading.identified.conflicts)))
    assert len(outcomes) == 1


def test_answers_that_arrive_in_another_order_give_the_same_items(home: Home) -> None:
    home.films(20)
    first = home.imported()
    home.fake.faults.append(when(lambda asked: asked.params.get("rating_key") == "1", hang(0.3)))
    again = home.imported(now=NOW + 181 * DAY)
    assert again.asked == first.asked
    assert list(again.records) == list(first.records)


# What is remembered.


def test_a_second_run_asks_nothing_at_all(home: Home) -> None:
    home.films(3)
    home.film(50, "Deleted")
    home.film(51, "Without ids")
    home.fake.plex[51] = film("Without ids")
    home.film(52, "Another has its number now")
    home.fake.plex[52] = film("Another", "tmdb://9")
    first = home.imported()
    assert first.asked == [1, 2, 3, 50, 51, 52]
    before = len(home.fake.requests)
    again = home.imported(now=NOW + DAY)
    assert len(home.fake.requests) == before
    assert list(again.records) == list(first.records)


@pytest.mark.parametrize(("days", "asked"), [(179, []), (180, [12])])
def test_ids_are_asked_for_again_after_half_a_year(home: Home, days: int, asked: list[int]) -> None:
    home.film(12)
    home.fake.plex[12] = film("A Film", "tmdb://603")
    home.imported()
    home.fake.plex[12] = film("A Film", "tmdb://604")
    found = home.imported(now=NOW + days * DAY)
    assert found.asked == asked
    assert found.keys == (["tmdb:604"] if asked else ["tmdb:603"])


@pytest.mark.parametrize("answer", [None, film("A Film"), film("Another", "tmdb://1")])
@pytest.mark.parametrize(("days", "asked"), [(29, []), (30, [12])])
def test_that_there_are_none_is_asked_again_after_a_month(
    home: Home, answer: dict[str, Any] | None, days: int, asked: list[int]
) -> None:
    home.film(12)
    if answer is not None:
        home.fake.plex[12] = answer
    home.imported()
    assert home.imported(now=NOW + days * DAY).asked == asked


def test_a_title_that_is_played_again_has_its_number_again(home: Home) -> None:
    home.film(12)
    home.fake.plex[12] = film("What the new server made of 12", "tmdb://1")
    home.imported()
    home.film(12, started=NOW + DAY)
    home.fake.plex[12] = film("A Film", "tmdb://603")
    found = home.imported(now=NOW + 2 * DAY)
    assert found.asked == [12]
    assert found.keys == ["tmdb:603"]


def test_a_new_title_with_an_old_number_is_asked_for(home: Home) -> None:
    home.film(12)
    home.fake.plex[12] = film("A Film", "tmdb://603")
    home.imported()
    home.film(12, "What it is called now", guid="local://2", started=NOW + DAY)
    home.fake.plex[12] = film("What it is called now", "tmdb://1")
    assert home.imported(now=NOW + 2 * DAY).keys == ["tmdb:1"]


def test_a_clock_that_was_wrong_does_no_harm(home: Home) -> None:
    home.film(12)
    home.fake.plex[12] = film("A Film", "tmdb://603")
    home.imported(now=NOW + 9999 * DAY)
    assert home.imported(now=NOW).asked == [12]


def test_what_had_ids_keeps_them_when_it_is_deleted(home: Home) -> None:
    home.film(12)
    home.fake.plex[12] = film("A Film", "tmdb://603")
    home.imported()
    del home.fake.plex[12]
    later = NOW + 200 * DAY
    found = home.imported(now=later)
    assert (found.asked, found.keys) == ([12], ["tmdb:603"])
    assert home.imported(now=later + DAY).asked == []


def test_what_had_ids_keeps_them_while_plex_is_away(home: Home) -> None:
    home.film(12)
    home.fake.plex[12] = film("A Film", "tmdb://603")
    home.imported()
    home.fake.plex_up = False
    found = home.imported(now=NOW + 200 * DAY)
    assert (found.asked, found.keys, found.warnings) == ([], ["tmdb:603"], [])
    home.fake.plex_up = True
    assert home.imported(now=NOW + 201 * DAY).asked == [12]


def test_a_damaged_memory_is_asked_anew(home: Home) -> None:
    home.films(2)
    home.imported()
    with closing(StateFile(home.state, home.fake.url)) as state, state.step() as connection:
        connection.execute("UPDATE metadata SET answer = '{\"year\":[' WHERE rating_key = 1")
        connection.execute("UPDATE metadata SET asked = 'x' WHERE rating_key = 2")
    found = home.imported()
    assert (found.asked, found.keys, found.warnings) == ([1, 2], ["tmdb:1001", "tmdb:1002"], [])
    assert home.imported().asked == []


def test_what_cannot_be_remembered_is_used_and_told(home: Home) -> None:
    home.films(2)
    found = home.imported(broken_memory=True)
    assert found.keys == ["tmdb:1001", "tmdb:1002"]
    assert len(found.warnings) == 1
    assert "could not be saved: The file could not be written" in found.warnings[0]


# A run that is stopped.


class _Signalled(BaseException):
    """What a signal becomes on the command line."""


@pytest.mark.parametrize("kind", [KeyboardInterrupt, _Signalled])
def test_an_interrupted_run_goes_on_where_it_was(home: Home, kind: type[BaseException]) -> None:
    home.films(40)

    def stop(done: int) -> None:
        if done == 20:
            raise kind

    with pytest.raises(kind):
        home.imported(progress=Watching(stop))
    found = home.imported()
    # One that was under way then can arrive as late as now.
    assert len(set(found.asked)) == 40 - 20
    assert len(home.asked()) <= 40 + 5  # what was under way was asked for in vain
    assert sorted(found.keys) == sorted(f"tmdb:{1000 + key}" for key in range(1, 41))


PROGRAM = """
import os, signal, sys
from pathlib import Path
from tautulli_import.ids.plex import PlexMetadata
from tautulli_import.state.file import StateFile
from tautulli_import.sources.http.access import Access, parse_address
from tautulli_import.sources.http.client import Tautulli
from tautulli_import.items.pipeline import PlexSources, read
from tautulli_import.progress import ProgressGroup
from tautulli_import.model.selection import Selection
from tautulli_import.sources.database.source import Source

class Killer(ProgressGroup):
    def begin(self, phase, total, done=0):
        self.phase = phase
    def reached(self, done):
        if done == 20 and self.phase == "asking for ids":
            os.kill(os.getpid(), 9)

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a shell's background
path, folder, url, key, now = sys.argv[1:]
tautulli = Tautulli(Access(parse_address(url), key))
desk = PlexMetadata(tautulli, StateFile(Path(folder), url), now=int(now))
try:
    read(Source([Path(path)]), Selection(), plex=PlexSources(tautulli=desk), progress=Killer())
except KeyboardInterrupt:
    sys.exit(130)
"""


def started(home: Home) -> subprocess.Popen[bytes]:
    """Return an import in a process of its own, which kills itself at the twentieth answer."""
    fake = home.fake
    arguments = [str(home.path), str(home.state), fake.url, fake.key, str(NOW)]
    return subprocess.Popen([sys.executable, "-c", PROGRAM, *arguments])


def test_a_killed_run_goes_on_where_it_was(home: Home) -> None:
    home.films(40)
    with started(home) as process:
        assert process.wait(60) == -signal.SIGKILL
    assert len(set(home.imported().asked)) == 40 - 20


def test_nobody_waits_for_a_hanging_plex_to_stop(home: Home) -> None:
    home.films(20)
    home.fake.faults.append(on("get_metadata", hang(600)))
    with started(home) as process:
        until(lambda: len(home.asked()) == 6)
        process.send_signal(signal.SIGINT)
        assert process.wait(SOON) == 130
    assert len(home.asked()) == 6


# A Plex that is not there, and other trouble.


def test_a_plex_that_is_away_is_not_asked_and_nothing_is_remembered(home: Home) -> None:
    home.films(2)
    home.episode(77)
    home.fake.plex_up = False
    found = home.imported()
    assert found.asked == []
    assert found.keys == ["plex:77#s01e01", "plex:1", "plex:2"]
    assert found.warnings == [
        (
            "No ids from Plex for 3 films and shows: Plex is not reachable. "
            "Run the same command again later."
        )
    ]
    assert [*alarms_of(found.reading)] == found.warnings
    home.fake.plex_up = True
    assert home.imported().asked == [1, 2, 77]


@pytest.mark.parametrize("connected", [False, None, "", 0, {}])
def test_only_a_plain_yes_means_that_plex_is_there(home: Home, connected: object) -> None:
    home.films(1)
    home.fake.faults.append(on("server_status", with_data(connected=connected)))
    found = home.imported()
    assert found.asked == []
    assert "No ids from Plex for 1 film or show: " in found.warnings[0]


def test_what_came_empty_before_plex_went_away_is_not_remembered(home: Home) -> None:
    home.films(10)

    def goes_away(asked: Asked) -> Reply | None:
        if asked.params.get("rating_key") == "5":
            home.fake.plex_up = False
        return None

    home.fake.faults.append(goes_away)
    found = home.imported(at_once=1)
    assert found.keys == [
        *(f"tmdb:{1000 + key}" for key in range(1, 5)),
        *(f"plex:{key}" for key in range(5, 11)),
    ]
    assert "for 6 films and shows: Plex is not reachable." in found.warnings[0]
    home.fake.faults.clear()
    home.fake.plex_up = True
    assert home.imported().asked == [5, 6, 7, 8, 9, 10]


def test_what_came_empty_while_plex_restarted_is_not_remembered(home: Home) -> None:
    # Tautulli has not noticed yet: it says connected until it has tried for half a minute.
    add_library(home.conn, 1, "Films", "movie")
    home.films(10)
    home.fake.plex_up = False
    home.fake.faults.append(on("server_status", with_data(connected=True)))
    found = home.imported()
    assert "for 10 films and shows: Plex is not reachable." in found.warnings[0]
    home.fake.plex_up = True
    assert home.imported().asked == [*range(1, 11)]


@pytest.mark.parametrize("libraries", [0, 2])
def test_what_is_deleted_is_remembered_when_plex_answers(home: Home, libraries: int) -> None:
    for number in range(libraries):
        add_library(home.conn, number + 1, f"Library {number}", "movie")
    home.film(12)
    found = home.imported()
    assert (found.asked, found.warnings) == ([12], [])
    assert home.imported(now=NOW + DAY).asked == []


def test_many_empty_answers_are_doubted_in_between(home: Home) -> None:
    for key in range(1, 261):
        home.film(key, f"Deleted {key}", started=LATELY + key)
    found = home.imported()
    assert found.asked == [*range(1, 261)]
    assert len(home.fake.asked("server_status")) >= 3
    assert home.imported().asked == []


@pytest.fixture
def taking_long(monkeypatch: pytest.MonkeyPatch) -> Fault:
    """Return a fault after which ten seconds have gone by, for who asks one question at a time."""
    now = [0.0]
    clock = SimpleNamespace(monotonic=lambda: now[0])
    monkeypatch.setattr("tautulli_import.ids.plex.time", clock)

    def answer(_: Asked) -> None:
        now[0] += 10

    return answer


def test_an_empty_answer_that_took_long_is_not_remembered(home: Home, taking_long: Fault) -> None:
    home.film(12)
    home.film(13, "Another Film")
    home.fake.faults.append(on("get_metadata", taking_long, rating_key=12))
    found = home.imported(at_once=1)
    assert len(found.warnings) == 1
    assert "for 1 film or show: Plex does not answer in time." in found.warnings[0]
    assert home.imported().asked == [12]


def test_an_answer_that_took_long_and_has_something_in_it_counts(
    home: Home, taking_long: Fault
) -> None:
    home.films(1)
    home.fake.faults.append(on("get_metadata", taking_long))
    found = home.imported()
    assert (found.keys, found.warnings) == (["tmdb:1001"], [])


def test_a_plex_that_hangs_is_left_alone_after_a_while(home: Home, taking_long: Fault) -> None:
    for key in range(1, 41):
        home.film(key, f"Film {key}", started=LATELY + key)
    home.fake.faults.append(on("get_metadata", taking_long))
    found = home.imported()
    assert len(found.asked) <= 12
    assert "for 40 films and shows: Plex does not answer in time." in found.warnings[0]


def test_after_several_failures_in_a_row_nothing_more_is_asked(home: Home) -> None:
    home.films(40)
    home.fake.faults.append(on("get_metadata", status(500)))
    found = home.imported()
    assert len(set(found.asked)) <= 5 + 6
    assert len(found.records) == 40
    assert len(found.warnings) == 1
    assert "500" in found.warnings[0]
    assert "No ids from Plex for 40 films and shows: " in found.warnings[0]


def test_one_failure_does_not_stop_the_others(home: Home) -> None:
    home.films(20)
    home.fake.faults.append(on("get_metadata", status(500), rating_key=7))
    found = home.imported()
    assert [key for key in found.keys if key.startswith("plex:")] == ["plex:7"]
    assert "No ids from Plex for 1 film or show: " in found.warnings[0]
    home.fake.faults.clear()
    assert home.imported().asked == [7]


def test_a_failure_that_passes_is_none(home: Home) -> None:
    home.films(3)
    home.fake.faults.append(on("get_metadata", times(1, status(502))))
    found = home.imported()
    assert (len(found.asked), found.warnings) == (4, [])


def test_a_wrong_key_does_not_fail_the_import(home: Home) -> None:
    home.films(2)
    found = home.imported(key="f" * 32)
    assert found.keys == ["plex:1", "plex:2"]
    assert len(found.warnings) == 1
    assert "Invalid apikey. Run the same command again later." in found.warnings[0]
    assert "f" * 32 not in found.warnings[0]


def test_a_tautulli_that_is_gone_does_not_fail_the_import(home: Home) -> None:
    home.films(2)
    home.fake.close()
    found = home.imported()
    assert found.keys == ["plex:1", "plex:2"]
    assert "Cannot connect to Tautulli at" in found.warnings[0]


# A whole invented history, and the truth about it.


@pytest.mark.parametrize("seed", [1, 2, 160])
def test_a_plex_that_knows_everything_is_asked_little_and_believed_rightly(
    tmp_path: Path, seed: int
) -> None:
    path = tmp_path / "tautulli.db"
    truth = generate(path, plays=3000, seed=seed)
    with closing(Source([path])) as source, FakeTautulli(path) as fake:
        offline = read(source, Selection())
        keys = {key for work in offline.identified.works for key in work.rating_keys}
        fake.plex = everything_in(truth)
        tautulli = Tautulli(Access(parse_address(fake.url), fake.key))
        with closing(tautulli), closing(StateFile(None, fake.url)) as state:
            desk = PlexMetadata(tautulli, state, now=NOW)
            reading = read(source, Selection(), plex=PlexSources(tautulli=desk))
        asked = [int(one.params["rating_key"]) for one in fake.asked("get_metadata")]
    assert reading.identified.warnings == []
    assert len(asked) == len(set(asked)) < len(keys) / 2
    records = records_of(reading, every_viewing=False)
    add_up_outputs(reading, [records])
    learnt, origins = 0, dict(records.origins())
    for record in records:
        work = truth.work(record.play_id)
        assert work is not None
        ids = record.item.show_ids if isinstance(record.item, Episode) else record.item.ids
        known = {name: value for name in EXTERNAL if (value := getattr(ids, name))}
        assert known.items() <= work.ids.items(), f"{work.title} ({work.show})"
        learnt += Origin.GET_METADATA in origins[record.key].values()
        if work.ids and ids.plex and int(ids.plex) in asked:
            assert known, f"{work.title} ({work.show}) has no id"
    assert learnt > 10
    numbers = [work.number for one in records if (work := truth.work(one.play_id))]
    assert len(set(numbers)) == len(numbers) == len(records)


def everything_in(truth: Truth) -> dict[int, dict[str, Any]]:
    """Return what Plex would tell of each number: about the title that had it last."""
    last: dict[int, int] = {}
    knows: dict[int, dict[str, Any]] = {}
    for work in truth.works:
        guids = [f"{namespace}://{value}" for namespace, value in work.ids.items()]
        for one in work.plays:
            key = one.rating_key if work.kind == "movie" else one.show_key
            if key is None or one.watched_at < last.get(key, 0):
                continue
            last[key] = one.watched_at
            guid = one.guid if work.kind == "movie" and one.guid else ""
            knows[key] = (
                film(work.title, *guids, year=work.year, guid=guid)
                if work.kind == "movie"
                else show(str(work.show), *guids)
            )
    return knows


# How it is done.


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("at_once", "seen"), [(None, 6), (4, 4), (1, 1), (0, 1), (99, 8)])
def test_several_questions_are_under_way_at_once(
    home: Home, at_once: int | None, seen: int
) -> None:
    home.films(24)
    all_there = threading.Barrier(seen)

    def together(_: Asked) -> Reply:
        all_there.wait(LONG)
        return Reply(hang=0.05)  # during which one too many would come

    home.fake.faults.append(on("get_metadata", together))
    desk: dict[str, Any] = {} if at_once is None else {"at_once": at_once}
    home.imported(**desk)
    assert home.fake.most_at_once == seen


def test_whoever_shows_it_is_told_how_far_it_is(home: Home) -> None:
    home.films(4)
    home.imported()
    home.film(50, "New One")
    home.film(51, "New Two")
    watching = Watching()
    home.imported(progress=watching)
    assert watching.seen == [(0, 2), (1, 2), (2, 2)]


def test_whoever_shows_it_is_not_told_of_nothing(home: Home) -> None:
    home.films(2)
    home.imported()
    watching = Watching()
    home.imported(progress=watching)
    assert watching.seen == []


def test_the_report_counts_every_request(home: Home, tmp_path: Path) -> None:
    home.films(2)
    home.film(50, "Deleted")
    tautulli = home.client()
    with closing(StateFile(None, home.fake.url)) as state, closing(tautulli):
        job = Job(
            "db",
            [target("tracker", tmp_path / "tracker")],
            Selection(),
            plex=PlexSources(tautulli=PlexMetadata(tautulli, state, now=NOW)),
            asked=tautulli.asked,
        )
        with closing(Source([home.path])) as source:
            report = run(source, job).report
    requests = report.requests
    assert (requests.history, requests.metadata) == (0, 3)
    assert requests.other == sum(tautulli.asked.values()) - 3 >= 2
    assert report.items.ids_from["get_metadata"] == 2
    assert report.items.without_external_id == 1


def test_a_run_without_asking_counts_none(home: Home) -> None:
    home.films(1)
    job = Job("db", [target("jsonl", dry_run=True)], Selection(), dry_run=True)
    with closing(Source([home.path])) as source:
        requests = run(source, job).report.requests
    assert (requests.history, requests.metadata, requests.other) == (0, 0, 0)


def test_a_warning_is_in_the_report_and_among_the_alarms(home: Home) -> None:
    home.films(2)
    home.fake.plex_up = False
    tautulli = home.client()
    with closing(StateFile(None, home.fake.url)) as state, closing(tautulli):
        desk = PlexMetadata(tautulli, state, now=NOW)
        job = Job(
            "db",
            [target("jsonl", dry_run=True)],
            Selection(),
            dry_run=True,
            plex=PlexSources(tautulli=desk),
        )
        with closing(Source([home.path])) as source:
            outcome = run(source, job)
    assert [text for text in outcome.alarms if "Plex is not reachable" in text]
    assert [text for text in outcome.report.warnings if "Plex is not reachable" in text]


def test_a_census_asks_too(home: Home) -> None:
    home.films(2)
    home.film(50, "Deleted")
    tautulli = home.client()
    with closing(StateFile(None, home.fake.url)) as state, closing(tautulli):
        desk = PlexMetadata(tautulli, state, now=NOW)
        with closing(Source([home.path])) as source:
            census = inspect_source(source, Selection(), plex=PlexSources(tautulli=desk)).inspection
    assert (census.films.total, census.films.known) == (3, 2)
    assert (census.films.could_get, census.films.never) == (0, 1)  # Plex has been asked
    assert census.items.ids_from["get_metadata"] == 2


def test_no_thread_outlives_what_it_was_for(home: Home) -> None:
    home.films(10)
    home.imported()
    assert asking_threads() == []
