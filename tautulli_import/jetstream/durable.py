"""Create a durable pull consumer of a stream, or check the one that is there."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from ..errors import ConfigurationError
from .connection import ApiError, Connection
from .stream import StreamState

__all__ = [
    "NO_CONSUMER",
    "NO_STREAM",
    "DurableConfig",
    "DurableInfo",
    "durable_info",
    "ensure_durable",
]

_NS: Final = 1_000_000_000
_MAX_ACK_PENDING: Final = 20_000
_SUBJECT: Final = "playback.>"
# Error numbers of JetStream.
NO_CONSUMER: Final = 10014
NO_STREAM: Final = 10059
_TAKEN: Final = frozenset({10012, 10013, 10105, 10148})
# nats-server 2.9 says so itself, and also where only some of the subjects are taken. 2.10 and newer
# make a consumer that never gets anything.
_NO_SUBSET: Final = frozenset({10093, 10138})


class DurableConfig(Struct, frozen=True):
    """The settings of a consumer."""

    deliver_subject: str = ""
    ack_policy: str = ""
    filter_subject: str = ""
    filter_subjects: tuple[str, ...] | None = ()
    max_batch: int = 0
    max_expires: int = 0


class DurableInfo(Struct, frozen=True):
    """The settings of a consumer, and the numbers of its messages."""

    config: DurableConfig = DurableConfig()
    num_pending: int = 0
    num_ack_pending: int = 0


async def ensure_durable(
    connection: Connection, name: str, stream: StreamState, ack_wait: float
) -> DurableInfo:
    """Return the consumer of a name. Create it if it is absent.

    ``ack_wait``: seconds until an unacknowledged message is delivered again.

    Raises:
        ConfigurationError: it is of another kind, or the stream does not take playback events.
        TautulliImportError: see ``Connection.api``.
    """
    try:
        info = await durable_info(connection, name)
    except ApiError as error:
        if error.number != NO_CONSUMER:
            raise
        if not stream.is_copy and not stream.takes(_SUBJECT):
            raise _nothing_to_consume(stream.name) from None
        info = await _made(connection, name, ack_wait)
    _check(name, stream.name, info.config)
    return info


async def durable_info(connection: Connection, name: str) -> DurableInfo:
    """Ask about a consumer.

    Raises:
        ApiError: there is none.
    """
    name = f"{connection.access.stream}.{name}"
    info = await connection.api(f"CONSUMER.INFO.{name}", None, DurableInfo)
    if not info.config.ack_policy:  # nats-server answers so while it deletes the consumer
        raise ApiError(name, number=NO_CONSUMER, said="it is being deleted")
    return info


async def _made(connection: Connection, name: str, ack_wait: float) -> DurableInfo:
    stream = connection.access.stream
    config = {
        "durable_name": name,
        "deliver_policy": "all",
        "ack_policy": "explicit",
        "ack_wait": int(ack_wait * _NS),
        "max_ack_pending": _MAX_ACK_PENDING,
        "max_deliver": -1,
        "filter_subject": _SUBJECT,
        "replay_policy": "instant",
    }
    try:
        return await connection.api(
            f"CONSUMER.DURABLE.CREATE.{stream}.{name}",
            {"stream_name": stream, "config": config},
            DurableInfo,
        )
    except ApiError as error:
        if error.number in _TAKEN:  # another process created it just now
            return await durable_info(connection, name)
        if error.number in _NO_SUBSET:
            raise _nothing_to_consume(stream) from error
        raise


def _nothing_to_consume(stream: str) -> ConfigurationError:
    return ConfigurationError(
        f"The stream {stream} does not take {_SUBJECT}, so there is nothing to consume.",
        hint="Use another stream: --nats-stream NAME",
    )


def _check(name: str, stream: str, config: DurableConfig) -> None:
    subjects = [*(config.filter_subjects or ()), *filter(None, [config.filter_subject])]
    wrong = ""
    if config.deliver_subject:
        wrong = "is a push consumer"
    elif config.ack_policy != "explicit":
        wrong = f"has the acknowledgement policy {config.ack_policy}, not explicit"
    elif subjects != [_SUBJECT]:
        wrong = f"is for {', '.join(subjects) or 'all subjects'}, not for {_SUBJECT}"
    if wrong:
        raise ConfigurationError(
            f"The consumer {name} of the stream {stream} {wrong}.",
            hint="Use another name with --durable NAME. The consumer is created if absent.",
        )
