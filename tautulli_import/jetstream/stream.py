"""Inspect the stream for playback events, and create it if it is absent. Never change it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct, field

from ..errors import SinkError
from .access import check_name
from .connection import ApiError, Connection

__all__ = ["SUBJECTS", "StreamState", "ensure_stream", "look_at_stream"]

SUBJECTS: Final = ("playback.>", "plex.>", "jellyfin.>", "tautulli.>")

_NS: Final = 1_000_000_000
_MAX_BYTES: Final = 10 * 1024**3
# Error numbers of JetStream.
_NO_STREAM: Final = 10059
_OTHER_CONFIGURATION: Final = 10058
_OVERLAP: Final = 10065
_NO_ROOM: Final = frozenset({10002, 10023, 10047})
_MUST_SAY_SIZE: Final = frozenset({10113, 10122})


class _Config(Struct, frozen=True):
    subjects: tuple[str, ...] | None = ()
    duplicate_window: int = 0
    max_msg_size: int = -1
    retention: str = "limits"
    sealed: bool = False
    no_ack: bool = False
    mirror: object = None
    sources: object = None


class _State(Struct, frozen=True):
    messages: int = 0
    first_seq: int = 0
    last_seq: int = 0
    subjects: Mapping[str, int] | None = None


class _Info(Struct, frozen=True):
    config: _Config
    created: str
    state: _State = _State()


class _Names(Struct, frozen=True):
    streams: tuple[str, ...] | None = ()


class _Limits(Struct, frozen=True):
    max_storage: int = -1


class _Account(Struct, frozen=True):
    storage: int = 0
    limits: _Limits = field(default_factory=_Limits)


class StreamState(Struct, frozen=True):
    """The settings and the contents of a stream at one moment."""

    name: str
    created: str
    """Its creation time, in the server's format. It tells apart streams of one name."""
    subjects: tuple[str, ...]
    duplicate_window: float
    """Seconds for which the server recognises a message id."""
    max_msg_size: int
    """The limit for a message in bytes, headers included; -1 for the server's own limit."""
    messages: int
    first: int
    """The sequence number of its first message. Of an empty stream it is that of the next one."""
    last: int
    """The sequence number of its last message, also if that was removed; 0 if there was none."""
    removes_read: bool
    """It removes messages that consumers have acknowledged, so that missing ones prove nothing."""
    by_source: Mapping[str, int]
    """The number of playback events of each source."""
    is_copy: bool
    """It also takes messages from other streams, under their subjects."""

    def takes(self, subject: str) -> bool:
        """Return whether messages of a subject, or of a pattern's subjects, get into it."""
        return any(_overlap(pattern, subject) for pattern in self.subjects)


def look_at_stream(connection: Connection) -> StreamState | None:
    """Return the present state of the stream in ``connection.access``; ``None`` if absent.

    Raises:
        ConfigurationError: the stream's name is not valid.
        TautulliImportError: the server does not answer, or refuses to.
    """
    return _state_of(connection.access.stream, connection.run(_info(connection)))


def ensure_stream(connection: Connection, *, create: bool = True) -> StreamState | None:
    """Check that playback events can be published to the stream, and return its state.

    With ``create``, create the stream if it is absent. Without, return ``None`` then.

    Raises:
        ConfigurationError: the stream's name is not valid.
        SinkError: the stream cannot take playback events, or cannot be created.
        TautulliImportError: the server does not answer, or refuses to.
    """
    return connection.run(_ensured(connection, create=create))


async def _ensured(connection: Connection, *, create: bool) -> StreamState | None:
    name = connection.access.stream
    found = await _info(connection)
    if found is None:
        await _check_others(connection, name)
        if not create:
            return None
        found = await _made(connection, name)
    _check(name, found)
    return _state_of(name, found)


async def _info(connection: Connection) -> _Info | None:
    name = connection.access.stream
    check_name(name, "a stream", "--nats-stream")
    try:
        return await connection.api(f"STREAM.INFO.{name}", {"subjects_filter": "playback.>"}, _Info)
    except ApiError as error:
        if error.number == _NO_STREAM:
            return None
        raise


