"""From a history over a NATS stream into a table: whatever comes twice is there once."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.event_pipeline import Pipeline, forgotten, generated
from tests.support.nats import api, count, make_stream
from tests.support.tautulli import FakeTautulli
from tests.support.waiting import until


@pytest.fixture
def tautulli(line: Pipeline) -> Iterator[FakeTautulli]:
    """Yield the Tautulli that has the history."""
    with FakeTautulli(line.path) as fake:
        yield fake


def over_http(fake: FakeTautulli) -> dict[str, str]:
    return fake.environment


# Twice.


def test_every_row_becomes_a_message_and_every_message_a_row(line: Pipeline) -> None:
    events = line.something_of_everything()
    done = line.publish()
    assert (done.new, done.duplicates, done.told["view"]) == (events, 0, "events")
    assert done.told["plays"] == {
        "read": events + 1,
        "filtered": {"media_type": 1},
        "rejected": {},
        "merged": 0,
        "emitted": events,
    }
    kinds = done.told["items"]
    assert (kinds["movies"], kinds["episodes"], kinds["tracks"]) == (5, 3, 1)
    consumed = line.consume()
    assert (consumed.told["stored"], consumed.known, consumed.told["poison"]) == (events, 0, 0)
    assert [one for one, *_ in line.rows()] == line.published
    assert line.ask("SELECT count(*) FROM playback_events WHERE percent_complete < 10") == [(1,)]


def test_an_import_that_is_repeated_publishes_nothing(line: Pipeline) -> None:
    line.films(20)
    line.publish()
    done = line.publish()
    assert (done.new, done.duplicates, done.carried) == (0, 0, 20)
    assert "Nothing new: 20 plays read" in done.said
    assert len(line.published) == 20


def test_an_import_from_the_beginning_is_known_to_the_stream(line: Pipeline) -> None:
    line.films(20)
    line.publish()
    done = line.publish("--restart")
    assert (done.new, done.duplicates, done.carried) == (0, 20, 0)
    assert line.consume().told["stored"] == 20
    assert len(line.rows()) == len(line.published) == 20
    assert line.consume().told["received"] == 0


def test_later_runs_publish_what_is_new_and_nothing_else(line: Pipeline) -> None:
    line.films(10)
    line.publish()
    assert line.publish().new == 0
    line.add("Newer")
    line.add("Newest", user_id=2)
    done = line.publish()
    assert (done.new, done.duplicates, done.carried) == (2, 0, 10)
    assert done.told["plays"]["read"] == 12
    assert done.told["plays"]["emitted"] == 12
    line.consume()
    assert [title for _, title, _ in line.rows()][-2:] == ["Newer", "Newest"]


def test_what_was_consumed_before_is_not_consumed_again(line: Pipeline) -> None:
    line.films(5)
    line.publish()
    line.consume()
    line.add("Newest")
    line.publish()
    done = line.consume()
    assert (done.told["received"], done.told["stored"], done.told["total"]) == (1, 1, 6)


def test_after_the_window_an_event_is_in_the_stream_twice_and_in_the_table_once(
    line: Pipeline,
) -> None:
    access = line.server.access()
    make_stream(access, subjects=["playback.>", "probe"], duplicate_window=2 * 10**9)
    line.films(10)
    line.publish()
    forgotten(line.server, "probe")
    done = line.publish("--restart")
    assert (done.new, done.duplicates) == (10, 0)
    [warning] = [one for one in done.told["warnings"] if "already" in one]
    assert "had 10 playback events of this source" in warning
    assert "for 2 seconds after" in warning
    assert Counter(Counter(line.published).values()) == {2: 10}
    consumed = line.consume()
    assert (consumed.told["received"], consumed.told["stored"]) == (20, 10)
    assert consumed.told["known"] == {"event_id": 10}
    assert len(line.rows()) == 10


def test_what_comes_again_to_another_process_is_known_to_the_table(line: Pipeline) -> None:
    line.films(10)
    line.publish()
    line.consume()
    done = line.consume("--durable", "another")
    assert done.told["known"] == {"table": 10}
    assert (done.told["stored"], done.told["total"]) == (0, 10)


# Two doors.


def test_the_same_plays_over_http_are_the_same_messages(
    line: Pipeline, tautulli: FakeTautulli
) -> None:
    events = line.something_of_everything()
    line.publish()
    done = line.imported("api", "--to", "nats", env=over_http(tautulli))
    assert (done.new, done.duplicates) == (0, events)
    assert len(line.published) == events
    line.consume()
    assert len(line.rows()) == events


def test_the_same_plays_over_http_are_the_same_rows(line: Pipeline, tautulli: FakeTautulli) -> None:
    events = line.something_of_everything()
    line.store()
    before = line.ask("FROM playback_events ORDER BY ALL")
    done = line.imported("api", "--to", "duckdb", env=over_http(tautulli))
    assert (done.new, done.duplicates) == (0, events)
    assert line.ask("FROM playback_events ORDER BY ALL") == before


def test_what_came_over_http_first_is_known_from_the_file(
    line: Pipeline, tautulli: FakeTautulli
) -> None:
    events = line.something_of_everything()
    line.imported("api", "--to", "duckdb", env=over_http(tautulli))
    line.add("Newest")
    line.publish()
    done = line.consume()
    assert (done.told["stored"], done.told["known"]) == (1, {"table": events})
    assert len(line.rows()) == events + 1


def test_two_servers_with_the_same_row_numbers_lose_nothing(line: Pipeline, tmp_path: Path) -> None:
    """The other server's rows have the same ids, but were begun at other moments."""
    other = generated(tmp_path, 300)
    line.films(300)
    line.publish()
    line.imported("db", other, "--to", "nats")
    done = line.consume()
    assert (done.told["stored"], done.known) == (600, 0)


