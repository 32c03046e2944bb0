"""``tautulli-import consume``: playback events out of a NATS stream, into DuckDB."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import nats_options, options
from .guard import guarded

if TYPE_CHECKING:
    from ..console import Screen
    from ..consuming import Consumed

__all__ = ["consume"]

_WORK = "Work"
_WAIT_SECONDS = 60.0
_KNOWN = {
    "event_id": "seen by their event id minutes ago",
    "session_key": "seen by their session key minutes ago",
    "correlation_key": "seen by their correlation key minutes ago",
    "table": "in the table",
    "another_event": "in the table as another event, by another of its keys",
}


def consume(
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            readable=False,
            metavar="FILE",
            help="The DuckDB file; playback-events.duckdb unless given.",
            rich_help_panel=_WORK,
        ),
    ] = None,
    once: Annotated[
        bool,
        typer.Option(
            "--once",
            help="End when the stream is drained; else it runs until it is told to stop.",
            rich_help_panel=_WORK,
        ),
    ] = False,
    durable: Annotated[
        str,
        typer.Option(
            "--durable",
            metavar="NAME",
            help="What the stream is to remember this consumer by. Those of one name share the "
            "work, those of different names get everything each; tautulli-import unless given.",
            show_default=False,
            rich_help_panel=_WORK,
        ),
    ] = "tautulli-import",
    ack_wait: Annotated[
        float,
        typer.Option(
            "--ack-wait",
            min=1,
            max=3600,
            metavar="SECONDS",
            help="When a new consumer is made: after how long messages that nobody acknowledged "
            "come again; 30 unless given.",
            show_default=False,
            rich_help_panel=_WORK,
        ),
    ] = 30.0,
    wait: Annotated[
        float | None,
        typer.Option(
            "--wait",
            metavar="SECONDS",
            help="How long to wait for whoever has the file open; unless given 60 with --once, "
            "else for ever.",
            rich_help_panel=_WORK,
        ),
    ] = None,
    nats_url: nats_options.Url = None,
    nats_user: nats_options.User = None,
    nats_password_file: nats_options.PasswordFile = None,
    nats_password: nats_options.Password = None,
    nats_token_file: nats_options.TokenFile = None,
    nats_token: nats_options.Token = None,
    nats_creds: nats_options.Creds = None,
    nats_ca_file: nats_options.CaFile = None,
    nats_cert: nats_options.Cert = None,
    nats_key: nats_options.Key = None,
    nats_tls_first: nats_options.TlsFirst = None,
    nats_stream: nats_options.Stream = None,
    state_dir: options.StateDir = None,
    json: options.Json = False,
    quiet: options.Quiet = None,
    verbose: options.Verbose = None,
    debug: options.Debug = False,
    color: options.Color = None,
) -> None:
    """Bring playback events out of a NATS JetStream stream into a DuckDB file, each once.

    For example:

      tautulli-import consume --once

      tautulli-import consume --nats-url nats://server:4222 --out events.duckdb

    Started again it goes on where it was; several can share the work, also from one file.
    """
    flags = {
        name: value
        for name, value in locals().items()
        if name not in ("out", "once", "durable", "ack_wait", "json", "debug", "flags")
    }
    with guarded(debug=debug, color=color):
        _consume(
            flags, out or Path("playback-events.duckdb"), durable, ack_wait, once=once, as_json=json
        )


def _consume(
    flags: dict[str, object],
    out: Path,
    durable: str,
    ack_wait: float,
    *,
    once: bool,
    as_json: bool,
) -> None:
    import os
    import sys
    from math import inf

    import msgspec

    from ..checkpoint.runs import logged
    from ..console import Screen
    from ..consuming import Consuming
    from ..jetstream.consumer import Consumer
    from ..progress import ProgressGroup
    from ..sinks.files import shown
    from ..stopping import Stopped, held
    from ..wording import many
    from . import prepare
    from .line import typed_again
    from .nats_access import nats_access

    loaded = prepare.settings_from(flags)
    settings = loaded.settings
    screen = Screen(quiet=settings.quiet, verbose=settings.verbose, color=settings.color)
    path = out.expanduser()
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
        with held():  # what is mistyped leaves nothing behind
            queue.open()
            work.open()
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
    if consumed.poison:
        screen.warn(
            f"{many(consumed.poison, 'message')} could not be used, and will not come again: "
            f'duckdb {path} "FROM poison_messages" shows them and why.'
        )
    if as_json:
        told = {"schema": 1, "command": "consume", "target": str(path)}
        told |= msgspec.to_builtins(consumed)
        sys.stdout.buffer.write(msgspec.json.encode(told) + b"\n")
    else:
        _tell(screen, path, consumed)


def _tell(screen: Screen, path: Path, consumed: Consumed) -> None:
    from ..wording import many

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
