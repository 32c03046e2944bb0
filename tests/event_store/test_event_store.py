"""Playback events in real DuckDB files: each once, all or nothing, and nobody else's file."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from decimal import ROUND_HALF_UP, Decimal
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st

from tautulli_import import interrupts
from tautulli_import.errors import BusyError, SinkError
from tautulli_import.event_store.schema import VIEWS
from tautulli_import.event_store.store import Added, EventStore, Poison
from tautulli_import.model.events import PlaybackEvent
from tests.support.history.words import HOSTILE

ROOT = Path(__file__).parent.parent.parent
START = "2024-03-01T20:00:00Z"


def played(number: int, **changes: Any) -> PlaybackEvent:
    """Return the event of a play of a film, another for each number."""
    event = PlaybackEvent(
        schema_version=1,
        event_id=str(UUID(int=number)),
        session_key=f"tautulli-{number}",
        correlation_key=f"key-{number}",
        source="tautulli-import",
        timestamp="2024-03-01T22:00:00Z",
        user_id=42,
        username="alice",
        media_type="movie",
        title=f"Film {number}",
        rating_key=str(number),
        started_at=START,
        stopped_at="2024-03-01T22:00:00Z",
        play_duration=7200,
        secure=True,
    )
    return msgspec.structs.replace(event, **changes)


def plays(*numbers: int) -> list[PlaybackEvent]:
    return [played(number) for number in numbers]


def rows(path: Path, query: str) -> list[Any]:
    """Return what somebody sees who opens the file with plain DuckDB."""
    with closing(duckdb.connect(str(path), read_only=True)) as db:
        return db.execute(query).fetchall()


def titles(path: Path) -> list[str]:
    return [title for (title,) in rows(path, "SELECT title FROM playback_events ORDER BY title")]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file is going to be."""
    return tmp_path / "events.duckdb"


@pytest.fixture
def store(path: Path) -> Iterator[EventStore]:
    """Yield a new file."""
    with EventStore(path) as made:
        yield made


# What is stored.


def test_every_field_has_a_column_and_comes_out_as_it_went_in(
    store: EventStore, path: Path
) -> None:
    fields = PlaybackEvent.__struct_fields__
    event = PlaybackEvent(
        schema_version=1,
        event_id="c5443cc4-8df2-5082-b3d6-cb5bd2c49847",
        session_key="tautulli-12345",
        correlation_key="tautulli-import:default:133788:54321:abc:2023-11-14T22:13:20:tautulli-1",
        source="tautulli-import",
        server_id="attic",
        timestamp="2023-11-14T23:00:05Z",
        user_id=133788,
        username="alice",
        friendly_name="Alice A",
        media_type="episode",
        title="Pilot",
        parent_title="Season 1",
        grandparent_title="Some Show",
        rating_key="54321",
        year=2019,
        media_duration=2880,
        started_at="2023-11-14T22:13:20Z",
        stopped_at="2023-11-14T23:00:05Z",
        percent_complete=98,
        play_duration=2793,
        paused_counter=0,
        platform="Roku",
        platform_version="12.5",
        player="Living Room",
        product="Plex for Roku",
        product_version="7.9.1",
        machine_id="abc123def",
        ip_address="203.0.113.9",
        location_type="wan",
        transcode_decision="direct play",
        video_resolution="1080",
        video_codec="h264",
        video_dynamic_range="SDR",
        audio_codec="eac3",
        audio_channels=6,
        stream_bitrate=2**63 - 1,
        bandwidth=-(2**63),
        secure=False,
    )
    bare = played(1, session_key="", rating_key=None, secure=None, stopped_at=None)
    assert store.add([event, bare]) == Added(2, 0)
    store.close()

    with closing(duckdb.connect(str(path))) as db:
        answer = db.execute("FROM playback_events ORDER BY started_at")
        assert [column[0] for column in answer.description or ()] == [
            "id" if field == "event_id" else field for field in fields
        ]
        first, second = (dict(zip(fields, row, strict=True)) for row in answer.fetchall())
    wanted = msgspec.structs.asdict(event) | {"event_id": UUID(event.event_id)}
    for field in ("timestamp", "started_at", "stopped_at"):
        assert first.pop(field).isoformat() + "Z" == wanted.pop(field)
    assert first == wanted
    assert [second[field] for field in ("session_key", "rating_key", "secure", "stopped_at")] == [
        None
    ] * 4


