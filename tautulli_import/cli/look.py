"""``check``, ``users`` and ``libraries``: looking at a Tautulli without importing anything."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import options, server_options
from .guard import guarded

if TYPE_CHECKING:
    from ..census import Census
    from ..console import Screen
    from ..enrichment.works import Work
    from ..settings import Loaded
    from ..sources.health import Health
    from ..watched import WatchedRule
    from .opening import Command

__all__ = ["check", "libraries", "users"]

_MissingIds = Annotated[
    Path | None,
    typer.Option(
        "--missing-ids",
        readable=False,
        metavar="FILE",
        help="Write the films and shows without external ids to a CSV, to fill in for --ids.",
        rich_help_panel="Ids",
    ),
]


def users(
    *,
    database: options.Sources = None,
    url: server_options.Url = None,
    api_key_file: server_options.ApiKeyFile = None,
    api_key: server_options.ApiKey = None,
    ca_file: server_options.CaFile = None,
    insecure: server_options.Insecure = None,
    timeout: server_options.Timeout = None,
    state_dir: options.StateDir = None,
    json: options.Json = False,
    debug: options.Debug = False,
    color: options.Color = None,
) -> None:
    """Whose plays are in the history, and how many."""
    flags = {name: value for name, value in locals().items() if name not in ("json", "debug")}
    with guarded(debug=debug, color=color):
        _list("users", flags, as_json=json)


def libraries(
    *,
    database: options.Sources = None,
    url: server_options.Url = None,
    api_key_file: server_options.ApiKeyFile = None,
    api_key: server_options.ApiKey = None,
    ca_file: server_options.CaFile = None,
    insecure: server_options.Insecure = None,
    timeout: server_options.Timeout = None,
    state_dir: options.StateDir = None,
    json: options.Json = False,
    debug: options.Debug = False,
    color: options.Color = None,
) -> None:
    """Which libraries the plays come from, and how many plays each has."""
    flags = {name: value for name, value in locals().items() if name not in ("json", "debug")}
    with guarded(debug=debug, color=color):
        _list("libraries", flags, as_json=json)


def check(
    *,
    database: options.Sources = None,
    user: options.User = None,
    library: options.Library = None,
    media_type: options.MediaType = None,
    since: options.Since = None,
    until: options.Until = None,
    min_percent: options.MinPercent = None,
    include_partial: options.IncludePartial = None,
    ids: options.Ids = None,
    missing_ids: _MissingIds = None,
    enrich: options.Enrich = None,
    url: server_options.Url = None,
    api_key_file: server_options.ApiKeyFile = None,
    api_key: server_options.ApiKey = None,
    ca_file: server_options.CaFile = None,
    insecure: server_options.Insecure = None,
    timeout: server_options.Timeout = None,
    via: options.Via = None,
    state_dir: options.StateDir = None,
    restart: options.Restart = False,
    batch_size: options.BatchSize = None,
    strict: options.Strict = None,
    config_ini: options.ConfigIni = None,
    json: options.Json = False,
    quiet: options.Quiet = None,
    verbose: options.Verbose = None,
    debug: options.Debug = False,
    color: options.Color = None,
) -> None:
    """Read every row as an import would, write nothing, and tell what is there.

    Totals, dates, users, media types, kinds of GUID, how many films and shows have
    external ids, and what would be left out or rejected and why.
    """
    flags: dict[str, object] = {
        name: value
        for name, value in locals().items()
        if name not in ("json", "debug", "missing_ids", "restart", "flags")
    }
    with guarded(debug=debug, color=color):
        _check(flags, as_json=json, missing_ids=missing_ids, restart=restart)


def _door(flags: Mapping[str, object]) -> tuple[Command, Loaded]:
    """Which door was meant: the word ``api``, or a database; without a word what is set."""
    from ..errors import ConfigurationError
    from . import prepare

    given = flags.get("database")
    named = given if isinstance(given, list) else []
    if "api" not in named:
        loaded = prepare.settings_from(flags)
        settings = loaded.settings
        return ("db" if named or settings.database or not settings.url else "api"), loaded
    if len(named) > 1:
        raise ConfigurationError(
            "Tautulli itself and a database cannot be looked at together.",
            hint="Name api alone, or the files alone; a file of that name is ./api",
        )
    return "api", prepare.settings_from({**flags, "database": None})


def _list(what: str, flags: Mapping[str, object], *, as_json: bool) -> None:
    from ..console import Screen
    from .opening import opened

    command, loaded = _door(flags)
    screen = Screen(color=loaded.settings.color)
    now = int(time.time())
    with opened(
        command,
        loaded,
        screen,
        now=now,
        enrich=False,
        plays=what == "users",
        users=what == "users",
        libraries=what == "libraries",
        chooses=False,
    ) as found:
        source = found.source
        listed = source.users() if what == "users" else source.libraries()
        notices = source.notices if command == "api" else ()
    for notice in notices:
        screen.note(notice)
    if as_json:
        _print_json(listed)
        return
    screen.listing(listed)


def _check(
    flags: Mapping[str, object], *, as_json: bool, missing_ids: Path | None, restart: bool
) -> None:
    from ..census import take
    from ..console import Screen
    from ..errors import ConfigurationError
    from ..progress import ProgressGroup
    from ..sources.health import examine
    from . import prepare
    from .opening import opened

    command, loaded = _door(flags)
    settings = loaded.settings
    if as_json and missing_ids == Path("-"):
        raise ConfigurationError(
            "--json and --missing-ids - cannot both go to standard output.",
            hint="Name a file with --missing-ids.",
        )
    screen = Screen(quiet=settings.quiet, verbose=settings.verbose, color=settings.color)
    prepare.check_not_read(settings, "--missing-ids", missing_ids)
    _check_missing_ids(missing_ids)
    corrections = prepare.corrections(settings)
    now = int(time.time())
    with opened(
        command, loaded, screen, now=now, restart=restart, users=True, libraries=True
    ) as found:
        source = found.source
        server = (
            examine(found.connection.tautulli) if command == "api" and found.connection else None
        )
        chosen = prepare.selection(settings, source, now=now)
        with screen.progress() as bar:
            checked = take(
                source,
                chosen,
                corrections,
                ProgressGroup(bar),
                enrich=found.enricher,
                server=server,
            )
        notices = source.notices
        rules = source.rules()
    for notice in notices:
        screen.note(notice)
    for alarm in checked.alarms:
        screen.warn(alarm)
    if as_json:
        _print_json(checked.census)
    elif missing_ids != Path("-"):
        _print_census(checked.census, screen, [_told(rule) for rule in rules])
    if settings.verbose:
        for row in checked.rejected:
            screen.note(f"row {row.id}: {row.reason.sentence} {row.detail}")
    if missing_ids is not None:
        _write_missing(missing_ids, checked.works, screen)
    prepare.judge_rejected(checked.census.plays.rejected, source, settings)


def _print_census(census: Census, screen: Screen, rules: list[str]) -> None:
    plays, items = census.plays, census.items
    screen.pairs(
        [
            *_of_server(census.server),
            ("Plays", f"{plays.read:,}"),
            ("From", census.first or "-"),
            ("To", census.last or "-"),
            ("Thresholds", ", ".join(rules)),
            ("Users", _counts(census.users)),
            ("Libraries", _counts(census.libraries)),
            ("Media types", _counts(census.media_types)),
            ("GUIDs", _counts(census.guid_kinds)),
        ]
    )
    for name, ids in (("Films", census.films), ("Shows", census.shows)):
        rest = [f"{ids.known:,} with external ids"]
        if ids.could_get:
            rest.append(f"{ids.could_get:,} without that Plex may still know")
        if ids.never:
            rest.append(f"{ids.never:,} without, and nobody left to ask")
        screen.pairs([(name, f"{ids.total:,}: {', '.join(rest)}")])
    sources = {name: count for name, count in items.ids_from.items() if count}
    screen.pairs(
        [
            ("Items", f"{items.movies + items.episodes:,} would be imported"),
            ("Ids from", _counts(sources | {"none": items.without_external_id})),
            ("Merged", f"{plays.merged:,} plays of the same items"),
            ("Left out", _counts(plays.filtered)),
            ("Rejected", _counts(plays.rejected)),
        ]
    )
    for conflict in census.conflicts[:10]:
        told = f"{conflict.namespace} {conflict.kept}, not {conflict.dropped}"
        screen.pairs([("Contradiction", f"{conflict.title}: {told}")])


def _told(rule: WatchedRule) -> str:
    return f"{rule.movie_percent} % of a film, {rule.tv_percent} % of an episode ({rule.origin})"


def _of_server(server: Health | None) -> list[tuple[str, str]]:
    if server is None:
        return []
    reachable = {True: "reachable", False: "not reachable", None: "not known whether reachable"}
    unlisted = server.rows - server.listed
    rows = f"{server.rows:,}, counted in {server.seconds:g} s"
    return [
        ("Tautulli", server.version or "does not tell its version"),
        ("Plex", f"{server.plex or 'without a name'}, {reachable[server.plex_reachable]}"),
        ("Rows", f"{rows}; {unlisted:,} of them it never lists" if unlisted else rows),
    ]


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items() if count) or "none"


def _check_missing_ids(path: Path | None) -> None:
    """Never replace a list that a person may have filled in."""
    from ..errors import SinkError
    from ..sinks.files import shown

    if path is not None and path.is_file() and path.stat().st_size:
        raise SinkError(
            f"{shown(path)} is there already, and may be filled in.",
            hint="Name another file with --missing-ids, or move this one away.",
        )


def _write_missing(path: Path, works: Iterable[Work], screen: Screen) -> None:
    import io

    from ..enrichment.corrections import write_missing
    from ..sinks.files import write_whole
    from ..wording import many

    text = io.StringIO()
    count = write_missing(works, text)
    if path == Path("-"):
        sys.stdout.buffer.write(text.getvalue().encode())
        return
    write_whole(path, [text.getvalue().encode()], option="--missing-ids")
    screen.note(f"Wrote {many(count, 'line')} to {path}: what has no external id.")


def _print_json(value: object) -> None:
    import msgspec

    sys.stdout.buffer.write(msgspec.json.encode(value) + b"\n")
