"""The one reader of histories: a Tautulli database, overlapping backups, a copy of one over HTTP.

Rows are read in short keyset pages on ``id``, so that no lock is held between them and
memory stays flat. Several files are read newest first; a row of an older file that stands
under the same id, start and user in a newer one is the same play, counted and passed by,
unless the newer file has it incomplete and the older one has it whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, Final

from msgspec import Struct

from ...errors import ConfigurationError
from ...model.plays import SampleRow
from ...model.rejections import Reason, Rejected
from ...model.watched import WatchedRule
from ..base import Batch, Cursor, Library, Lookup, User
from .config_ini import beside, rule_from
from .file import DatabaseFile, Identity, Named, Page
from .frozen_copy import FrozenCopy
from .sqlite import SqliteFile

__all__ = ["PAGE", "Known", "Source"]

# Rows a page: few enough that a page's values are still in the processor's cache when they
# are judged. Ten thousand took a fifth longer for a million plays (2026-11-20).
PAGE: Final = 200
_WINDOW: Final = 10_000


class _Opened(Struct, frozen=True):
    """A file, and the thresholds that judge its plays."""

    file: DatabaseFile
    rule: WatchedRule


class Known(Struct, frozen=True):
    """What Tautulli said over HTTP of a history, besides the rows that came."""

    rule: WatchedRule
    name: str
    """What messages call the file; its path means nothing to anybody."""
    notices: Sequence[str] = ()
    missing: Sequence[Rejected] = ()
    """Rows that are in the history and cannot be fetched."""
    libraries: Sequence[Library] | None = None
    """``None`` where every row tells its library."""
    rereads: bool = False
    """Everything had to be fetched again, and ``notices`` tell why."""


class Source:
    """One or more Tautulli databases, read as if they were one."""

    def __init__(
        self,
        paths: Sequence[Path | FrozenCopy],
        *,
        config_ini: Path | None = None,
        page: int = PAGE,
        stdin: BinaryIO | None = None,
        known: Known | None = None,
        also_close: Callable[[], None] | None = None,
    ) -> None:
        """Open every file and look at its schema; ``-`` among ``paths`` is ``stdin``.

        The thresholds are those of ``config_ini``; else of the ``config.ini`` beside each
        file; else of the newest other file that has one; else Tautulli's defaults. ``known`` is
        given for a file that was made from HTTP: its thresholds and its name count.
        ``also_close`` is called when everything is closed.

        Raises:
            TautulliImportError: one of the files cannot be used; see ``sources.sqlite_file``.
        """
        self._page = page
        self._known = known
        self._also_close = also_close
        self._said: list[str] = list(known.notices) if known else []
        self._opened: list[_Opened] = []
        named = known.rule if known else rule_from(config_ini) if config_ini else None
        files: list[tuple[DatabaseFile, WatchedRule | None]] = []
        try:
            for path in _distinct(paths):
                if isinstance(path, FrozenCopy):
                    files.append((DatabaseFile(path), named))
                    continue
                piped = stdin if str(path) == "-" else None
                opened = SqliteFile(path, stdin=piped, shown=known.name if known else None)
                file = DatabaseFile(opened)
                files.append((file, None))
                files[-1] = (file, named or (None if piped else self._rule_beside(path)))
        except BaseException:
            for file, _ in files:
                file.sqlite.close()
            raise
        self.name = ", ".join(file.shown for file, _ in files)
        files.sort(key=lambda pair: pair[0].age, reverse=True)
        common = next((rule for _, rule in files if rule), WatchedRule())
        self._opened = [_Opened(file, rule or common) for file, rule in files]
        for one in self._opened[:-1]:
            one.file.has_older = True

    @property
    def notices(self) -> Sequence[str]:
        """How the files are read, and what old ones lack."""
        return [*self._said, *(notice for one in self._opened for notice in one.file.notices)]

    @property
    def rereads(self) -> bool:
        """Tell whether everything had to be fetched again, and ``notices`` tell why."""
        return self._known is not None and self._known.rereads

    def rules(self) -> Sequence[WatchedRule]:
        """The thresholds in force, without repetition."""
        return list(dict.fromkeys(one.rule for one in self._opened))

    @property
    def files(self) -> Sequence[DatabaseFile]:
        """The files, newest first."""
        return [one.file for one in self._opened]

    def total(self) -> int:
        """Count the rows of all files together, and those that cannot be fetched."""
        return sum(one.file.count for one in self._opened) + len(self._missing)

    def batches(self, after: Cursor | None = None, *, detailed: bool = False) -> Iterator[Batch]:
        """Return every row after ``after`` once, and at the end those that cannot be fetched.

        ``detailed`` batches have what playback events need besides the plays, and checksums.

        Raises:
            SourceUnreachableError: a file cannot be read any more.
            SourceDamagedError: a file is damaged or is not what it claims to be.
            BusyError: another program holds a file too long.
        """
        position, last = _read_cursor(after)
        cursor = after or Cursor("")
        numbered = len(self._opened) == 1
        for index, one in enumerate(self._opened):
            if index < position:
                continue
            begin = last if index == position and last is not None else one.file.first - 1
            newer = [opened.file for opened in self._opened[:index]]
            for page in one.file.pages(begin, self._page, detailed=detailed):
                cursor = Cursor(f"{index}:{page.upto}")
                numbered = numbered and page.is_whole
                yield _batch(page, cursor, one, newer, numbered=numbered)
        if self._missing:
            yield Batch((), cursor, self._opened[0].rule, self._missing, source=self.name)

    def checksum(self, upto: Cursor) -> tuple[int, int] | None:
        """Count the rows up to a cursor, and sum up the checksums of ``detailed`` batches.

        They differ from before when a row there is another play, was deleted or put in between.
        ``None`` where that cannot be told: of several files, and of a damaged one.
        """
        _, last = _read_cursor(upto)
        if len(self._opened) != 1 or last is None:
            return None
        return self.files[0].checksum(last)

    def sample_rows(self) -> Sequence[SampleRow]:
        """Return some plays of the newest file, by which the history is recognised."""
        return self.files[0].sample_rows()

    def count_matches(self, landmarks: Sequence[SampleRow]) -> int:
        """Count how many of them the file has that has the most."""
        return max(file.count_matches(landmarks) for file in self.files)

    def chosen(self, ids: Collection[int]) -> Iterator[Batch]:
        """Return the plays with these ids, of each file that has them."""
        for index, one in enumerate(self._opened):
            for page in one.file.chosen(sorted(ids)):
                yield _batch(page, Cursor(f"{index}:{page.upto}"), one, ())

    def users(self) -> Sequence[User]:
        """Return everybody in the users tables and everybody with plays, most plays first."""
        return self._users

    @cached_property
    def _users(self) -> Sequence[User]:
        counted = self._counted(2, DatabaseFile.known_users, DatabaseFile.users_of_plays)
        found = [
            User(user_id, named.name, named.detail, plays, deleted=named.deleted)
            for user_id, named, plays in counted
        ]
        return sorted(found, key=lambda user: (-user.plays, user.user_id))

    def libraries(self) -> Sequence[Library]:
        """Return every known library and every library with plays, most plays first."""
        if self._known and self._known.libraries is not None:
            return self._known.libraries
        counted = self._counted(-1, DatabaseFile.known_sections, DatabaseFile.sections_of_plays)
        found = [
            Library(section, named.name, named.detail, plays, deleted=named.deleted)
            for section, named, plays in counted
        ]
        return sorted(found, key=lambda library: (-library.plays, library.section_id))

    def _counted(
        self,
        which: int,
        known: Callable[[DatabaseFile], Mapping[int, Named]],
        of_plays: Callable[[DatabaseFile], Mapping[int, tuple[int, str]]],
    ) -> Iterator[tuple[int, Named, int]]:
        """Return users or libraries with the number of their plays; see ``_files_and_overlap``.

        Who is not in a table but has plays is a deleted one. Who was deleted and has none is
        left out.
        """
        plays: Counter[int] = Counter()
        names: dict[int, Named] = {}
        strangers: dict[int, Named] = {}
        for file, twice in self._files_and_overlap(which):  # newest first: its names win
            for number, named in known(file).items():
                names.setdefault(number, named)
            for number, (count, name) in of_plays(file).items():
                plays[number] += count - twice[number]
                strangers.setdefault(number, Named(name, "", deleted=True))
        for number, named in (strangers | names).items():
            if plays[number] or not named.deleted:
                yield number, named, plays[number]

    def lookups(self) -> Sequence[Lookup]:
        """Return what Tautulli's own lookup tables know, a newer file's answers first."""
        return [lookup for one in self._opened for lookup in one.file.lookups()]

    def close(self) -> None:
        """Close every file and remove private copies."""
        for one in self._opened:
            one.file.sqlite.close()
        if self._also_close:
            self._also_close()

    @property
    def _missing(self) -> Sequence[Rejected]:
        return self._known.missing if self._known else ()

    def _rule_beside(self, path: Path) -> WatchedRule | None:
        """The thresholds beside a database. Tautulli ignores a bad value; we say so as well."""
        try:
            found = beside(path)
            return rule_from(found) if found else None
        except (ConfigurationError, OSError) as error:
            self._said.append(
                f"{error} Tautulli's defaults are used; --config-ini names another file."
            )
            return None

    def _files_and_overlap(self, which: int) -> Iterator[tuple[DatabaseFile, Counter[int | None]]]:
        """The files, newest first, each with what of it was counted in a newer one already.

        ``which`` says by what: 2 the user of a play's identity, -1 its section.
        """
        newer: list[DatabaseFile] = []
        for one in self._opened:
            twice: Counter[int | None] = Counter()
            for after in range(one.file.first - 1, one.file.last if newer else 0, _WINDOW):
                there = _identities(newer, after, after + _WINDOW)
                for identity, section in one.file.identities(after, after + _WINDOW):
                    if identity in there:
                        twice[section if which == -1 else identity[2]] += 1
            yield one.file, twice
            newer.append(one.file)


def _batch(
    page: Page,
    cursor: Cursor,
    one: _Opened,
    newer: Sequence[DatabaseFile],
    *,
    numbered: bool = False,
) -> Batch:
    """The rows of a page that no newer file has; what one has incomplete counts as not there."""
    if not newer:
        return Batch(
            page.plays,
            cursor,
            one.rule,
            page.rejected,
            source=one.file.shown,
            checksum=page.checksum,
            details=page.details,
            numbered=numbered,
        )
    there = _identities(newer, page.after, page.upto)
    plays = []
    recovered: list[Rejected] = []
    for play in page.plays:
        missed = [file.unusable[play.id] for file in newer if play.id in file.unusable]
        known = (play.id, play.started, play.user_id) in there
        if missed and (known or all(row.reason is Reason.UNREADABLE for row in missed)):
            recovered += missed
            for file in newer:
                file.unusable.pop(play.id, None)
        elif known:
            continue
        plays.append(play)
    ids = {identity[0] for identity in there}
    rejected = [row for row in page.rejected if row.id not in ids]
    for row in page.rejected:
        if row.id in ids:  # counted as a duplicate: nothing of it is left to be recovered
            one.file.unusable.pop(row.id, None)
    duplicates = len(page.plays) + len(page.rejected) - len(plays) - len(rejected)
    return Batch(
        plays,
        cursor,
        one.rule,
        rejected,
        duplicates,
        recovered,
        one.file.shown,
        details=page.details,
    )


def _identities(files: Sequence[DatabaseFile], after: int, upto: int) -> frozenset[Identity]:
    return frozenset(identity for file in files for identity, _ in file.identities(after, upto))


def _distinct(paths: Sequence[Path | FrozenCopy]) -> list[Path | FrozenCopy]:
    """Every file once, under whatever names it was given.

    Not only for the count: closing a file drops this process's locks on it, whoever in the
    process holds them (POSIX), so one file must not be opened twice.
    """
    found: dict[object, Path | FrozenCopy] = {}
    for path in paths:
        if isinstance(path, FrozenCopy):
            found[path] = path
            continue
        try:
            info = path.stat()
        except OSError:
            found.setdefault(path, path)
        else:
            found.setdefault((info.st_dev, info.st_ino), path)
    return list(found.values())


def _read_cursor(cursor: Cursor | None) -> tuple[int, int | None]:
    """Return the file and the id that a cursor stands for.

    Positions over HTTP once were ids alone.
    """
    if not cursor:
        return 0, None
    index, _, last = cursor.rpartition(":")
    return int(index or 0), int(last) if last else None