@pytest.mark.sampled(4)
@pytest.mark.parametrize(
    "title",
    [*HOSTILE, "", "\0", "a\0b", "\\u0000", "\r\n", "\u2028", "\x85", "\ufeff", "x" * 99_999],
)
def test_a_title_may_be_anything(store: EventStore, path: Path, title: str) -> None:
    event = played(1, title=title, rating_key=title or None, correlation_key=f"k{title}")
    assert store.add([event, played(2, title=title)]) == Added(2, 0)
    assert store.add([event]) == Added(0, 1)
    store.close()
    assert titles(path) == [title, title]


def test_what_is_no_unicode_does_not_keep_the_others_out(store: EventStore, path: Path) -> None:
    assert store.add([played(1, title="half \ud83c"), *plays(2)]) == Added(2, 0)
    store.close()
    assert titles(path) == ["Film 2", "half ?"]


def test_the_same_thing_written_otherwise_is_the_same(store: EventStore, path: Path) -> None:
    odd = played(
        10,
        event_id="0000000A-0000-0000-0000-00000000000A",
        started_at="2024-03-01T22:00:00.000+02:00",
        timestamp="20240301T220000.5Z",
        stopped_at=None,
        rating_key="",
    )
    assert store.add([odd, msgspec.structs.replace(odd, event_id=odd.event_id.lower())]) == Added(
        1, 1
    )
    assert store.add([played(11, started_at=START, rating_key="")]) == Added(1, 0)
    store.close()
    found = rows(path, "SELECT id::VARCHAR, started_at::VARCHAR, timestamp::VARCHAR, rating_key"
                       " FROM playback_events WHERE correlation_key = 'key-10'")  # fmt: skip
    start, end = "2024-03-01 20:00:00", "2024-03-01 22:00:00.5"
    assert found == [("0000000a-0000-0000-0000-00000000000a", start, end, None)]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"event_id": "7"}, "event_id is not a UUID"),
        ({"started_at": "yesterday"}, "started_at is not a time"),
        ({"stopped_at": "2024-02-30T00:00:00Z"}, "2024-02-30"),
        ({"year": 2**63}, "does not fit"),
        ({"correlation_key": ""}, "correlation_key"),
    ],
)
def test_what_cannot_be_stored_is_an_error_and_stores_nothing(
    store: EventStore, changes: dict[str, Any], why: str
) -> None:
    with pytest.raises(SinkError, match=why):
        store.add([*plays(1), played(2, **changes), *plays(3)], job="job", reached=b"3")
    assert (store.count(), store.reached("job")) == (0, None)
    assert store.add(plays(1)) == Added(1, 0)


# Once each.


def test_its_log_is_as_private_as_the_file(store: EventStore, path: Path) -> None:
    store.add(plays(1, 2))
    log = Path(f"{path}.wal")
    assert [stat.S_IMODE(one.stat().st_mode) for one in (path, log)] == [0o600, 0o600]


def test_the_same_events_again_are_known(store: EventStore) -> None:
    events = plays(*range(1000))
    assert store.add(events) == Added(1000, 0)
    assert store.add(events) == Added(0, 1000)
    assert store.add([*events, *plays(1000)]) == Added(1, 1000)
    assert store.count() == 1001


def test_a_row_without_a_rating_key_is_not_lost_beside_another(store: EventStore) -> None:
    """Of such a batch `ON CONFLICT DO NOTHING` loses rows."""
    bare = [played(number, rating_key=None) for number in range(100)]
    assert store.add(bare[:50]) == Added(50, 0)
    assert store.add([*plays(200), *bare, *plays(201)]) == Added(52, 50)
    assert store.add([*bare, *bare]) == Added(0, 200)
    assert store.count() == 102


def test_one_play_under_another_id_is_known_and_counted(store: EventStore) -> None:
    store.add(plays(1))
    same_play = played(2, rating_key="1")
    same_key = played(3, correlation_key="key-1")
    assert store.add([same_play, same_key, *plays(1)]) == Added(0, 3, under_another_id=2)


def test_an_event_left_out_for_the_file_leaves_out_no_other(store: EventStore) -> None:
    store.add(plays(1))
    left_out = played(2, event_id=played(1).event_id, correlation_key="shared")
    stays = played(3, correlation_key="shared")
    assert store.add([left_out, stays]) == Added(1, 1)


