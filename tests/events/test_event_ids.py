"""EventID, CorrelationKey and the whole message, to the byte: other programs compute them too."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Final
from uuid import RFC_4122, UUID

import pytest
from hypothesis import example, given, settings, strategies as st

from tautulli_import.model.clock import watched_at
from tautulli_import.model.keys import correlation_key, event_id, session_key
from tests.conftest import Cli
from tests.support.history import add_play, add_user, create
from tests.support.history.schema import Value

SESSIONS: Final = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
MOMENTS: Final = st.integers(1, 253_402_300_799)
USERS: Final = st.integers(-(2**63), 2**63 - 1)
#: Any character at all, halves of characters too: what a broken server can send.
TITLES: Final = st.text(st.characters(exclude_categories=[]), max_size=40)
PARTS: Final = st.text("abcXYZ019-_.", max_size=12)


# What was agreed on.


@pytest.mark.parametrize(
    ("session", "started", "user", "expected"),
    [
        ("session-abc", 1705312800, 42, "16ff0ef2-c696-5497-97af-c9a6d6465fd5"),
        ("tautulli-12345", 1700000000, 133788, "c5443cc4-8df2-5082-b3d6-cb5bd2c49847"),
        ("", 1609459200, 0, "eccb4228-a2e2-5260-b6ce-243caae033ca"),
    ],
)
def test_the_event_id_is_the_one_of_the_specification(
    session: str, started: int, user: int, expected: str
) -> None:
    assert event_id(session, started, user) == expected


@pytest.mark.parametrize(
    ("user", "rating_key", "title", "machine", "started", "session", "expected"),
    [
        (42, "12345", "", "device123", 1705312800, "session-abc",
         "tautulli-import:default:42:12345:device123:2024-01-15T10:00:00:session-abc"),
        (133788, "", "Amélie: Le Film", "device-9", 1700000000, "tautulli-12345",
         "tautulli-import:default:133788:851d161f843ed623:device-9:2023-11-14T22:13:20:tautulli-12345"),
        (7, "", "Pilot", "", 1609459200, "",
         "tautulli-import:default:7:383e2d946278a872:unknown:2021-01-01T00:00:00:unknown"),
    ],
)  # fmt: skip
def test_the_correlation_key_is_the_one_of_the_specification(  # noqa: PLR0917 - its parts
    user: int, rating_key: str, title: str, machine: str, started: int, session: str, expected: str
) -> None:
    source, server = "tautulli-import", ""
    moment = watched_at(started)
    found = correlation_key(source, server, user, rating_key, title, machine, moment, session)
    assert found == expected


def test_the_session_is_the_row_and_never_the_group_of_rows() -> None:
    assert session_key(12345) == "tautulli-12345"


# Whatever is in a row.


@settings(deadline=None)
@given(SESSIONS, MOMENTS, USERS)
def test_the_event_id_is_a_uuid_of_version_5_made_of_the_digest(
    session: str, started: int, user: int
) -> None:
    found = event_id(session, started, user)
    as_uuid = UUID(found)
    assert (as_uuid.version, as_uuid.variant, str(as_uuid)) == (5, RFC_4122, found)
    assert event_id(session, started, user) == found
    digest = bytearray(sha256(f"tautulli-import:{session}:{started}:{user}".encode()).digest()[:16])
    digest[6] = (digest[6] & 0x0F) | 0x50
    digest[8] = (digest[8] & 0x3F) | 0x80
    assert as_uuid.bytes == bytes(digest)


@settings(deadline=None)
@given(SESSIONS, MOMENTS, USERS, SESSIONS, MOMENTS, USERS)
def test_another_play_has_another_event_id(  # noqa: PLR0917 - two plays
    session: str, started: int, user: int, session2: str, started2: int, user2: int
) -> None:
    one, other = (session, started, user), (session2, started2, user2)
    written = ["{}:{}:{}".format(*play) for play in (one, other)]
    assert (event_id(*one) == event_id(*other)) == (written[0] == written[1])


@settings(deadline=None)
@given(TITLES, PARTS, PARTS, MOMENTS, USERS)
@example("\ud83e half", "m", "", 1, 0)
def test_the_correlation_key_takes_any_title(
    title: str, machine: str, server: str, started: int, user: int
) -> None:
    def key(rating_key: str, title: str) -> str:
        moment = watched_at(started)
        return correlation_key("source", server, user, rating_key, title, machine, moment, "s-1")

    moment = watched_at(started).removesuffix("Z")
    end = f"{machine or 'unknown'}:{moment}:s-1"
    hashed = sha256(title.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    assert key("", title) == f"source:{server or 'default'}:{user}:{hashed}:{end}"
    assert key("", title) == key("", title)
    assert key("17", title) == f"source:{server or 'default'}:{user}:17:{end}"
    key("", title).encode("ascii")  # whatever the title: any consumer can have it


# The whole message.

ROW: Final[Mapping[str, Value]] = {
    "id": 12345,
    "reference_id": 12300,
    "started": 1700000000,
    "stopped": 1700002805,
    "paused_counter": 12,
    "user_id": 133788,
    "user": "alice",
    "media_type": "episode",
    "title": "Pilot",
    "parent_title": "Season 1",
    "grandparent_title": "Some Show",
    "rating_key": 54321,
    "year": 2019,
    "duration": 2_880_000,
    "view_offset": 2_822_400,
    "platform": "Roku",
    "platform_version": "12.5",
    "player": "Living Room",
    "product": "Plex for Roku",
    "product_version": "7.9.1",
    "machine_id": "abc123def",
    "ip_address": "203.0.113.9",
    "location": "wan",
    "transcode_decision": "direct play",
    "video_resolution": "1080",
    "video_codec": "h264",
    "video_dynamic_range": "SDR",
    "audio_codec": "eac3",
    "audio_channels": 6,
    "stream_bitrate": 8000,
    "bandwidth": 9000,
    "secure": 1,
}
MESSAGE: Final = (
    '{"schema_version":1,"event_id":"c5443cc4-8df2-5082-b3d6-cb5bd2c49847",'
    '"session_key":"tautulli-12345",'
    '"correlation_key":"tautulli-import:default:133788:54321:abc123def:2023-11-14T22:13:20:'
    'tautulli-12345",'
    '"source":"tautulli-import","timestamp":"2023-11-14T23:00:05Z","user_id":133788,'
    '"username":"alice","friendly_name":"Alice A",'
    '"media_type":"episode","title":"Pilot","parent_title":"Season 1",'
    '"grandparent_title":"Some Show","rating_key":"54321","year":2019,'
    '"media_duration":2880,"started_at":"2023-11-14T22:13:20Z","stopped_at":"2023-11-14T23:00:05Z",'
    '"percent_complete":98,'
    '"play_duration":2793,"paused_counter":12,"platform":"Roku","platform_version":"12.5",'
    '"player":"Living Room","product":"Plex for Roku",'
    '"product_version":"7.9.1","machine_id":"abc123def","ip_address":"203.0.113.9",'
    '"location_type":"wan","transcode_decision":"direct play",'
    '"video_resolution":"1080","video_codec":"h264","video_dynamic_range":"SDR",'
    '"audio_codec":"eac3","audio_channels":6,'
    '"stream_bitrate":8000,"bandwidth":9000,"secure":true}\n'
)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Return a database with the row of the specification, and nothing else."""
    path = tmp_path / "tautulli.db"
    with closing(create(path)) as conn:
        add_user(conn, 133788, "alice", "Alice A")
        add_play(conn, **ROW)
    return path


