"""From settings to a job: names looked up, dates read, files opened."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ..errors import (
    ConfigurationError,
    NotFoundError,
    RowsRejectedError,
    SinkError,
    SourceDamagedError,
)
from ..files import identity, shown
from ..ids.corrections import Correction, parse
from ..model.clock import parse_moment
from ..model.rejections import Reason
from ..model.selection import Selection
from ..options import SETTINGS, Option
from ..settings import Loaded, Settings, load
from ..sources.choose import choose_libraries, choose_users
from ..sources.database.source import Source
from ..sources.database.sqlite import not_there
from ..state.checkpoint import CheckpointStore
from .console import Screen

__all__ = [
    "announce",
    "check_databases",
    "check_not_read",
    "check_report_path",
    "corrections",
    "files_read",
    "judge_rejected",
    "open_databases",
    "selection",
    "settings_from",
]


def settings_from(flags: Mapping[str, object]) -> Loaded:
    """Load the settings.

    Raises:
        ConfigurationError: one is wrong, or several come from standard input.
    """
    loaded = load(flags)
    settings = loaded.settings
    wanted = [
        *(["the database"] if Path("-") in settings.database else []),
        *(
            option.flag
            for option, path in _files_of(settings)
            if path == Path("-") and option.reads == "file or stdin"
        ),
    ]
    if len(wanted) > 1:
        raise ConfigurationError(
            f"{' and '.join(wanted)} are all to come from standard input.",
            hint="Name a file for all but one.",
        )
    return loaded


def open_databases(settings: Settings) -> Source:
    """Open the databases that were named.

    Raises:
        TautulliImportError: none was, or one cannot be used.
    """
    paths = settings.database
    if not paths:
        raise ConfigurationError(
            "No database was named.",
            hint="Name Tautulli's tautulli.db, or set IMPORT_DB_PATH. Over HTTP: api, with "
            "TAUTULLI_URL.",
        )
    if Path("-") in paths and sys.stdin is None:
        raise ConfigurationError(
            "The database is to come from standard input, and that is closed.",
            hint="Name the file.",
        )
    return Source(
        paths,
        config_ini=settings.config_ini,
        page=settings.batch_size,
        stdin=sys.stdin.buffer if Path("-") in paths else None,
    )


def check_databases(settings: Settings) -> None:
    """Find out before anything is remembered of it that a database is not there.

    Raises:
        NotFoundError: one does not exist.
    """
    for path in settings.database:
        try:
            if path != Path("-"):
                path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            raise not_there(shown(path)) from None
        except OSError:  # it may be there, and not be ours to see: opening it says what is wrong
            continue


def selection(settings: Settings, source: Source, *, now: int) -> Selection:
    """What was asked for, names looked up in the source.

    Raises:
        TautulliImportError: a name fits nobody or several, or a date is none.
    """
    since = None if settings.since is None else parse_moment(settings.since, now=now)
    until = None if settings.until is None else parse_moment(settings.until, now=now, end=True)
    if settings.include_partial and settings.min_percent is not None:
        raise ConfigurationError(
            "--include-partial and --min-percent contradict each other.", hint="Keep one of them."
        )
    if since is not None and until is not None and since >= until:
        raise ConfigurationError(
            "--since is not before --until, so nothing could be imported.",
            hint="Swap the two.",
        )
    sections = None
    if settings.library:
        sections = choose_libraries(source.libraries(), settings.library)
    return Selection(
        media_types=frozenset(settings.media_type),
        users=choose_users(source.users(), settings.user) if settings.user else None,
        sections=sections,
        since=since,
        until=until,
        min_percent=settings.min_percent,
        include_partial=settings.include_partial,
        watched_at=settings.watched_at,
    )


def files_read(settings: Settings) -> Mapping[object, str]:
    """What a run reads, by file identity: nothing of it may be written over."""
    read: dict[object, str] = {}
    for database in settings.database:
        for suffix in ("", "-wal", "-shm", "-journal"):
            side = _beside(database, suffix)
            read[identity(side)] = "Tautulli's database"
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
    """Refuse to write over what is read.

    Raises:
        ConfigurationError: the path is the database, a file beside it, or another input.
    """
    if path is None or path == Path("-") or not _may_be_a_file(path):
        return
    read = dict(files_read(settings))
    if settings.merge_with is not None:  # a tracker may be merged with itself; a report not
        read[identity(settings.merge_with)] = "the file of --merge-with"
    found = read.get(identity(path))
    if found:
        raise ConfigurationError(
            f"{option} {shown(path)} is {found}, and would be overwritten.",
            hint="Name another file.",
        )


def _beside(database: Path, suffix: str) -> Path:
    """A file beside the database itself, not beside a link to it."""
    real = Path(os.path.realpath(database))
    return real.with_name(real.name + suffix)


def _may_be_a_file(path: Path) -> bool:
    """Not a directory, pipe or device; what cannot be looked at is somebody else's to refuse."""
    try:
        return path.is_file() or not path.exists()
    except OSError:
        return True