def test_an_event_left_out_for_its_neighbour_leaves_out_no_other(store: EventStore) -> None:
    first = played(1)
    left_out = played(2, correlation_key="key-1")
    stays = played(3, rating_key="2")
    assert store.add([first, left_out, stays]) == Added(2, 1, under_another_id=1)


@pytest.fixture(scope="module")
def long_lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EventStore]:
    """One file for many examples, each of which has keys of its own."""
    with EventStore(tmp_path_factory.mktemp("store") / "events.duckdb") as made:
        yield made


EXAMPLES = count(1)
Drawn = tuple[int, int, str | None, int, int]
DRAWN = st.tuples(
    st.integers(0, 4),
    st.integers(0, 4),
    st.sampled_from([None, "1", "1\0", "\0"]),
    st.integers(0, 1),
    st.integers(0, 1),
)


def one_by_one(taken: set[object], drawn: Sequence[Drawn]) -> int:
    """How many are stored where each is looked at on its own."""
    stored = 0
    for identity, key, rating_key, user, minute in drawn:
        keys: set[object] = {("id", identity), ("key", key)}
        if rating_key is not None:
            keys.add((rating_key, user, minute))
        if taken.isdisjoint(keys):
            taken |= keys
            stored += 1
    return stored


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@example([[(0, 0, "1", 0, 0)], [(0, 1, "1", 0, 1), (1, 1, "1", 0, 1)]])
@given(st.lists(st.lists(DRAWN, max_size=8), min_size=1, max_size=4))
def test_a_batch_becomes_what_it_would_become_one_by_one(
    long_lived: EventStore, batches: list[list[Drawn]]
) -> None:
    turn = next(EXAMPLES) * 10
    taken: set[object] = set()
    for drawn in batches:
        events = [
            played(
                turn + identity,
                correlation_key=f"{turn}-{key}",
                rating_key=rating_key,
                user_id=turn + user,
                started_at=f"2024-03-01T20:0{minute}:00Z",
            )
            for identity, key, rating_key, user, minute in drawn
        ]
        before = long_lived.count()
        stored = one_by_one(taken, drawn)
        added = long_lived.add(events)
        assert (added.stored, added.known) == (stored, len(drawn) - stored)
        assert long_lived.count() == before + stored


# A look before.


def test_a_preview_counts_as_the_real_thing_would_and_writes_nothing(
    store: EventStore, path: Path
) -> None:
    store.add([*plays(1, 2), played(3, rating_key=None)])
    store.close()
    before = path.read_bytes()
    batches = [plays(1, 4), [played(5, rating_key="4"), *plays(6, 6)], plays(4, 6, 7)]
    with EventStore(path, reads_only=True) as looking:
        previewed = [looking.preview(batch) for batch in batches]
        assert looking.count() == 3
    assert path.read_bytes() == before
    with EventStore(path) as again:
        assert [again.add(batch) for batch in batches] == previewed
        assert previewed == [Added(1, 1), Added(1, 2, 1), Added(1, 2)]