@pytest.mark.parametrize("options", [(), ("--server-id", "second")], ids=["plain", "named"])
def test_two_servers_into_one_table_lose_nothing(
    line: Pipeline, tmp_path: Path, options: tuple[str, ...]
) -> None:
    other = generated(tmp_path, 300)
    line.films(300)
    line.store()
    done = line.imported("db", other, "--to", "duckdb", *options)
    assert (done.new, done.duplicates) == (300, 0)
    server = "second" if options else "default"
    query = f"SELECT count(*) FROM playback_events WHERE correlation_key LIKE '%:{server}:%'"  # noqa: S608
    assert line.ask(query) == [(300 if options else 600,)]
    assert line.ask("SELECT count(*) FROM playback_events") == [(600,)]


def test_rows_without_a_rating_key_are_all_there(line: Pipeline) -> None:
    """Where a column of a unique key is NULL, rows must not swallow each other."""
    for number in range(12):
        line.add(f"Film {number % 3}", rating_key="", started=1_700_000_000 + number % 2)
    assert line.store().new == 12
    assert line.store("--restart").duplicates == 12
    line.publish()
    assert line.consume("--out", "other.duckdb").told["stored"] == 12
    assert line.rows("other.duckdb") == line.rows()
    assert line.ask("SELECT DISTINCT rating_key FROM playback_events") == [(None,)]


def test_two_rows_that_the_keys_of_the_table_hold_for_one_are_not_left_out_in_silence(
    line: Pipeline,
) -> None:
    """The same rating key, user and second: the seed's third unique key."""
    for title in ("A Film", "The Same Film"):
        line.add(title, rating_key=77, started=1_700_000_000)
    done = line.store()
    assert (done.new, done.duplicates) == (1, 1)
    (warning,) = done.told["warnings"]
    assert warning.startswith("1 event left out, because the table has other events with the same")
    line.publish()
    consumed = line.consume("--out", "other.duckdb")
    assert (consumed.told["stored"], consumed.told["known"]) == (1, {"another_event": 1})
    again = line.consume("--durable", "again", "--out", "other.duckdb")
    assert again.told["known"] == {"another_event": 1, "table": 1}


# Another stream.


GONE = "The stream MEDIA_EVENTS has"


def test_a_stream_that_was_purged_is_told_until_it_has_all_again(line: Pipeline) -> None:
    make_stream(line.server.access(), duplicate_window=100_000_000)
    line.films(3)
    line.publish()
    assert GONE not in line.publish().said
    api(line.server.access(), "STREAM.PURGE.MEDIA_EVENTS")
    for _ in range(2):
        done = line.publish()
        assert f"{GONE} none of the 3 events that earlier runs published." in done.said
        assert (
            "To publish all again, add --restart, at least 0.1 seconds after the last run."
            in done.said
        )
        assert done.new == 0
    forgotten(line.server, "playback.test.movie")
    api(line.server.access(), "STREAM.PURGE.MEDIA_EVENTS")
    done = line.publish("--restart")
    assert (done.new, GONE in done.said) == (3, False)
    assert GONE not in line.publish().said


def test_a_purge_is_told_also_when_there_are_new_plays(line: Pipeline) -> None:
    line.films(3)
    line.publish()
    api(line.server.access(), "STREAM.PURGE.MEDIA_EVENTS")
    line.add("New")
    said = line.run("db", line.path, "--to", "nats", "--dry-run").err
    assert f"{GONE} none of the 3 events" in said
    done = line.publish()
    assert (done.new, f"{GONE} none of the 3 events" in done.said) == (1, True)


@pytest.mark.parametrize("limit", [{"max_msgs": 7}, {"max_age": 100_000_000}])
def test_events_that_a_limit_removed_are_told_once_while_some_are_left(
    line: Pipeline, limit: dict[str, int]
) -> None:
    access = line.server.access()
    make_stream(access, duplicate_window=100_000_000, **limit)
    line.films(10)
    line.publish()
    left = "at most 7" if "max_msgs" in limit else "none"
    if left == "none":
        until(lambda: count(access) == 0)
    done = line.publish()
    assert f"{GONE} {left} of the 10 events that earlier runs published." in done.said
    assert (GONE in line.publish().said) is (left == "none")


