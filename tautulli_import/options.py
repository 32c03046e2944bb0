"""All options and settings in one table.

The commands, the names of settings in the environment, shell completion and the check of the
README are made from it. ``settings.Settings`` adds the types and the defaults. This module
imports nothing slow, because every start of the program reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple, TypeAlias, get_args

__all__ = [
    "OPTIONS",
    "SETTINGS",
    "Format",
    "MediaType",
    "Option",
    "Via",
    "WatchedAt",
    "options_of",
]

Via: TypeAlias = Literal["history", "database"]
Format: TypeAlias = Literal["jsonl", "table"]
MediaType: TypeAlias = Literal["movie", "episode", "track", "live"]
WatchedAt: TypeAlias = Literal["stopped", "started"]


class Option(NamedTuple):
    """An option or argument of some commands, most of which are also a setting."""

    name: str
    """The setting; ``--`` and the name with hyphens is the option."""
    type: type[str | int | float | bool | Path]
    metavar: str = ""
    help: str = ""
    commands: str = ""
    """The commands that have it, separated by commas; by default those of its panel."""
    panel: str = ""
    repeatable: bool = False
    short: str = ""
    choices: Sequence[str] | Callable[[], Sequence[str]] = ()
    """Words for shell completion."""
    is_argument: bool = False
    is_required: bool = False
    own: bool = False
    """It is no setting: only the command line has it."""
    default: str | float | bool | None = None
    """Of an ``own`` option. Settings have their defaults in ``settings``."""
    range: tuple[float, float] | None = None
    env: str = ""
    """A name in the environment besides ``TAUTULLI_IMPORT_<NAME>``."""
    seed: str = ""
    """A name in the environment that counts less than all others."""
    hides: Literal["", "value", "address"] = ""
    """What no message may quote: the value itself, or the password in an address."""
    reads: Literal["", "file", "file or stdin"] = ""
    """It names a file to read, which no output may replace."""

    @property
    def flag(self) -> str:
        """The option as a user types it."""
        return f"--{self.name.replace('_', '-')}"


def options_of(command: str) -> Sequence[Option]:
    """Return the options of a command in the order in which ``--help`` shows them."""
    found = [option for option in OPTIONS if command in option.commands.split(", ")]
    if command == "api":  # the address of the server is what it needs first
        found.sort(key=lambda option: option.panel != "Server")
    return found


def _panel(panel: str, commands: str, *options: Option) -> Sequence[Option]:
    return [
        option._replace(panel=panel, commands=option.commands or commands) for option in options
    ]


def _sinks() -> Sequence[str]:
    from .sinks.base import InstalledSinks

    return InstalledSinks().names


_IMPORTS: Final = "api, db"
_READERS: Final = f"{_IMPORTS}, check"
_ASKING: Final = f"{_READERS}, users, libraries"
_CHECKPOINTS: Final = "checkpoint list, checkpoint show, checkpoint clear"
_WITH_STATE: Final = f"{_ASKING}, consume, status, stop, {_CHECKPOINTS}"

# fmt: off
OPTIONS: Final[Sequence[Option]] = [
    *_panel("", "",
        Option("database", Path, "DATABASE",
            repeatable=True, is_argument=True, seed="IMPORT_DB_PATH", commands="db",
            help="Tautulli's tautulli.db or its backups; several are merged, - is standard "
                 "input. Default: the setting database, or IMPORT_DB_PATH."),
        Option("database", str, "SOURCE",
            repeatable=True, is_argument=True, commands="check, users, libraries",
            help="Tautulli's database, or several backups; - is standard input. The word "
                 "api: Tautulli itself, over HTTP."),
        Option("name", str, "ID",
            is_argument=True, is_required=True, own=True, commands="checkpoint show",
            help="As 'checkpoint list' shows it."),
        Option("names", str, "[ID]...",
            repeatable=True, is_argument=True, own=True, commands="checkpoint clear",
            help="As 'checkpoint list' shows them."),
        Option("all", bool, own=True, commands="checkpoint clear",
            help="All of them, and what was read over HTTP."),
        Option("all", bool, own=True, commands="stop",
            help="All of them, where several are running."),
        Option("watch", bool, own=True, commands="status",
            help="Again every second, until nothing is running any more."),
    ),
    *_panel("Where to", _IMPORTS,
        Option("to", str, "SINK", repeatable=True, choices=_sinks,
            help="Where it goes: tracker, editor, jsonl; nats and duckdb, which take "
                 "playback events; or an installed sink. Repeatable."),
        Option("out", str, "PATH", repeatable=True,
            help="The sink's directory or file, - for standard output; with several sinks "
                 "SINK=PATH."),
        Option("merge_with", Path, "FILE",
            help="Build on this archive (or history.json) that CrossWatch exported."),
        Option("dry_run", bool, short="-n", seed="IMPORT_DRY_RUN",
            help="Do everything except write: a table on a terminal, JSON lines in a pipe."),
        Option("format", str, "jsonl|table", choices=get_args(Format),
            help="How a dry run shows the items."),
    ),
    *_panel("What", _READERS,
        Option("user", str, "NAME", repeatable=True,
            help="Only this user's plays: id, username or friendly name. Repeatable."),
        Option("each_user", bool, commands=_IMPORTS,
            help="Keep users apart: one output for each."),
        Option("library", str, "NAME", repeatable=True,
            help="Only plays from this library: section id or name. Repeatable."),
        Option("media_type", str, "TYPE", repeatable=True, choices=get_args(MediaType),
            help="movie, episode, live, or for events track. Repeatable; all but live unless"
                 " given."),
        Option("since", str, "WHEN",
            help="Watched at or after: 2024-03-01, a full time, or 30d. UTC unless it says "
                 "else."),
        Option("until", str, "WHEN",
            help="Watched before; a day counts to its end."),
        Option("min_percent", int, "N",
            help="Watched means at least N percent, in place of Tautulli's own rule."),
        Option("include_partial", bool,
            help="Import every play, however short."),
        Option("rewatches", bool, commands=_IMPORTS,
            help="Keep every viewing, not only the newest (CrossWatch from v0.11.0)."),
        Option("watched_at", str, "stopped|started", choices=get_args(WatchedAt), commands=_IMPORTS,
            help="Which end of a play counts as the time it was watched; stopped unless "
                 "given."),
    ),
    *_panel("Events", _IMPORTS,
        Option("events", bool,
            help="Playback events in place of items, one for each row, watched or not."),
        Option("server_id", str, "ID",
            help="Which server events are from, where several feed one place."),
        Option("event_source", str, "NAME",
            help="What events name as their source; tautulli-import unless given."),
    ),
    *_panel("Ids", _READERS,
        Option("ids", Path, "FILE", reads="file or stdin",
            help="Your own corrections of external ids: a CSV, see the README; - is standard"
                 " input."),
        Option("missing_ids", Path, "FILE", own=True, commands="check",
            help="Write the films and shows without external ids to a CSV, to fill in for "
                 "--ids."),
        Option("enrich", bool,
            help="Ask Tautulli for the ids of what has none; on, where its URL and key are "
                 "known."),
    ),
    *_panel("Server", _ASKING,
        Option("url", str, "URL", env="TAUTULLI_URL", hides="address",
            help="Tautulli's address, as you open it in a browser. Also TAUTULLI_URL."),
        Option("api_key_file", Path, "FILE", env="TAUTULLI_API_KEY_FILE", reads="file or stdin",
            help="A file with Tautulli's API key; - is standard input. Also "
                 "TAUTULLI_API_KEY_FILE, or the key itself in TAUTULLI_API_KEY."),
        Option("api_key", str, "KEY", env="TAUTULLI_API_KEY", hides="value",
            help="The API key itself: everybody on this machine can see it while the command"
                 " runs."),
        Option("ca_file", Path, "FILE", reads="file",
            help="Trust this certificate (PEM) as well."),
        Option("insecure", bool,
            help="Accept any certificate."),
        Option("timeout", float, "SECONDS",
            help="How long Tautulli may be silent; 120 unless given."),
        Option("via", str, "history|database", choices=get_args(Via), commands="api, check",
            help="Ask for the history, or download the whole database once."),
    ),
    *_panel("Work", "consume",
        Option("out", Path, "FILE", own=True,
            help="The DuckDB file; playback-events.duckdb unless given."),
        Option("once", bool, own=True,
            help="End when the stream is drained; else it runs until it is told to stop."),
        Option("durable", str, "NAME", own=True, default="tautulli-import",
            help="What the stream is to remember this consumer by. Those of one name share "
                 "the work, those of different names get everything each; tautulli-import "
                 "unless given."),
        Option("ack_wait", float, "SECONDS", own=True, default=30.0, range=(1, 3600),
            help="When a new consumer is made: after how long messages that nobody "
                 "acknowledged come again; 30 unless given."),
        Option("wait", float, "SECONDS",
            help="How long to wait for whoever has the file open; unless given 60 with "
                 "--once, else for ever."),
    ),
    *_panel("NATS", f"{_IMPORTS}, consume",
        Option("nats_url", str, "URL", env="NATS_URL", hides="address",
            help="The NATS server; nats://127.0.0.1:4222 unless given, tls:// for TLS, "
                 "several of a cluster with commas. Also NATS_URL."),
        Option("nats_user", str, "NAME",
            help="Who we are there."),
        Option("nats_password_file", Path, "FILE", reads="file or stdin",
            help="A file with the password; - is standard input."),
        Option("nats_password", str, "PASSWORD", hides="value",
            help="The password itself: everybody on this machine can see it."),
        Option("nats_token_file", Path, "FILE", reads="file or stdin",
            help="A file with the token; - is standard input."),
        Option("nats_token", str, "TOKEN", hides="value",
            help="The token itself: everybody on this machine can see it."),
        Option("nats_creds", Path, "FILE", reads="file",
            help="A credentials file of nsc's."),
        Option("nats_ca_file", Path, "FILE", reads="file",
            help="Trust this certificate (PEM) as well."),
        Option("nats_cert", Path, "FILE", reads="file",
            help="Our own certificate (PEM), where the server wants one."),
        Option("nats_key", Path, "FILE", reads="file",
            help="The key of that certificate (PEM)."),
        Option("nats_tls_first", bool,
            help="The server wants TLS before anything is said."),
        Option("nats_stream", str, "NAME",
            help="The stream; MEDIA_EVENTS unless given. An import makes it when there is "
                 "none."),
    ),
    # Only in the environment and in config.toml.
    Option("nats_timeout", float),
    Option("nats_patience", float),
    *_panel("Run", _READERS,
        Option("state_dir", Path, "DIR", commands=_WITH_STATE,
            help="Where to keep what is remembered between runs."),
        Option("restart", bool, own=True,
            help="Forget the checkpoint, and read everything again."),
        Option("wait", float, "SECONDS", commands=_IMPORTS,
            help="How long to wait for another import from here or to there to end."),
        Option("batch_size", int, "N", seed="IMPORT_BATCH_SIZE",
            help="Rows read at a time, 1 to 10000; 200 unless given."),
        Option("strict", bool,
            help="Exit with 9 when any row was rejected."),
        Option("config_ini", Path, "FILE", reads="file", commands="db, check",
            help="Tautulli's config.ini, for its thresholds; the one beside the database "
                 "unless given."),
    ),
    *_panel("Output", f"{_READERS}, consume",
        Option("json", bool, own=True,
            commands=f"{_ASKING}, consume, status, checkpoint list, checkpoint show, config show",
            help="Print the result as one JSON object."),
        Option("report", Path, "FILE", commands=_IMPORTS,
            help="Write the summary with every rejected row and the origin of every id, as "
                 "JSON."),
        Option("quiet", bool, short="-q",
            help="Say nothing unless a person should look."),
        Option("verbose", bool, short="-v",
            help="Say more."),
        Option("debug", bool, own=True, commands=f"{_WITH_STATE}, config show, config path",
            help="Show a traceback with an error."),
        Option("color", bool, commands=_WITH_STATE,
            help="Colours on a terminal (NO_COLOR is respected)."),
    ),
]
# fmt: on

SETTINGS: Final[Mapping[str, Option]] = {
    option.name: option for option in OPTIONS if not option.own
}
"""The settings by name. Where several commands have one each, the last stands here."""
