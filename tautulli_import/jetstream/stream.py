"""The stream that playback events go into: looked at, made when absent, never altered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct, field

from ..errors import ConfigurationError, SinkError
from .access import NAME
from .connection import ApiError, Connection

__all__ = ["SUBJECTS", "StreamState", "ensure_stream", "look_at_stream"]

SUBJECTS: Final = ("playback.>", "plex.>", "jellyfin.>", "tautulli.>")

_NS: Final = 1_000_000_000
_MAX_BYTES: Final = 10 * 1024**3
# JetStream's numbers of its errors.
_NO_STREAM: Final = 10059
_OTHER_CONFIGURATION: Final = 10058
_OVERLAP: Final = 10065
_NO_ROOM: Final = frozenset({10002, 10023, 10047})
_MUST_SAY_SIZE: Final = frozenset({10113, 10122})


class _Config(Struct, frozen=True):
    subjects: tuple[str, ...] | None = ()
    duplicate_window: int = 0
    max_msg_size: int = -1
    sealed: bool = False
    no_ack: bool = False
    mirror: object = None
    sources: object = None


class _State(Struct, frozen=True):
    messages: int = 0
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
    """What a stream is, and has, when it is looked at."""

    name: str
    created: str
    """When it was made, as the server writes it; another stream of that name has another."""
    subjects: tuple[str, ...]
    duplicate_window: float
    """Seconds for which the server knows a message again."""
    max_msg_size: int
    """The most bytes of a message, its headers included; -1: as many as the server takes."""
    messages: int
    by_source: Mapping[str, int]
    """How many playback events it has, by their source."""
    is_copy: bool
    """Whether it also takes messages from other streams, under their subjects."""

    def takes(self, subject: str) -> bool:
        """Return whether messages of a subject, or of a pattern's subjects, get into it."""
        return any(_overlap(pattern, subject) for pattern in self.subjects)


def look_at_stream(connection: Connection) -> StreamState | None:
    """The stream that ``access`` names, as it is now; ``None`` where there is none.

    Raises:
        ConfigurationError: it is no name of a stream.
        TautulliImportError: the server does not tell.
    """
    return _state_of(connection.access.stream, connection.run(_info(connection)))


def ensure_stream(connection: Connection, *, create: bool = True) -> StreamState | None:
    """The stream that ``access`` names, fit to be published to; made when absent.

    Without ``create`` nothing is made, and what is absent is ``None``.

    Raises:
        ConfigurationError: it is no name of a stream.
        SinkError: it is not fit for playback events, or cannot be made.
        TautulliImportError: the server does not tell.
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
    if not NAME.fullmatch(name):
        raise ConfigurationError(
            f"{name!r} cannot be the name of a stream.",
            hint="Use --nats-stream with a name that has no spaces, dots, slashes, * or > in it.",
        )
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
        if error.number == _OTHER_CONFIGURATION:  # somebody has made it meanwhile
            found = await _info(connection)
            if found is not None:
                return found
        if error.number == _OVERLAP:
            await _check_others(connection, name)
        hint = f"Make it yourself, or ask who runs the server to: {_command(name)}"
        said = error.said
        if error.number in _NO_ROOM:
            said += await _room(connection)
            hint = (
                "Give JetStream more room (max_file_store, or the account's limit), or make the "
                f"stream yourself, smaller; it is used as it is: {_command(name)}"
            )
        elif error.number in _MUST_SAY_SIZE:
            hint = f"Make the stream yourself, as the account wants it: {_command(name)}"
        raise SinkError(
            f"NATS at {connection.access.shown} did not create the stream {name}, of "
            f"{_MAX_BYTES // 1024**3} GiB at most: {said}.",
            hint=hint,
        ) from error


async def _room(connection: Connection) -> str:
    """How much the account may store, where that is limited."""
    try:
        account = await connection.api("INFO", None, _Account)
    except ApiError:
        return ""
    most = account.limits.max_storage
    if most < 0:
        return ""
    return f" (this account may store {most / 1024**3:.1f} GiB, and stores {account.storage} bytes)"


async def _check_others(connection: Connection, name: str) -> None:
    """See that no other stream has our subjects: then ours cannot be made."""
    for subject in SUBJECTS:
        names = await connection.api("STREAM.NAMES", {"subject": subject}, _Names)
        others = sorted(set(names.streams or ()) - {name})
        if others:
            theirs = ", ".join(others)
            raise SinkError(
                f"There is no stream {name} at {connection.access.shown}, and it cannot be "
                f"created: the subject {subject} is, in part at least, that of {theirs}.",
                hint=f"Publish to that one: --nats-stream {others[0]}",
            )


def _check(name: str, info: _Info) -> None:
    config = info.config
    subjects = config.subjects or ()
    if config.mirror is not None:
        raise SinkError(
            f"The stream {name} is a mirror of another: nothing can be published to it.",
            hint="Publish to the one that it mirrors: --nats-stream NAME",
        )
    if not any(one.partition(".")[0] in ("playback", "*", ">") for one in subjects):
        raise SinkError(
            f"The stream {name} does not take playback events: its subjects are "
            f"{', '.join(subjects) or 'none'}.",
            hint="Name another one, which is created when absent: --nats-stream NAME. Or add "
            "playback.> to its subjects.",
        )
    if config.sealed:
        raise SinkError(
            f"The stream {name} is sealed: nothing can be added to it any more.",
            hint="Name another one, or remove it: --nats-stream NAME",
        )
    if config.no_ack:
        raise SinkError(
            f"The stream {name} does not acknowledge what it stores (no_ack).",
            hint="Let it acknowledge, or name another one: --nats-stream NAME",
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