@pytest.mark.parametrize("options", [("--dry-run",), ("--to", "jsonl")])
def test_the_message_is_the_one_of_the_specification_byte_for_byte(
    cli: Cli, database: Path, options: tuple[str, ...]
) -> None:
    done = cli("db", database, "--events", *options)
    assert (done.code, done.out) == (0, MESSAGE), done.err


def test_the_file_is_made_of_the_same_bytes(cli: Cli, database: Path, tmp_path: Path) -> None:
    out = tmp_path / "events.jsonl"
    done = cli("db", database, "--to", "jsonl", "--events", "--out", out)
    assert done.code == 0, done.err
    assert out.read_bytes() == MESSAGE.encode()


def test_a_server_id_stands_in_the_message_and_in_the_key_and_not_in_the_event_id(
    cli: Cli, database: Path
) -> None:
    done = cli("db", database, "--events", "--dry-run", "--server-id", "attic")
    expected = MESSAGE.replace(":default:", ":attic:").replace(
        '"source":"tautulli-import",', '"source":"tautulli-import","server_id":"attic",'
    )
    assert done.out == expected


def test_another_source_stands_in_the_message_and_in_the_key_and_not_in_the_event_id(
    cli: Cli, database: Path
) -> None:
    done = cli("db", database, "--events", "--dry-run", "--event-source", "my_home-1")
    assert done.out == MESSAGE.replace("tautulli-import", "my_home-1")
    assert json.loads(done.out)["event_id"] == json.loads(MESSAGE)["event_id"]
