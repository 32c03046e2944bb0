"""The options that commands share, each declared once.

``None`` means "not given": then the environment, ``.env``, ``config.toml`` or the default
decides (see ``settings``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

__all__ = [
    "BatchSize",
    "Color",
    "ConfigIni",
    "Databases",
    "Debug",
    "DryRun",
    "EachUser",
    "Enrich",
    "EventSource",
    "Events",
    "Format",
    "Ids",
    "IncludePartial",
    "Json",
    "Library",
    "MediaType",
    "MergeWith",
    "MinPercent",
    "Out",
    "Quiet",
    "Report",
    "Restart",
    "Rewatches",
    "ServerId",
    "Since",
    "Sources",
    "StateDir",
    "Strict",
    "To",
    "Until",
    "User",
    "Verbose",
    "Via",
    "Wait",
    "WatchedAt",
]

_WHERE = "Where to"
_WHAT = "What"
_EVENTS = "Events"
_IDS = "Ids"
_RUN = "Run"
_OUTPUT = "Output"


def _sinks(incomplete: str) -> list[str]:
    from ..sinks.base import InstalledSinks

    return [name for name in InstalledSinks().names if name.startswith(incomplete)]


def _choices(*values: str) -> object:
    def complete(incomplete: str) -> list[str]:
        return [value for value in values if value.startswith(incomplete)]

    return complete


Via: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--via",
        metavar="history|database",
        help="Ask for the history, or download the whole database once.",
        autocompletion=_choices("history", "database"),
        rich_help_panel="Server",
    ),
]
Databases: TypeAlias = Annotated[
    list[Path] | None,
    typer.Argument(
        readable=False,
        metavar="DATABASE",
        help="Tautulli's tautulli.db or its backups; several are merged, - is standard input. "
        "Default: the setting database, or IMPORT_DB_PATH.",
        show_default=False,
    ),
]
Sources: TypeAlias = Annotated[
    list[str] | None,  # no paths: those know no difference between api and ./api
    typer.Argument(
        metavar="SOURCE",
        help="Tautulli's database, or several backups; - is standard input. The word api: "
        "Tautulli itself, over HTTP.",
        show_default=False,
    ),
]
To: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--to",
        metavar="SINK",
        help="Where it goes: tracker, editor, jsonl; nats and duckdb, which take playback events; "
        "or an installed sink. Repeatable.",
        autocompletion=_sinks,
        rich_help_panel=_WHERE,
    ),
]
Out: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--out",
        metavar="PATH",
        help="The sink's directory or file, - for standard output; with several sinks SINK=PATH.",
        rich_help_panel=_WHERE,
    ),
]
MergeWith: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--merge-with",
        readable=False,
        metavar="FILE",
        help="Build on this archive (or history.json) that CrossWatch exported.",
        rich_help_panel=_WHERE,
    ),
]
DryRun: TypeAlias = Annotated[
    bool | None,
    typer.Option(
        "--dry-run/--no-dry-run",
        "-n",
        help="Do everything except write: a table on a terminal, JSON lines in a pipe.",
        rich_help_panel=_WHERE,
    ),
]
Format: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="jsonl|table",
        help="How a dry run shows the items.",
        autocompletion=_choices("jsonl", "table"),
        rich_help_panel=_WHERE,
    ),
]
User: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--user",
        metavar="NAME",
        help="Only this user's plays: id, username or friendly name. Repeatable.",
        rich_help_panel=_WHAT,
    ),
]
EachUser: TypeAlias = Annotated[
    bool | None,
    typer.Option(
        "--each-user/--no-each-user",
        help="Keep users apart: one output for each.",
        rich_help_panel=_WHAT,
    ),
]
Library: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--library",
        metavar="NAME",
        help="Only plays from this library: section id or name. Repeatable.",
        rich_help_panel=_WHAT,
    ),
]
MediaType: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--media-type",
        metavar="TYPE",
        help="movie, episode, live, or for events track. Repeatable; all but live unless given.",
        autocompletion=_choices("movie", "episode", "track", "live"),
        rich_help_panel=_WHAT,
    ),
]
Since: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--since",
        metavar="WHEN",
        help="Watched at or after: 2024-03-01, a full time, or 30d. UTC unless it says else.",
        rich_help_panel=_WHAT,
    ),
]
Until: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--until",
        metavar="WHEN",
        help="Watched before; a day counts to its end.",
        rich_help_panel=_WHAT,
    ),
]
MinPercent: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--min-percent",
        metavar="N",
        help="Watched means at least N percent, in place of Tautulli's own rule.",
        rich_help_panel=_WHAT,
    ),
]
IncludePartial: TypeAlias = Annotated[
    bool | None,
    typer.Option(
        "--include-partial/--no-include-partial",
        help="Import every play, however short.",
        rich_help_panel=_WHAT,
    ),
]
Rewatches: TypeAlias = Annotated[
    bool | None,
    typer.Option(
        "--rewatches/--no-rewatches",
        help="Keep every viewing, not only the newest (CrossWatch from v0.11.0).",
        rich_help_panel=_WHAT,
    ),
]
WatchedAt: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--watched-at",
        metavar="stopped|started",
        help="Which end of a play counts as the time it was watched; stopped unless given.",
        autocompletion=_choices("stopped", "started"),
        rich_help_panel=_WHAT,
    ),
]
Events: TypeAlias = Annotated[
    bool | None,
    typer.Option(
        "--events/--no-events",
        help="Playback events in place of items, one for each row, watched or not.",
        rich_help_panel=_EVENTS,
    ),
]
ServerId: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--server-id",
        metavar="ID",
        help="Which server events are from, where several feed one place.",
        rich_help_panel=_EVENTS,
    ),
]
EventSource: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--event-source",
        metavar="NAME",
        help="What events name as their source; tautulli-import unless given.",
        rich_help_panel=_EVENTS,
    ),
]
Ids: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--ids",
        readable=False,
        metavar="FILE",
        help="Your own corrections of external ids: a CSV, see the README; - is standard input.",
        rich_help_panel=_IDS,
    ),
]
Enrich: TypeAlias = Annotated[
    bool | None,
    typer.Option(
        "--enrich/--no-enrich",
        help="Ask Tautulli for the ids of what has none; on, where its URL and key are known.",
        rich_help_panel=_IDS,
    ),
]
StateDir: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--state-dir",
        readable=False,
        metavar="DIR",
        help="Where to keep what is remembered between runs.",
        rich_help_panel=_RUN,
    ),
]
Restart: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--restart",
        help="Forget the checkpoint, and read everything again.",
        rich_help_panel=_RUN,
    ),
]
Wait: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--wait",
        metavar="SECONDS",
        help="How long to wait for another import from here or to there to end.",
        rich_help_panel=_RUN,
    ),
]
BatchSize: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--batch-size",
        metavar="N",
        help="Rows read at a time, 1 to 10000; 200 unless given.",
        rich_help_panel=_RUN,
    ),
]
Strict: TypeAlias = Annotated[
    bool | None,
    typer.Option(
        "--strict/--no-strict",
        help="Exit with 9 when any row was rejected.",
        rich_help_panel=_RUN,
    ),
]
ConfigIni: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--config-ini",
        readable=False,
        metavar="FILE",
        help="Tautulli's config.ini, for its thresholds; the one beside the database unless given.",
        rich_help_panel=_RUN,
    ),
]
Json: TypeAlias = Annotated[
    bool,
    typer.Option("--json", help="Print the result as one JSON object.", rich_help_panel=_OUTPUT),
]
Report: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--report",
        readable=False,
        metavar="FILE",
        help="Write the summary with every rejected row and the origin of every id, as JSON.",
        rich_help_panel=_OUTPUT,
    ),
]
Quiet: TypeAlias = Annotated[
    bool | None,
    typer.Option(
        "--quiet/--no-quiet",
        "-q",
        help="Say nothing unless a person should look.",
        rich_help_panel=_OUTPUT,
    ),
]
Verbose: TypeAlias = Annotated[
    bool | None,
    typer.Option("--verbose/--no-verbose", "-v", help="Say more.", rich_help_panel=_OUTPUT),
]
Debug: TypeAlias = Annotated[
    bool,
    typer.Option("--debug", help="Show a traceback with an error.", rich_help_panel=_OUTPUT),
]
Color: TypeAlias = Annotated[
    bool | None,
    typer.Option(
        "--color/--no-color",
        help="Colours on a terminal (NO_COLOR is respected).",
        rich_help_panel=_OUTPUT,
    ),
]