def corrections(settings: Settings) -> Sequence[Correction]:
    """What ``--ids`` says.

    Raises:
        NotFoundError: there is no such file.
        ConfigurationError: it cannot be read, or a line of it is wrong.
    """
    path = settings.ids
    if path is None:
        return ()
    if path == Path("-") and sys.stdin is None:
        raise ConfigurationError(
            "--ids is to come from standard input, and that is closed.", hint="Name the file."
        )
    try:
        raw = sys.stdin.buffer.read() if path == Path("-") else path.read_bytes()
        if raw.startswith((b"\xff\xfe", b"\xfe\xff")):  # Excel's "Unicode text"
            raw = raw.decode("utf-16", "replace").encode()
        return parse(raw.decode("utf-8"), "standard input" if path == Path("-") else str(path))
    except FileNotFoundError:
        raise NotFoundError(
            f"There is no file {path}.",
            hint="'tautulli-import check DATABASE --missing-ids FILE' writes one to fill in.",
        ) from None
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ConfigurationError(
            f"{path}, line {line}: this is not UTF-8.", hint="Save the file as CSV, UTF-8."
        ) from None
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error.strerror}.", hint="Mend its permissions."
        ) from None


def announce(
    source: Source,
    settings: Settings,
    screen: Screen,
    store: CheckpointStore | None = None,
    *,
    merges: bool = True,
) -> None:
    """Say how the source is read, and whose plays are about to become one history.

    The latter once, until it is somebody else's: a nightly run would repeat what is long known.
    """
    for notice in source.notices:
        screen.note(notice)
    if settings.user or settings.each_user or not merges:
        return
    people = [user for user in source.users() if user.plays]
    ids = sorted(user.user_id for user in people)
    if len(people) > 1 and not (store and store.was_told_of_merge(ids)):
        named = ", ".join(f"{user.name} ({user.plays:,})" for user in people[:6])
        more = f" and {len(people) - 6} more" if len(people) > 6 else ""
        screen.note(
            f"Merging the plays of {len(people)} users into one history: {named}{more}. "
            "Choose with --user, or keep them apart with --each-user."
        )
        if store and not screen.quiet:
            store.save_told_of_merge(ids)


def judge_rejected(rejected: Mapping[str, int], source: Source, settings: Settings) -> None:
    """After everything is done: whether what was rejected makes the run a failure.

    Raises:
        SourceDamagedError: rows could not be read at all.
        RowsRejectedError: there are rejected rows, and ``--strict`` was given.
    """
    if unreadable := rejected.get(Reason.UNREADABLE.value):
        raise SourceDamagedError(
            f"{source.name} is damaged: {unreadable} rows could not be read.",
            hint="Everything else was read. Name a backup as well, and what it has is taken from "
            "there; or repair a copy: sqlite3 copy.db .recover | sqlite3 repaired.db",
        )
    if settings.strict and (count := sum(rejected.values())):
        raise RowsRejectedError(
            f"{count} rows were rejected.",
            hint="Everything else was read. --report FILE and check --verbose list them.",
        )


def check_report_path(path: Path | None) -> None:
    """Find out before the run, not after it, that the report has nowhere to go.

    Raises:
        SinkError: its directory is missing or may not be written.
    """
    if path is None:
        return
    if path == Path("-"):
        return
    if path.is_dir():
        raise SinkError(
            f"{path} could not be written: it is a directory.",
            hint="Name a file with --report.",
        )
    parent = path.parent
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise SinkError(
            f"{path} could not be written: {parent} is no directory that may be written.",
            hint="Name another file with --report.",
        )