def test_a_preview_of_a_file_that_is_not_there_makes_none(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "events.duckdb"
    with EventStore(path, reads_only=True) as looking:
        assert looking.preview(plays(1, 2, 2)) == Added(2, 1)
        assert (looking.count(), looking.reached("job")) == (0, None)
    assert list(tmp_path.iterdir()) == []


# What a job has reached, and messages kept aside.


def test_each_job_has_its_own_point(store: EventStore, path: Path) -> None:
    store.add(plays(1), job="one", reached=b"\0\xff 1")
    store.add(plays(2), job="other", reached=b"7")
    store.add([], job="one", reached=b"2")
    store.add(plays(3), job="one")
    assert (store.reached("one"), store.reached("other"), store.reached("")) == (b"2", b"7", None)
    store.forget("other")
    store.close()
    with EventStore(path) as again:
        assert (again.reached("one"), again.reached("other"), again.count()) == (b"2", None, 3)


def test_a_message_kept_twice_is_there_once(store: EventStore, path: Path) -> None:
    spoilt = Poison("MEDIA_EVENTS", 7, "playback.x", "it is 'no' JSON", b'\0\xff{"', 1_700_000_000)
    other = msgspec.structs.replace(spoilt, sequence=8)
    # The stream was made anew, and counts from the beginning.
    renewed = msgspec.structs.replace(spoilt, payload=b"")
    store.add(plays(1), poison=[spoilt, spoilt])
    store.add([], poison=[spoilt, other, renewed])
    store.close()
    found = rows(path, "FROM poison_messages ORDER BY sequence, payload DESC")
    assert [(*row[:5], row[5].isoformat()) for row in found] == [
        ("MEDIA_EVENTS", 7, "playback.x", "it is 'no' JSON", b'\0\xff{"', "2023-11-14T22:13:20"),
        ("MEDIA_EVENTS", 7, "playback.x", "it is 'no' JSON", b"", "2023-11-14T22:13:20"),
        ("MEDIA_EVENTS", 8, "playback.x", "it is 'no' JSON", b'\0\xff{"', "2023-11-14T22:13:20"),
    ]


def test_nothing_happens_when_something_goes_wrong_in_the_middle(store: EventStore) -> None:
    store.add(plays(1), job="job", reached=b"1")
    spoilt = Poison("S", 2**63, "s", "r", b"", 0)  # larger than the column takes
    with pytest.raises(SinkError, match="does not fit"):
        store.add(plays(2, 3), job="job", reached=b"3", poison=[spoilt])
    assert (store.count(), store.reached("job")) == (1, b"1")
    assert store.add(plays(2, 3), job="job", reached=b"3") == Added(2, 0)
    assert (store.count(), store.reached("job")) == (3, b"3")


def test_a_signal_in_the_middle_is_heard_when_all_is_stored(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_keep", lambda *_: interrupts.ask(signal.SIGTERM))
    try:
        with pytest.raises(interrupts.Stopped):
            store.add(plays(1), job="job", reached=b"1", poison=[Poison("S", 1, "s", "r", b"", 0)])
    finally:
        interrupts.forget()
    assert (store.count(), store.reached("job")) == (1, b"1")


# Views.


def test_the_views_say_what_a_person_wants_first(store: EventStore, path: Path) -> None:
    show = {"media_type": "episode", "grandparent_title": "A Show", "play_duration": 1800}
    store.add(
        [
            played(1, title="Film", year=1999),
            played(2, title="Film", year=1999, user_id=7, friendly_name="Bob", play_duration=None),
            played(3, title="Film", year=2021),
            played(4, **show, started_at="2024-04-30T23:59:59Z"),
            played(5, **show, user_id=7, username="bob", started_at="2024-05-01T00:00:00Z"),
            played(6, media_type="track", play_duration=180),
            played(7, media_type="episode", grandparent_title=None),
        ]
    )
    store.close()
    seen = {name: rows(path, f"FROM {name}") for name in VIEWS}
    assert seen["plays_per_month"] == [
        ("2024-03", 3, 1, 1, 6.1),  # hours of what is known
        ("2024-04", 0, 1, 0, 0.5),
        ("2024-05", 0, 1, 0, 0.5),
    ]
    assert [(*row[:4], str(row[4])) for row in seen["top_shows"]] == [
        ("A Show", 2, 1.0, 2, "2024-05-01 00:00:00")
    ]
    assert [row[:5] for row in seen["top_films"]] == [
        ("Film", 1999, 2, 2.0, 2),
        ("Film", 2021, 1, 2.0, 1),
    ]
    assert [row[:6] for row in seen["plays_per_user"]] == [
        (42, "alice", 5, 2, 2, 1),
        (7, "bob", 2, 1, 1, 0),
    ]


def test_hours_round_half_up_to_a_tenth_in_every_version_of_duckdb(
    store: EventStore, path: Path
) -> None:
    seconds = [tie + near for tie in range(180, 72_000, 360) for near in (-1, 0, 1)]
    store.add(
        [
            played(number, title=f"{number:04}", play_duration=duration)
            for number, duration in enumerate(seconds)
        ]
    )
    store.close()
    found = rows(path, "SELECT hours, typeof(hours) FROM top_films ORDER BY title")
    assert found == [
        (float((Decimal(duration) / 3600).quantize(Decimal("0.1"), ROUND_HALF_UP)), "DOUBLE")
        for duration in seconds
    ]


def test_an_empty_file_has_empty_views(store: EventStore, path: Path) -> None:
    store.close()
    assert [rows(path, f"FROM {name}") for name in VIEWS] == [[]] * len(VIEWS)


# The file.


def test_older_versions_of_duckdb_can_read_a_new_file(store: EventStore, path: Path) -> None:
    store.add(plays(1))
    store.close()
    # The number of the format stands after the magic word; 64 is the one up to DuckDB 1.2.
    assert int.from_bytes(path.read_bytes()[12:20], "little") <= 65
    (tags,) = rows(path, "SELECT tags::VARCHAR FROM duckdb_databases() WHERE NOT internal")[0]
    assert "v1.2.0" in tags or "v1.0.0" in tags


def test_a_file_that_is_only_opened_stays_as_it_is(store: EventStore, path: Path) -> None:
    store.add(plays(1))
    store.close()
    before = path.stat().st_mtime_ns, path.read_bytes()
    with EventStore(path) as again:
        assert again.count() == 1
    assert (path.stat().st_mtime_ns, path.read_bytes()) == before


def test_nothing_else_is_left_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = {name: tmp_path / name for name in ("home", "tmp", "out's [x]*")}
    for place in places.values():
        place.mkdir()
    monkeypatch.setenv("HOME", str(places["home"]))
    monkeypatch.setattr(tempfile, "tempdir", str(places["tmp"]))
    path = places["out's [x]*"] / "new" / "it's.duckdb"
    with EventStore(path) as store:
        store.add(plays(1, 2))
        (private,) = places["tmp"].iterdir()
        assert {oct(one.stat().st_mode & 0o777) for one in (private, *private.iterdir())} == {
            "0o700",
            "0o600",
        }
    assert titles(path) == ["Film 1", "Film 2"]
    assert [one for one in tmp_path.rglob("*") if one.is_file()] == [path]
    assert list(places["tmp"].iterdir()) == []


def test_temporary_files_may_stand_in_an_odd_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "o'd [d]*"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    with EventStore(tmp_path / "events.duckdb") as store:
        assert store.add(plays(1, 2)) == Added(2, 0)


def test_without_a_place_for_temporary_files_it_says_so(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(path.parent / "missing"))
    with pytest.raises(SinkError, match="temporary files") as caught:
        EventStore(path)
    assert "TMPDIR" in caught.value.hint
    assert not path.exists()


def test_an_empty_file_is_none_yet(path: Path) -> None:
    path.touch()
    with EventStore(path, reads_only=True) as looking:
        assert looking.preview(plays(1)) == Added(1, 0)
    assert path.read_bytes() == b""
    with EventStore(path) as store:
        assert store.add(plays(1)) == Added(1, 0)


def test_a_duckdb_file_with_nothing_in_it_is_used(path: Path) -> None:
    duckdb.connect(str(path)).close()
    with EventStore(path, reads_only=True) as looking:
        assert looking.count() == 0
    with EventStore(path) as store:
        assert store.add(plays(1)) == Added(1, 0)


def test_a_symbolic_link_stays_one(tmp_path: Path, path: Path) -> None:
    path.symlink_to(tmp_path / "elsewhere.duckdb")
    with EventStore(path) as store:
        store.add(plays(1))
        assert store.path == path
    assert path.is_symlink()
    assert titles(tmp_path / "elsewhere.duckdb") == ["Film 1"]


# Files that are not ours.


@pytest.mark.parametrize("reads_only", [False, True])
@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("text", "another kind of file"),
        ("sqlite", "an SQLite database"),
        ("duckdb", "of another program"),
        ("log", "of another program"),
        ("newer", "newer version"),
        ("directory", "a directory"),
        ("pipe", "a pipe"),
        ("beneath a file", "Not a directory"),
        ("damaged", "cannot be read or written"),
        ("short", "cannot be read or written"),
    ],
)
def test_what_is_not_ours_is_refused_and_stays_as_it_is(
    tmp_path: Path, path: Path, *, kind: str, what: str, reads_only: bool
) -> None:
    _make(kind, path)
    path = path / "x.duckdb" if kind == "beneath a file" else path
    before = _content(tmp_path)
    with pytest.raises(SinkError, match=what) as caught:
        EventStore(path, reads_only=reads_only)
    assert str(path) in str(caught.value)
    assert "--out" in caught.value.hint
    assert _content(tmp_path) == before


