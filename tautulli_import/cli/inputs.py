"""Read what the settings name: files, dates, users and libraries."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from msgspec import structs

from ..errors import (
    ConfigurationError,
    NotFoundError,
    SinkError,
)
from ..files import identity
from ..formatting import shown
from ..ids.corrections import Correction, parse
from ..model.clock import latest_moment, parse_moment
from ..model.selection import Selection
from ..options import SETTINGS, Option
from ..progress import Progress
from ..settings.fields import Settings
from ..settings.loaded import Loaded, load
from ..sources.choose import choose_libraries, choose_users
from ..sources.database.source import Source
from ..sources.database.sqlite_errors import not_there
from ..sources.http.access import parse_address
from .console import Screen

__all__ = [
    "check_databases",
    "check_no_address",
    "check_not_read",
    "check_report_path",
    "corrections",
    "dates",
    "files_read",
    "name_files",
    "open_databases",
    "selection",
    "settings_from",
]

_LOG: Final = logging.getLogger(__name__)
_SELECTING: Final = (
    *("user", "library", "media_type", "since", "until"),
    *("min_percent", "include_partial"),
)
_WRITING: Final = ("each_user", "all_users", "to", "out")


def settings_from(flags: Mapping[str, object]) -> Loaded:
    """Load the settings.

    Raises:
        ConfigurationError: a setting is wrong, or several inputs are on standard input.
    """
    loaded = load(flags)
    for name, origin in loaded.origins.items():
        if origin != "default":
            value = "…" if SETTINGS[name].hides else getattr(loaded.settings, name)
            _LOG.debug("%s = %s (%s)", name, value, origin)
    settings = loaded.settings
    piped = [
        *(["the database"] if Path("-") in settings.database else []),
        *(
            option.flag
            for option, path in _files_of(settings)
            if path == Path("-") and option.reads == "file or stdin"
        ),
    ]
    if len(piped) > 1:
        raise ConfigurationError(
            f"Only one of {' and '.join(piped)} can be read from standard input.",
            hint="Use files for the others.",
        )
    return _with_places_of_its_sinks(_with_one_choice_of_users(loaded))


def _with_one_choice_of_users(loaded: Loaded) -> Loaded:
    """Let a choice of users override those of lower precedence.

    Raises:
        ConfigurationError: ``all_users`` and another choice come from the same place.
    """
    settings, ranks = loaded.settings, loaded.ranks
    given = [name for name in ("user", "each_user", "all_users") if getattr(settings, name)]
    top = max((ranks[name] for name in given), default=0)
    best = [name for name in given if ranks[name] == top]
    if "all_users" in best and len(best) > 1:
        raise ConfigurationError(
            f"{loaded.where('all_users')} and {loaded.where(best[0])} cannot be used together.",
            hint="Remove one of them.",
        )
    none: Mapping[str, object] = {"user": [], "each_user": False, "all_users": False}
    update = {name: none[name] for name in given if name not in best}
    return structs.replace(loaded, settings=settings.model_copy(update=update))


def _with_places_of_its_sinks(loaded: Loaded) -> Loaded:
    """Leave out the places of other sinks, if the sinks have a higher precedence."""
    settings, ranks = loaded.settings, loaded.ranks
    if not settings.out or ranks["to"] <= ranks["out"]:
        return loaded
    own = [one for one in settings.out if one.partition("=")[0] in settings.to]
    return structs.replace(loaded, settings=settings.model_copy(update={"out": own}))


def name_files(loaded: Loaded, screen: Screen, *, selects: bool, writes: bool) -> None:
    """Print which files set something that the command line does not show.

    The working directory decides about a ``.env``. The selection in the settings may be meant for
    another source than the one that was named. ``selects`` and ``writes`` say which of these
    settings the command uses.
    """
    if loaded.dotenv is not None:
        screen.note(f"Settings were read from {loaded.dotenv.absolute()}.")
    file = str(loaded.settings.config)
    used = (*(_SELECTING if selects else ()), *(_WRITING if writes else ()))
    chosen = [name for name in used if loaded.origins[name] == file and _sets(loaded, name)]
    if chosen and "option" in (loaded.origins["database"], loaded.origins["url"]):
        verb = "come" if len(chosen) > 1 else "comes"
        names = " and ".join(filter(None, (", ".join(chosen[:-1]), chosen[-1])))
        screen.note(f"{names} {verb} from {shown(Path(file))}.")


def _sets(loaded: Loaded, name: str) -> bool:
    """Return false if a setting has no effect, such as a choice of users that was overridden."""
    value = getattr(loaded.settings, name)
    return value is not False and value != []


def open_databases(settings: Settings, progress: Progress) -> Source:
    """Open the databases that the settings name.

    Raises:
        TautulliImportError: none is named, or one cannot be read.
    """
    paths = settings.database
    if not paths:
        raise ConfigurationError(
            "No database given.",
            hint="Name Tautulli's tautulli.db or set IMPORT_DB_PATH. To read from a running "
            "Tautulli: api --url URL (or set TAUTULLI_URL).",
        )
    if Path("-") in paths and sys.stdin is None:
        raise ConfigurationError(
            "Cannot read the database from standard input, because it is closed.",
            hint="Name the file instead of -.",
        )
    return Source(
        paths,
        config_ini=settings.config_ini,
        page=settings.batch_size,
        stdin=sys.stdin.buffer if Path("-") in paths else None,
        salvages=settings.salvage,
        progress=progress,
    )


def check_no_address(settings: Settings, instead: str) -> None:
    """Refuse an address in the place of a database. ``instead`` is what takes ``--url``.

    Raises:
        NotFoundError: there is one, and no such file.
    """
    for path in settings.database:
        scheme, slash, rest = shown(path).partition(":/")
        if not slash or scheme not in ("http", "https") or path.exists():
            continue
        try:
            base = parse_address(f"{scheme}://{rest}").base
        except ConfigurationError:
            base = "URL"
        raise NotFoundError(
            "There is no such file. To read from a running Tautulli, its address is an option.",
            hint=f"Use {instead} --url {base}",
        )


def check_databases(settings: Settings) -> None:
    """Check that the databases exist, before a state file is made for them.

    Raises:
        NotFoundError: a database does not exist.
    """
    for path in settings.database:
        try:
            if path != Path("-"):
                path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            raise not_there(shown(path)) from None
        except OSError:  # it may exist; opening it gives the better message
            continue


def dates(settings: Settings, *, now: int) -> tuple[int | None, int | None]:
    """Return the first and the last moment of the selection, in epoch seconds.

    Raises:
        ConfigurationError: a date is invalid, or options contradict each other.
    """
    since = None if settings.since is None else parse_moment(settings.since, now=now)
    until = None if settings.until is None else parse_moment(settings.until, now=now, end=True)
    if settings.include_partial and settings.min_percent is not None:
        raise ConfigurationError(
            "--include-partial and --min-percent cannot be used together.",
            hint="Remove one of them.",
        )
    if since is not None and until is not None and since >= until:
        raise ConfigurationError(
            f"--since {settings.since} is not before --until {settings.until}.",
            hint="Swap the two.",
        )
    return since, until


def selection(settings: Settings, source: Source, *, now: int) -> Selection:
    """Return the selection of plays. Look up the names of users and libraries in the source.

    Raises:
        TautulliImportError: a name fits none or several, or a date is invalid.
    """
    since, until = dates(settings, now=now)
    sections = None
    if settings.library:
        sections = choose_libraries(source.libraries(), settings.library)
    users, names = choose_users(source.users(), settings.user)
    return Selection(
        media_types=frozenset(settings.media_type),
        users=users if settings.user else None,
        names=names,
        sections=sections,
        since=since,
        until=until,
        min_percent=settings.min_percent,
        include_partial=settings.include_partial,
        watched_at=settings.watched_at,
        latest=latest_moment(now),
    )


def files_read(settings: Settings) -> Mapping[object, str]:
    """Return the files that a run reads and must not overwrite, by file identity."""
    read: dict[object, str] = {}
    for database in settings.database:
        for suffix in ("", "-wal", "-shm", "-journal"):
            side = _beside(database, suffix)
            read[identity(side)] = "Tautulli's database"
    if settings.plex_db is not None:
        for suffix in ("-wal", "-shm", "-journal"):
            read[identity(_beside(settings.plex_db, suffix))] = "Plex's database"
    for option, path in _files_of(settings):
        if path is not None and path != Path("-"):
            read[identity(path)] = f"the file of {option.flag}"
    return read


def _files_of(settings: Settings) -> Iterator[tuple[Option, Path | None]]:
    """Return the options that name a file to read, and the file."""
    for option in SETTINGS.values():
        if option.reads:
            yield option, getattr(settings, option.name)


def check_not_read(settings: Settings, option: str, path: Path | None) -> None:
    """Refuse to overwrite a file that is read.

    Raises:
        ConfigurationError: ``path`` is the database, a file beside it, or another input.
    """
    if path is None or path == Path("-") or not _may_be_a_file(path):
        return
    read = dict(files_read(settings))
    if settings.merge_with is not None:  # only a tracker may overwrite this one
        read[identity(settings.merge_with)] = "the file of --merge-with"
    if name := read.get(identity(path)):
        raise ConfigurationError(
            f"{option} {shown(path)} would overwrite {name}.",
            hint=f"Choose another file with {option}.",
        )


def _beside(database: Path, suffix: str) -> Path:
    """Return a file beside the database itself, not beside a link to it."""
    real = Path(os.path.realpath(database))
    return real.with_name(real.name + suffix)


def _may_be_a_file(path: Path) -> bool:
    """Return true unless it is a directory, a pipe or a device. Writing reports other errors."""
    try:
        return path.is_file() or not path.exists()
    except OSError:
        return True


def corrections(settings: Settings) -> Sequence[Correction]:
    """Read the corrections of ``--ids``.

    Raises:
        NotFoundError: the file does not exist.
        ConfigurationError: it cannot be read, or a line of it is wrong.
    """
    path = settings.ids
    if path is None:
        return ()
    if path == Path("-") and sys.stdin is None:
        raise ConfigurationError(
            "Cannot read --ids from standard input, because it is closed.",
            hint="Name the file instead of -.",
        )
    try:
        raw = sys.stdin.buffer.read() if path == Path("-") else path.read_bytes()
        if raw.startswith((b"\xff\xfe", b"\xfe\xff")):  # Excel's "Unicode text"
            raw = raw.decode("utf-16", "replace").encode()
        return parse(raw.decode("utf-8"), "standard input" if path == Path("-") else str(path))
    except FileNotFoundError:
        raise NotFoundError(
            f"There is no file {path}.",
            hint="Write one to fill in: tautulli-import unresolved DATABASE --csv FILE",
        ) from None
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ConfigurationError(
            f"{path}, line {line} is not UTF-8 text.", hint="Save the file as CSV in UTF-8."
        ) from None
    except OSError as error:
        raise ConfigurationError(
            f"Cannot read {path}: {error.strerror}.",
            hint="Check the path and the permissions of the file.",
        ) from None


def check_report_path(path: Path | None, option: str = "--report", what: str = "report") -> None:
    """Check before the run that the report or page can be written.

    Raises:
        SinkError: its directory is missing or not writable.
    """
    if path is None or path == Path("-"):
        return
    if path.is_dir():
        raise SinkError(
            f"Cannot write the {what} to {path}: it is a directory.",
            hint=f"Name a file with {option}.",
        )
    if not path.parent.is_dir():
        raise SinkError(
            f"Cannot write the {what} to {path}: there is no directory {path.parent}.",
            hint=f"Create the directory, or choose another one with {option}.",
        )
    if not os.access(path.parent, os.W_OK):
        raise SinkError(
            f"You have no permission to write in {path.parent}.",
            hint=f"Nothing was changed. Choose another directory with {option}.",
        )