async def _made(connection: Connection, name: str) -> _Info:
    wanted: dict[str, Any] = {
        "name": name,
        "subjects": SUBJECTS,
        "retention": "limits",
        "storage": "file",
        "discard": "old",
        "max_age": 7 * 86_400 * _NS,
        "max_bytes": _MAX_BYTES,
        "duplicate_window": 120 * _NS,
        "num_replicas": 1,
        "max_consumers": -1,
        "max_msgs": -1,
        "max_msgs_per_subject": -1,
        "max_msg_size": -1,
    }
    try:
        return await connection.api(f"STREAM.CREATE.{name}", wanted, _Info)
    except ApiError as error:
        if error.number == _OTHER_CONFIGURATION:  # another program created it just now
            found = await _info(connection)
            if found is not None:
                return found
        if error.number == _OVERLAP:
            await _check_others(connection, name)
        hint = f"Create it yourself, or ask the server's administrator: {_command(name)}"
        said = error.said
        if error.number in _NO_ROOM:
            said += await _room(connection)
            hint = (
                "Give JetStream more room (max_file_store, or the account's limit). Or create a "
                f"smaller stream yourself: {_command(name)}"
            )
        elif error.number in _MUST_SAY_SIZE:
            hint = f"Create the stream yourself, within the account's limits: {_command(name)}"
        raise SinkError(
            f"NATS at {connection.access.shown} did not create the stream {name} with room for "
            f"{_MAX_BYTES // 1024**3} GiB: {said}.",
            hint=hint,
        ) from error


async def _room(connection: Connection) -> str:
    """Return the account's limit in brackets, for a message; nothing where there is none."""
    try:
        account = await connection.api("INFO", None, _Account)
    except ApiError:
        return ""
    most = account.limits.max_storage
    if most < 0:
        return ""
    return f" (this account may store {most / 1024**3:.1f} GiB and uses {account.storage:,} bytes)"


async def _check_others(connection: Connection, name: str) -> None:
    """Check that no other stream has our subjects. JetStream allows only one to have them.

    Raises:
        SinkError: another stream has one of them.
    """
    for subject in SUBJECTS:
        names = await connection.api("STREAM.NAMES", {"subject": subject}, _Names)
        others = sorted(set(names.streams or ()) - {name})
        if others:
            theirs = ", ".join(others)
            raise SinkError(
                f"The stream {name} at {connection.access.shown} does not exist and cannot be "
                f"created, because {theirs} has subjects that overlap with {subject}.",
                hint=f"Publish to that stream: --nats-stream {others[0]}",
            )


def _check(name: str, info: _Info) -> None:
    config = info.config
    subjects = config.subjects or ()
    if config.mirror is not None:
        raise SinkError(
            f"The stream {name} is a mirror of another stream, so nothing can be published to it.",
            hint="Publish to the stream that it mirrors: --nats-stream NAME",
        )
    if not any(one.partition(".")[0] in ("playback", "*", ">") for one in subjects):
        raise SinkError(
            f"The stream {name} does not take playback events: its subjects are "
            f"{', '.join(subjects) or 'none'}.",
            hint="Use another stream with --nats-stream NAME (it is created if absent). Or add "
            f"playback.> to its subjects: nats stream edit {name}",
        )
    if config.sealed:
        raise SinkError(
            f"The stream {name} is sealed, so nothing can be added to it.",
            hint="Use another stream: --nats-stream NAME",
        )
    if config.no_ack:
        raise SinkError(
            f"The stream {name} does not acknowledge messages (no_ack).",
            hint="Use another stream with --nats-stream NAME, or switch no_ack off.",
        )


def _state_of(name: str, info: _Info | None) -> StreamState | None:
    if info is None:
        return None
    by_source: dict[str, int] = {}
    for subject, count in (info.state.subjects or {}).items():
        source = subject.split(".")[1]
        by_source[source] = by_source.get(source, 0) + count
    return StreamState(
        name=name,
        created=info.created,
        subjects=info.config.subjects or (),
        duplicate_window=info.config.duplicate_window / _NS,
        max_msg_size=info.config.max_msg_size,
        messages=info.state.messages,
        first=info.state.first_seq,
        last=info.state.last_seq,
        removes_read=info.config.retention != "limits",
        by_source=by_source,
        is_copy=bool(info.config.mirror or info.config.sources),
    )


def _overlap(one: str, other: str) -> bool:
    """Return whether there is a subject that both patterns match."""
    for mine, theirs in zip(one.split("."), other.split("."), strict=False):
        if ">" in (mine, theirs):
            return True
        if mine != theirs and "*" not in (mine, theirs):
            return False
    return one.count(".") == other.count(".")


def _command(name: str) -> str:
    return (
        f'nats stream add {name} --subjects "{",".join(SUBJECTS)}" --max-age 7d --dupe-window 2m '
        "--max-bytes 1GB --defaults"
    )