def _make(kind: str, path: Path) -> None:
    if kind in ("text", "beneath a file"):
        path.write_text("a text\n" * 1000, encoding="utf-8")
    elif kind == "sqlite":
        with closing(sqlite3.connect(path)) as db:
            db.execute("CREATE TABLE playback_events (id)")
    elif kind == "duckdb":
        with closing(duckdb.connect(str(path))) as other:
            other.execute("CREATE TABLE playback_events (id UUID)").fetchall()
    elif kind == "log":  # another program's, and it was killed
        _python(DIES_WITH_A_LOG, path)
        assert Path(f"{path}.wal").exists()
    elif kind == "newer":
        EventStore(path).close()
        with closing(duckdb.connect(str(path))) as newer:
            newer.execute("UPDATE tautulli_import SET layout = 99").fetchall()
    elif kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        with EventStore(path) as store:
            store.add(plays(*range(100)))
        whole = path.read_bytes()
        path.write_bytes(whole[:6000] if kind == "short" else whole[:4096] + b"?" * 9000)


def _content(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_log_without_its_file_is_not_thrown_away(path: Path) -> None:
    """The file was moved after a crash, and what was added last stands in the log only."""
    log = Path(f"{path}.wal")
    log.write_bytes(b"something")
    with pytest.raises(SinkError, match="the file that it belongs to"):
        EventStore(path)
    assert (log.read_bytes(), path.exists()) == (b"something", False)


@pytest.mark.parametrize("reads_only", [False, True])
@pytest.mark.parametrize("name", [b"\xff.duckdb", b"what?/events.duckdb", b"what?.duckdb"])
def test_a_name_that_duckdb_does_not_take_is_an_error_of_ours(
    tmp_path: Path, *, name: bytes, reads_only: bool
) -> None:
    with pytest.raises(SinkError, match="DuckDB"):
        EventStore(tmp_path / os.fsdecode(name), reads_only=reads_only)
    assert list(tmp_path.iterdir()) == []


# Somebody else, and the end of the world.


HOLDS = """
import sys
from pathlib import Path
from tautulli_import.event_store.store import EventStore
with EventStore(Path(sys.argv[1])) as store:
    print("open", flush=True)
    sys.stdin.read()
"""
ADDS = """
import sys
from itertools import count
from pathlib import Path
from tautulli_import.event_store.store import EventStore
from tests.event_store.test_event_store import plays
store = EventStore(Path(sys.argv[1]))
for turn in count():
    store.add(plays(*range(turn * 50, turn * 50 + 50)), job="job", reached=b"%d" % (turn + 1))
    print(turn, flush=True)
"""
DIES_WITH_A_LOG = """
import duckdb, os, sys
db = duckdb.connect(sys.argv[1])
db.execute("CREATE TABLE t (a INT)").fetchall()
os.kill(os.getpid(), 9)
"""
DIES_WITHIN = """
import os, sys
from pathlib import Path
from tautulli_import.event_store.store import EventStore, Poison
from tests.event_store.test_event_store import plays
store = EventStore(Path(sys.argv[1]))
store.add(plays(1, 2), job="job", reached=b"2")
EventStore._keep = lambda *_: os.kill(os.getpid(), 9)
store.add(plays(3, 4), job="job", reached=b"4", poison=[Poison("S", 1, "s", "r", b"", 0)])
"""
FILLS = """
import subprocess, sys
from pathlib import Path
from tautulli_import.errors import SinkError
from tautulli_import.event_store.store import EventStore
from tests.event_store.test_event_store import plays

folder = Path(sys.argv[1])
path = folder / "events.duckdb"
for size in (4, 200, 350, 600):
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k", "none", folder], check=True)
    stored = 0
    try:
        with EventStore(path) as store:
            for turn in range(60):
                events = plays(*range(turn * 50, turn * 50 + 50))
                stored += store.add(events, job="job", reached=b"%d" % turn).stored
        print(size, "never full")
    except SinkError as error:
        assert "No space left" in str(error), error
        print(size, "full after", stored)
    if path.exists():
        for reads_only in (True, False):
            with EventStore(path, reads_only=reads_only) as store:
                assert store.count() == stored, (size, store.count(), stored)
                assert store.reached("job") == (b"%d" % (stored // 50 - 1) if stored else None)
        subprocess.run(["mount", "-o", "remount,size=64m", folder], check=True)
        with EventStore(path) as store:
            assert store.add(plays(*range(3000))).known == stored
            assert store.count() == 3000
    else:
        assert not list(folder.iterdir()), size
    subprocess.run(["umount", folder], check=True)
"""


def _command(code: str, *arguments: Path) -> list[str]:
    return [sys.executable, "-c", code, *map(str, arguments)]


def _python(code: str, *arguments: Path, prefix: Sequence[str] = ()) -> str:
    done = subprocess.run(
        [*prefix, *_command(code, *arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        check=False,
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("reads_only", [False, True])
def test_a_file_that_another_process_has_open_is_busy(path: Path, *, reads_only: bool) -> None:
    with subprocess.Popen(
        _command(HOLDS, path), stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    ) as other:
        assert other.stdout
        assert other.stdout.readline() == b"open\n"
        with pytest.raises(BusyError, match=rf"open in another program.*{other.pid}") as caught:
            EventStore(path, reads_only=reads_only)
        assert caught.value.hint
        other.communicate(b"")
    EventStore(path, reads_only=reads_only).close()


def test_a_file_that_this_process_has_open_is_busy(store: EventStore, path: Path) -> None:
    with pytest.raises(BusyError):
        EventStore(path, reads_only=True)
    assert store.add(plays(1)) == Added(1, 0)


def test_a_process_killed_between_commits_leaves_what_was_committed(path: Path) -> None:
    with subprocess.Popen(_command(ADDS, path), stdout=subprocess.PIPE, cwd=ROOT) as adding:
        assert adding.stdout
        lines = [adding.stdout.readline() for _ in range(5)]
        adding.kill()
        adding.communicate()
    assert lines[-1] == b"4\n"
    for reads_only in (True, False):
        with EventStore(path, reads_only=reads_only) as store:
            turns = int(store.reached("job") or b"")
            assert turns >= 5
            assert store.count() == turns * 50
    with EventStore(path) as store:
        assert store.add(plays(*range(turns * 50 + 1))) == Added(1, turns * 50)


def test_a_process_killed_within_a_transaction_leaves_nothing_of_it(path: Path) -> None:
    _python(DIES_WITHIN, path)
    with EventStore(path, reads_only=True) as store:
        assert (store.count(), store.reached("job")) == (2, b"2")
    with EventStore(path) as store:
        assert store.add(plays(3, 4), job="job", reached=b"4") == Added(2, 0)
    assert titles(path) == [f"Film {number}" for number in (1, 2, 3, 4)]


def test_on_a_disk_that_is_full_what_was_stored_stays_and_nothing_else(tmp_path: Path) -> None:
    """Needs a namespace to mount a file system in, as root or where users may have their own."""
    said = _python(FILLS, tmp_path, prefix=_unshare(tmp_path))
    assert "full after 0" in said
    assert any(int(line.split()[-1]) for line in said.splitlines() if "full after" in line), said


def _unshare(folder: Path) -> list[str]:
    program = shutil.which("unshare")
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)]
    for options in (["-m"], ["-r", "-m"]):
        with suppress(OSError, subprocess.CalledProcessError):
            command = [program or "", *options]
            subprocess.run([*command, *mount], capture_output=True, check=True)
            return command
    pytest.skip("nothing may be mounted here")


REFUSED = """
import sys
from pathlib import Path
from tautulli_import.errors import SinkError
from tautulli_import.event_store.store import EventStore
try:
    EventStore(Path(sys.argv[1]), reads_only=len(sys.argv) > 2)
except SinkError as error:
    print(error, "|", error.hint)
"""


def test_a_file_that_may_not_be_written_is_refused_but_can_be_previewed(
    tmp_path: Path, store: EventStore, path: Path
) -> None:
    store.add(plays(1))
    store.close()
    before = _content(tmp_path)
    path.chmod(0o444)
    tmp_path.chmod(0o555)
    try:
        assert "cannot be read or written" in _python(REFUSED, path, prefix=_bound())
        assert _python(REFUSED, path, Path("x"), prefix=_bound()) == ""
        assert "no permission to write" in _python(REFUSED, tmp_path / "new", prefix=_bound())
        path.chmod(0)
        assert "Permission denied" in _python(REFUSED, path, Path("x"), prefix=_bound())
    finally:
        path.chmod(0o644)
        tmp_path.chmod(0o755)
    assert _content(tmp_path) == before


def _bound() -> list[str]:
    """So that permissions bind it, even where the tests are run by root."""
    if os.geteuid():
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("root ignores permissions, and there is no setpriv to make it obey")
    rights = "-dac_override,-dac_read_search"
    return [setpriv, "--bounding-set", rights, "--inh-caps", rights]
