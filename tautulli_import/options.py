"""All options and settings in one table.

The commands, the names of settings in the environment, shell completion and the check of
the manual are made from it. ``settings.Settings`` adds the types and the defaults. Every start of
the program imports this module, so it imports nothing slow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple, TypeAlias, get_args

__all__ = [
    "OPTIONS",
    "SETTINGS",
    "Format",
    "KeyIn",
    "MediaType",
    "Option",
    "Server",
    "Via",
    "WatchedAt",
    "options_of",
]

Via: TypeAlias = Literal["history", "database"]
Format: TypeAlias = Literal["jsonl", "table"]
KeyIn: TypeAlias = Literal["body", "query", "header"]
MediaType: TypeAlias = Literal["movie", "episode", "track", "live"]
WatchedAt: TypeAlias = Literal["stopped", "started"]
Server: TypeAlias = Literal["", "Tautulli", "NATS", "CrossWatch", "Plex"]


class Option(NamedTuple):
    """An option or argument of some commands, most of which are also a setting."""

    name: str
    """The name of the setting. The option is ``--`` and this name with hyphens."""
    type: type[str | int | float | bool | Path | dict[str, str]]
    metavar: str = ""
    help: str = ""
    commands: str = ""
    """The commands that have it, separated by commas. Default: the commands of its panel."""
    panel: str = ""
    repeatable: bool = False
    short: str = ""
    choices: Sequence[str] | Callable[[], Sequence[str]] = ()
    """Words for shell completion."""
    is_argument: bool = False
    is_required: bool = False
    own: bool = False
    """Only the command line has it. It is not a setting."""
    default: str | float | bool | None = None
    """The default of an ``own`` option. Settings have their defaults in ``settings``."""
    range: tuple[float, float] | None = None
    env: str = ""
    """A second name in the environment, besides ``TAUTULLI_IMPORT_<NAME>``."""
    seed: str = ""
    """A name in the environment that every other name overrides."""
    hides: Literal["", "value", "address"] = ""
    """The secret part that no message may quote: the value, or the password in an address."""
    reads: Literal["", "file", "file or stdin"] = ""
    """It names a file to read. No output may replace that file."""
    unlocks: Server = ""
    """It is a secret for this server, or names the file of one."""
    steers: Sequence[Server] = ()
    """It decides if and where the secrets for these servers go, or how they are protected."""

    @property
    def flag(self) -> str:
        """The option as a user types it."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def is_rare(self) -> bool:
        """True if ``--help`` leaves it to ``--help-all``, where a command has that."""
        return self.name in _RARE or self.panel in _RARE_PANELS


def options_of(command: str) -> Sequence[Option]:
    """Return the options of a command in the order in which ``--help`` shows them."""
    options = [option for option in OPTIONS if command in option.commands.split(", ")]
    if command == "api":  # it needs the address of the server first
        options.sort(key=lambda option: option.panel != "Server")
    return options


def _panel(panel: str, commands: str, *options: Option) -> Sequence[Option]:
    return [
        option._replace(panel=panel, commands=option.commands or commands) for option in options
    ]


def _sinks() -> Sequence[str]:
    from .sinks.installed import InstalledSinks

    return InstalledSinks().names


_IMPORTS: Final = "api, db"
_COUNTING: Final = f"{_IMPORTS}, check"
_READERS: Final = f"{_COUNTING}, unresolved, why"
_ASKING: Final = f"{_READERS}, users, libraries"
_CHECKPOINTS: Final = "checkpoint list, checkpoint show, checkpoint clear"
_WITH_STATE: Final = f"{_ASKING}, consume, status, stop, {_CHECKPOINTS}"

_RARE: Final = frozenset(
    {
        *("format", "merge_with", "all_users", "media_type", "min_percent", "include_partial"),
        *("same_play", "watched_at", "missing_ids", "enrich", "api_key", "ca_file", "insecure"),
        *("timeout", "state_dir", "restart", "wait", "batch_size", "strict", "config_ini"),
        *("debug", "color", "config", "key_in", "header", "header_file", "client_cert"),
        *("client_key", "via", "drop_synced", "crosswatch_url", "crosswatch_token_file"),
        *("crosswatch_token", "crosswatch_ca_file", "profile", "timezone"),
        *("plex_cloud", "plex_token", "plex_token_file", "plex_token_from_config"),
    }
)
_RARE_PANELS: Final = frozenset({"Events", "NATS"})