def test_events_that_consumers_have_read_are_not_missing(line: Pipeline) -> None:
    make_stream(line.server.access(), retention="workqueue")
    line.films(3)
    line.publish()
    line.consume()
    assert count(line.server.access()) == 0
    assert GONE not in line.publish().said


def test_what_is_delivered_again_and_known_is_told(line: Pipeline) -> None:
    line.films(3)
    line.publish()
    assert "3 events delivered again and already known there." in line.publish("--restart").said


def test_a_stream_that_was_made_anew_gets_everything_and_that_is_said(line: Pipeline) -> None:
    line.films(10)
    line.publish()
    api(line.server.access(), "STREAM.DELETE.MEDIA_EVENTS")
    done = line.publish()
    assert (done.new, done.carried) == (10, 0)
    [why] = done.again
    assert why in done.said
    assert len(line.published) == 10
    assert line.publish().carried == 10


def test_a_stream_of_another_name_has_a_checkpoint_of_its_own(line: Pipeline) -> None:
    line.films(10)
    line.publish()
    others = {"name": "MEDIA_EVENTS", "subjects": ["plex.>"]}
    assert "error" not in api(line.server.access(), "STREAM.UPDATE.MEDIA_EVENTS", others)
    make_stream(line.server.access(stream="SECOND"))
    done = line.publish("--nats-stream", "SECOND")
    assert (done.new, done.carried, done.again) == (10, 0, [])
    assert count(line.server.access(stream="SECOND")) == 10
    assert line.publish("--nats-stream", "SECOND").carried == 10


def test_a_stream_that_is_there_is_not_altered(line: Pipeline) -> None:
    access = line.server.access()
    make_stream(access, max_age=60 * 10**9, duplicate_window=3 * 10**9, max_msgs=7)
    before = api(access, "STREAM.INFO.MEDIA_EVENTS")["config"]
    line.films(10)
    line.publish()
    line.consume()
    assert api(access, "STREAM.INFO.MEDIA_EVENTS")["config"] == before
    assert count(access) == 7


def test_other_plays_under_old_numbers_are_delivered_too(line: Pipeline) -> None:
    """As after a backup was put back, and other films were watched since."""
    line.films(10)
    line.publish()
    with closing(sqlite3.connect(line.path)) as conn, conn:
        conn.execute("UPDATE session_history SET started = started + 7 WHERE id > 8")
    done = line.publish()
    assert (done.new, done.duplicates, len(done.again)) == (2, 8, 1)
    line.consume()
    assert line.ask("SELECT count(*) FROM playback_events") == [(12,)]


# What consumers refuse.


def test_what_no_consumer_takes_is_rejected_with_its_reason(line: Pipeline) -> None:
    line.films(3)
    local = line.add("By Nobody", user_id=0)
    untitled = line.add("")
    assert "user 0 (Local)" in line.run("db", line.path, "--to", "nats", "-v").err
    done = line.publish("--restart", "--report", "report.json")
    assert (done.new, done.duplicates) == (0, 3)
    assert done.told["plays"]["rejected"] == {"no_title": 1, "local_user": 1}
    told = json.loads((line.folder / "report.json").read_bytes())
    found = {(row["id"], row["reason"]) for row in told["rejected_rows"]}
    assert found == {(local, "local_user"), (untitled, "no_title")}
    again = line.publish("--report", "report.json")
    assert again.told["plays"] == done.told["plays"]
    assert (
        json.loads((line.folder / "report.json").read_bytes())["rejected_rows"]
        == (told["rejected_rows"])
    )
    assert line.run("db", line.path, "--to", "nats", "--strict").code == 9


def test_the_table_takes_them(line: Pipeline) -> None:
    line.add("By Nobody", user_id=0)
    line.add("", user_id=2)
    done = line.store()
    assert done.told["plays"]["rejected"] == {}
    assert [(title, user) for _, title, user in line.rows()] == [("By Nobody", 0), ("", 2)]


# Much of it.


@pytest.mark.parametrize("events", [5_000, pytest.param(50_000, marks=pytest.mark.fuzz)])
def test_as_many_events_are_as_many_rows(line: Pipeline, tmp_path: Path, events: int) -> None:
    path = generated(tmp_path, events)
    done = line.imported("db", path, "--to", "nats")
    assert (done.new, done.duplicates) == (events, 0)
    first = line.consume()
    assert (first.told["received"], first.told["stored"]) == (events, events)
    done = line.imported("db", path, "--to", "nats", "--restart")
    assert done.new + done.duplicates == events
    second = line.consume()
    assert (second.told["received"], second.told["stored"]) == (done.new, 0)
    assert second.told["total"] == len(line.rows()) == events
