"""``tautulli-import consume``: playback events out of a NATS stream, into DuckDB."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..options import Flags

if TYPE_CHECKING:
    from ...events.consume import Consumed
    from ..console import Screen

__all__ = ["consume"]

_WAIT_SECONDS = 60.0
_KNOWN = {
    "event_id": "seen by their event id minutes ago",
    "session_key": "seen by their session key minutes ago",
    "correlation_key": "seen by their correlation key minutes ago",
    "table": "in the table",
    "another_event": "in the table as another event, by another of its keys",
}


def consume(
    flags: Flags, *, out: Path | None, once: bool, durable: str, ack_wait: float, json: bool
) -> None:
    """Bring playback events out of a NATS JetStream stream into a DuckDB file, each once.

    For example:

      tautulli-import consume --once

      tautulli-import consume --nats-url nats://server:4222 --out events.duckdb

    Started again it goes on where it was; several can share the work, also from one file.
    """
    import os
    import sys
    from math import inf

    from ...events.consume import Consuming
    from ...files import shown
    from ...formatting import many
    from ...interrupts import Stopped, defer_signals
    from ...jetstream.consumer import Consumer
    from ...progress import ProgressGroup
    from ...state.runs import logged
    from .. import inputs
    from ..console import Screen
    from ..nats_access import nats_access
    from ..redact import typed_again

    loaded = inputs.settings_from(flags)
    settings = loaded.settings
    screen = Screen(quiet=settings.quiet, verbose=settings.verbose, color=settings.color)
    path = (out or Path("playback-events.duckdb")).expanduser()
    wait = _WAIT_SECONDS if once else inf
    if loaded.origins["wait"] != "default":
        wait = settings.wait
    access = nats_access(loaded, screen)
    queue = Consumer(access, durable, ack_wait=ack_wait)
    line = typed_again(sys.argv[1:], settings)
    source = f"{access.shown}/{access.stream} ({durable})"
    work = Consuming(queue, path, wait=wait, note=screen.note)
    target = shown(Path(os.path.realpath(path)))
    try:
        try:
            with defer_signals():  # what is mistyped leaves nothing behind
                queue.open()
                work.open()
        except Stopped as stopped:
            consumed = work.stopped(stopped, once=once)
        else:
            with (
                logged(settings.state_folder, line, source, "duckdb", target) as log,
                screen.progress() as bar,
            ):
                consumed = work.run(once=once, progress=ProgressGroup(bar, log))
                if log:
                    log.ended(f"{consumed.stored:,} new of {many(consumed.received, 'message')}")
    except Stopped as stopped:
        stopped.line = line
        raise
    finally:
        queue.close()
    _tell(screen, path, consumed, as_json=json)


def _tell(screen: Screen, path: Path, consumed: Consumed, *, as_json: bool) -> None:
    import msgspec

    from ...formatting import many
    from ..formatting import print_json

    if consumed.poison:
        screen.warn(
            f"{many(consumed.poison, 'message')} could not be used, and will not come again: "
            f'duckdb {path} "FROM poison_messages" shows them and why.'
        )
    if as_json:
        told = {"schema": 1, "command": "consume", "target": str(path)}
        print_json(told | msgspec.to_builtins(consumed))
        return
    known = sum(consumed.known.values())
    screen.note(
        f"{many(consumed.received, 'message')} received: {consumed.stored:,} new, {known:,} known, "
        f"{consumed.poison:,} unusable. {path} has {many(consumed.total, 'event')}."
    )
    for key, count in consumed.known.items():
        screen.note(f"  known  {count:>9,}  {_KNOWN[key]}")
    if consumed.redelivered:
        screen.detail(f"  delivered before, and not acknowledged: {consumed.redelivered:,}")
    rate = consumed.received / consumed.elapsed_seconds if consumed.elapsed_seconds else 0
    screen.detail(f"  {consumed.elapsed_seconds} s, {rate:,.0f} messages/s")