# fmt: off
OPTIONS: Final[Sequence[Option]] = [
    *_panel("", "",
        Option("words", str, "[TOPIC]",
            repeatable=True, is_argument=True, own=True, commands="help",
            help="A topic or a command."),
        Option("database", Path, "DATABASE",
            repeatable=True, is_argument=True, seed="IMPORT_DB_PATH", commands="db",
            help="Tautulli's database, or backups of it; - reads a pipe."),
        Option("title", str, "TITLE|ROW",
            is_argument=True, is_required=True, own=True, commands="why",
            help="A title, a part of one, or a row number in Tautulli."),
        Option("database", str, "SOURCE",
            repeatable=True, is_argument=True, commands="check, users, libraries, unresolved, why",
            help="The word api, or Tautulli's database or backups of it."),
        Option("name", str, "ID",
            is_argument=True, is_required=True, own=True, commands="checkpoint show",
            help="Checkpoint id, as 'checkpoint list' shows it."),
        Option("names", str, "[ID]...",
            repeatable=True, is_argument=True, own=True, commands="checkpoint clear",
            help="Checkpoint ids, as 'checkpoint list' shows them."),
        Option("all", bool, own=True, commands="checkpoint clear",
            help="Forget all checkpoints, last runs, and everything that was read over HTTP."),
        Option("all", bool, own=True, commands="stop",
            help="Stop all running imports and consumers."),
        Option("watch", bool, own=True, commands="status",
            help="Refresh every second until nothing is running."),
    ),
    *_panel("Where to", _IMPORTS,
        Option("to", str, "SINK", repeatable=True, choices=_sinks,
            help="Where the history goes, for example tracker. Repeatable."),
        Option("out", str, "PATH", repeatable=True,
            help="Where it writes; - is standard output. Or SINK=PATH."),
        Option("merge_with", Path, "FILE",
            help="Add to this archive or history.json exported from CrossWatch."),
        Option("replace", bool, own=True,
            help="Remove what earlier runs wrote and this one would not."),
        Option("drop_synced", bool, own=True,
            help="With --replace: even if synced entries are removed, too."),
        Option("dry_run", bool, short="-n", seed="IMPORT_DRY_RUN",
            help="Show what would be imported; write nothing."),
        Option("format", str, "jsonl|table", choices=get_args(Format),
            help="Format of a dry run. Default: table on a terminal, jsonl in a pipe."),
    ),
    *_panel("What", _READERS,
        Option("user", str, "NAME", repeatable=True,
            help="Only this user (id or name). Repeatable."),
        Option("each_user", bool, commands=_IMPORTS,
            help="Write one output per user."),
        Option("all_users", bool, commands=_IMPORTS,
            help="Merge the plays of all users into one history, without a question."),
        Option("library", str, "NAME", repeatable=True,
            help="Only this library (id or name). Repeatable."),
        Option("media_type", str, "TYPE", repeatable=True, choices=get_args(MediaType),
            help="movie, episode, live or track (events). Repeatable. Default: all but live."),
        Option("since", str, "WHEN",
            help="Only plays watched since then: 2020, 2020-05-31, 30d, 2w, 6mo, 10y, yesterday."),
        Option("until", str, "WHEN",
            help="Only plays watched until then; a day, month or year counts as a whole. UTC."),
        Option("min_percent", int, "N",
            help="Count a play as watched from N percent on, whatever Tautulli's rule says."),
        Option("include_partial", bool,
            help="Import every play, however short."),
        Option("rewatches", bool, commands=_IMPORTS,
            help="Keep every viewing, not only the newest."),
        Option("same_play", int, "SECONDS", commands=_IMPORTS,
            help="A viewing from elsewhere this near to ours is the same one. Default: 60."),
        Option("watched_at", str, "stopped|started", choices=get_args(WatchedAt), commands=_IMPORTS,
            help="Time of a viewing: when the play stopped or started. Default: stopped."),
        Option("timezone", str, "ZONE", commands=_IMPORTS,
            help="Time zone of days in letterboxd and yamtrack. Default: the system's."),
    ),
    *_panel("Events", _IMPORTS,
        Option("events", bool,
            help="Write a playback event for every row, watched or not, instead of items."),
        Option("server_id", str, "ID",
            help="Server id in events, if several servers feed one place."),
        Option("event_source", str, "NAME",
            help="Source name in events. Default: tautulli-import."),
    ),
    *_panel("Ids", _READERS,
        Option("ids", Path, "FILE", reads="file or stdin",
            help="CSV file with your own external ids, or -."),
        Option("missing_ids", Path, "FILE", own=True, commands="check",
            help="Write films and shows without external ids to a CSV for --ids."),
        Option("csv", Path, "FILE", own=True, commands="unresolved",
            help="Write a CSV for --ids, with suggestions."),
        Option("enrich", bool,
            help="Ask Plex for missing ids, through Tautulli. Default: on, with a URL and key."),
        Option("plex_db", Path, "FILE", reads="file",
            help="Plex's own database, for ids of titles that are gone."),
        Option("plex_cloud", bool, steers=("Plex",),
            help="Ask Plex's metadata service for ids. Needs a token."),
        Option("plex_token_file", Path, "FILE", reads="file or stdin", unlocks="Plex",
            help="File with the Plex token, or -."),
        Option("plex_token_from_config", bool, steers=("Plex",),
            help="Take the token from Tautulli's config.ini."),
    ),
    *_panel("Server", _ASKING,
        Option("url", str, "URL", env="TAUTULLI_URL", hides="address", steers=("Tautulli",),
            help="Tautulli's address as in a browser. Or TAUTULLI_URL."),
        Option("api_key_file", Path, "FILE", env="TAUTULLI_API_KEY_FILE", reads="file or stdin",
            unlocks="Tautulli",
            help="File with the API key, or -. Or set TAUTULLI_API_KEY."),
        Option("api_key", str, "KEY", env="TAUTULLI_API_KEY", hides="value", unlocks="Tautulli",
            help="The API key itself. Visible in the process list; prints a warning."),
        Option("key_in", str, "body|query|header", choices=get_args(KeyIn), steers=("Tautulli",),
            help="Part of the request with the API key. Default: body; query if POST is refused."),
        Option("header_file", Path, "FILE", reads="file or stdin", unlocks="Tautulli",
            help="File with headers for a proxy, one NAME: VALUE a line; - is standard input."),
        Option("header", str, "HEADER", repeatable=True, hides="value", unlocks="Tautulli",
            help="One such header. Repeatable. Visible in the process list; prints a warning."),
        Option("ca_file", Path, "FILE", reads="file", steers=("Tautulli",),
            help="Also trust this certificate (PEM)."),
        Option("client_cert", Path, "FILE", reads="file",
            help="Client certificate (PEM), if a proxy requires one."),
        Option("client_key", Path, "FILE", reads="file", unlocks="Tautulli",
            help="Private key of the client certificate (PEM)."),
        Option("insecure", bool, steers=("Tautulli", "CrossWatch"),
            help="Accept any certificate."),
        Option("timeout", float, "SECONDS",
            help="Longest silence to accept from a server. Default: 120."),
        Option("via", str, "history|database", choices=get_args(Via),
            commands="api, check, unresolved, why",
            help="Read the history (default), or download the database."),
    ),
    *_panel("Work", "consume",
        Option("out", Path, "FILE", own=True,
            help="DuckDB file. Default: playback-events.duckdb."),
        Option("once", bool, own=True,
            help="Stop when the stream is drained. Default: run until stopped."),
        Option("durable", str, "NAME", own=True, default="tautulli-import",
            help="Durable consumer name. Consumers with the same name share messages; different "
                 "names each receive all of them."),
        Option("ack_wait", float, "SECONDS", own=True, default=30.0, range=(1, 3600),
            help="New consumer: redeliver unacknowledged messages after this. Default: 30."),
        Option("wait", float, "SECONDS",
            help="Longest wait for the locked file. Default: 60 with --once, no limit without."),
    ),
    *_panel("NATS", f"{_IMPORTS}, consume",
        Option("nats_url", str, "URL", env="NATS_URL", hides="address", steers=("NATS",),
            help="NATS server, or several with commas. Default: nats://127.0.0.1:4222."),
        Option("nats_user", str, "NAME",
            help="NATS user name."),
        Option("nats_password_file", Path, "FILE", reads="file or stdin", unlocks="NATS",
            help="File with the NATS password; - is standard input."),
        Option("nats_password", str, "PASSWORD", hides="value", unlocks="NATS",
            help="The password itself. Visible in the process list; prints a warning."),
        Option("nats_token_file", Path, "FILE", reads="file or stdin", unlocks="NATS",
            help="File with the NATS token; - is standard input."),
        Option("nats_token", str, "TOKEN", hides="value", unlocks="NATS",
            help="The token itself. Visible in the process list; prints a warning."),
        Option("nats_creds", Path, "FILE", reads="file", unlocks="NATS",
            help="Credentials file, as nsc writes it."),
        Option("nats_ca_file", Path, "FILE", reads="file", steers=("NATS",),
            help="Also trust this certificate (PEM)."),
        Option("nats_cert", Path, "FILE", reads="file",
            help="Client certificate (PEM), if the server requires one."),
        Option("nats_key", Path, "FILE", reads="file", unlocks="NATS",
            help="Private key of the client certificate (PEM)."),
        Option("nats_tls_first", bool, steers=("NATS",),
            help="Start TLS before the first message, if the server requires it."),
        Option("nats_stream", str, "NAME",
            help="Stream. An import creates it if it is missing. Default: MEDIA_EVENTS."),
    ),
    *_panel("CrossWatch", _IMPORTS,
        Option("crosswatch_url", str, "URL", env="CW_URL", hides="address", steers=("CrossWatch",),
            help="CrossWatch's address as in a browser. Or CW_URL."),
        Option("crosswatch_token_file", Path, "FILE", reads="file or stdin", unlocks="CrossWatch",
            help="File with the token; - is standard input. Or set CW_TOKEN."),
        Option("crosswatch_token", str, "TOKEN", env="CW_TOKEN", hides="value",
            unlocks="CrossWatch",
            help="The token itself. Visible in the process list; prints a warning."),
        Option("crosswatch_ca_file", Path, "FILE", reads="file", steers=("CrossWatch",),
            help="Also trust this certificate (PEM)."),
        Option("profile", str, "ID|LABEL",
            help="Profile of CrossWatch (id or label). Default: default."),
    ),
    # No command has these: only the environment and config.toml set them.
    Option("plex_token", str, hides="value", unlocks="Plex"),
    Option("nats_timeout", float),
    Option("nats_patience", float),
    Option("profiles", dict),
    *_panel("Run", _READERS,
        Option("config", Path, "FILE", reads="file",
            commands=f"init, {_WITH_STATE}, config show, config path",
            help="Read these settings, not those of config.toml."),
        Option("state_dir", Path, "DIR", commands=_WITH_STATE,
            help="Directory for everything that is remembered between runs."),
        Option("restart", bool, own=True,
            help="Forget the checkpoint and read everything again."),
        Option("wait", float, "SECONDS", commands=_IMPORTS,
            help="Longest wait for another import, or for a sync of CrossWatch. Default: 0."),
        Option("batch_size", int, "N", seed="IMPORT_BATCH_SIZE",
            help="Rows to read at a time, 1 to 10000. Default: 200."),
        Option("strict", bool, commands=_COUNTING,
            help="Exit with code 9 if any row was rejected."),
        Option("salvage", bool, commands="db, check, unresolved, why, users, libraries",
            help="Import what is left of a damaged database."),
        Option("config_ini", Path, "FILE", reads="file", commands="db, check, unresolved, why",
            help="Tautulli's config.ini with its thresholds. Default: beside the database."),
    ),
    *_panel("Output", f"{_READERS}, consume",
        Option("json", bool, own=True,
            commands=f"{_ASKING}, consume, status, checkpoint list, checkpoint show, config show",
            help="Print the result, or the error, as one JSON object."),
        Option("report", Path, "FILE", commands=_IMPORTS,
            help="Write a JSON report: rejected rows, origins of ids."),
        Option("page", Path, "FILE", commands=_COUNTING,
            help="Write an HTML page: what became of every play."),
        Option("quiet", bool, short="-q",
            help="Only print errors, and warnings that are new."),
        Option("verbose", bool, short="-v",
            help="Print more details."),
        Option("help_all", bool, own=True, commands=_READERS,
            help="Show all options."),
        Option("debug", bool, own=True, commands=f"init, {_WITH_STATE}, config show, config path",
            help="Print each step: requests, files, settings, tracebacks."),
        Option("color", bool, commands=_WITH_STATE,
            help="Use colours on a terminal. NO_COLOR is respected."),
    ),
]
# fmt: on

SETTINGS: Final[Mapping[str, Option]] = {
    option.name: option for option in OPTIONS if not option.own
}
"""The settings by name. If several options share a name, this is the last of them."""
