"""``tautulli-import consume``: write playback events from a NATS stream to DuckDB."""

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
    "event_id": "received minutes ago, with the same event id",
    "session_key": "received minutes ago, with the same session key",
    "correlation_key": "received minutes ago, with the same correlation key",
    "table": "in the table already",
    "another_event": "in the table already as another event with one of the same keys",
}


def consume(
    flags: Flags, *, out: Path | None, once: bool, durable: str, ack_wait: float, json: bool
) -> None:
    """Write playback events from NATS to a DuckDB file, each once.

    A new run resumes where the last one ended. Several runs can share a stream and a file.

    For example:
      tautulli-import consume --once
      tautulli-import consume --nats-url nats://server:4222 --out events.duckdb
    """
    import os
    import sys
    from math import inf

    from ...events.consume import Consuming
    from ...files import expand_home
    from ...formatting import many, shown
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
    inputs.name_files(loaded, screen, selects=False, writes=False)
    path = expand_home(out or Path("playback-events.duckdb"))
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
            with defer_signals():  # with a wrong option, no log is made
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
    _print_result(screen, path, consumed, as_json=json)


def _print_result(screen: Screen, path: Path, consumed: Consumed, *, as_json: bool) -> None:
    import msgspec

    from ...formatting import many
    from ..formatting import print_json

    if consumed.poison:
        screen.warn(
            f"{many(consumed.poison, 'message')} could not be used and will not come again. "
            f'To see why: duckdb {path} "FROM poison_messages"'
        )
    if as_json:
        head = {"schema": 1, "command": "consume", "target": str(path)}
        print_json(head | msgspec.to_builtins(consumed))
        return
    known = sum(consumed.known.values())
    screen.note(
        f"{many(consumed.received, 'message')} received: {consumed.stored:,} new, {known:,} known, "
        f"{consumed.poison:,} unusable. {path} has {many(consumed.total, 'event')}."
    )
    for key, count in consumed.known.items():
        screen.note(f"  known  {count:>9,}  {_KNOWN[key]}")
    if consumed.redelivered:
        screen.detail(f"  delivered again after no acknowledgement: {consumed.redelivered:,}")
    rate = consumed.received / consumed.elapsed_seconds if consumed.elapsed_seconds else 0
    screen.detail(f"  {consumed.elapsed_seconds} s, {rate:,.0f} messages/s")
