"""Tautulli's SQLite files as a source: one database, or several overlapping backups.

Rows are read in short keyset pages on ``id``, so that no lock is held between them and
memory stays flat. Several files are read newest first; a row of an older file that stands
under the same id, start and user in a newer one is the same play, counted and passed by,
unless the newer file has it incomplete and the older one has it whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, Final

from msgspec import Struct

from ..errors import ConfigurationError
from ..models import Landmark, Reason, Rejected
from ..watched import WatchedRule
from .base import Batch, Cursor, Library, Lookup, User
from .config_ini import beside, rule_from
from .database_file import DatabaseFile, Identity, Named, Page

__all__ = ["DatabaseSource"]

# Rows a page: few enough that a page's values are still in the processor's cache when they
# are judged. Ten thousand took a fifth longer for a million plays (2026-11-20).
_PAGE: Final = 200
_WINDOW: Final = 10_000


class _Opened(Struct, frozen=True):
    """A file, and the thresholds that judge its plays."""

    file: DatabaseFile
    rule: WatchedRule


class DatabaseSource:
    """One or more Tautulli databases, read as if they were one."""

    def __init__(
        self,
        paths: Sequence[Path],
        *,
        config_ini: Path | None = None,
        page: int = _PAGE,
        stdin: BinaryIO | None = None,
        rule: WatchedRule | None = None,
        shown: str | None = None,
        now: int | None = None,
    ) -> None:
        """Open every file and look at its schema; ``-`` among ``paths`` is ``stdin``.

        The thresholds are those of ``config_ini``; else of the ``config.ini`` beside each
        file; else of the newest other file that has one; else Tautulli's defaults. ``rule`` is
        what Tautulli itself said of them; ``shown`` is what to call a file that has no name.
        With ``now`` (epoch seconds, UTC) the batches of a single file tell which rows are old
        enough to be the same next time. Several files overlap differently each time.

        Raises:
            TautulliImportError: one of the files cannot be used; see ``sources.sqlite_file``.
        """
        self._page = page
        self._now = now
        self._said: list[str] = []
        self._opened: list[_Opened] = []
        named = rule or (rule_from(config_ini) if config_ini else None)
        files: list[tuple[DatabaseFile, WatchedRule | None]] = []
        try:
            for path in _distinct(paths):
                piped = stdin if str(path) == "-" else None
                file = DatabaseFile(path, piped, shown)
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
        """Nothing that was read before is kept of files."""
        return False

    def rules(self) -> Sequence[WatchedRule]:
        """The thresholds in force, without repetition."""
        return list(dict.fromkeys(one.rule for one in self._opened))

    @property
    def files(self) -> Sequence[DatabaseFile]:
        """The files, newest first."""
        return [one.file for one in self._opened]

    def total(self) -> int:
        """How many rows there are in all files together."""
        return sum(one.file.count for one in self._opened)

    def batches(self, after: Cursor | None = None, *, detailed: bool = False) -> Iterator[Batch]:
        """Every row of every file; see ``Source.batches``."""
        position, last = _read_cursor(after)
        settled = (
            self.files[0].settled_upto(self._now)
            if self._now is not None and len(self._opened) == 1
            else None
        )
        numbered = len(self._opened) == 1
        for index, one in enumerate(self._opened):
            if index < position:
                continue
            begin = last if index == position and last is not None else one.file.first - 1
            newer = [opened.file for opened in self._opened[:index]]
            pages = one.file.pages(begin, self._page, marked=settled is not None, detailed=detailed)
            for page in pages:
                cursor = Cursor(f"{index}:{page.upto}")
                numbered = numbered and page.is_whole
                if settled is not None and not (page.is_whole and page.upto <= settled):
                    settled = None
                yield _batch(
                    page, cursor, one, newer, settled=settled is not None, numbered=numbered
                )

    def marked(self, upto: Cursor, *, detailed: bool = False) -> tuple[int, int] | None:
        """How many rows there are up to there, and the sum of their marks."""
        _, last = _read_cursor(upto)
        if len(self._opened) != 1 or last is None:
            return None
        return self.files[0].marked(last, detailed=detailed)

    def landmarks(self) -> Sequence[Landmark]:
        """Some plays of the newest file."""
        return self.files[0].landmarks()

    def recognised(self, landmarks: Sequence[Landmark]) -> int:
        """How many of them the file has that has the most."""
        return max(file.recognised(landmarks) for file in self.files)

    def chosen(self, ids: Collection[int]) -> Iterator[Batch]:
        """The plays with these numbers, of each file that has them."""
        for index, one in enumerate(self._opened):
            for page in one.file.chosen(sorted(ids)):
                yield _batch(page, Cursor(f"{index}:{page.upto}"), one, ())

    def users(self) -> Sequence[User]:
        """Everybody in the users tables and everybody with plays."""
        return self._users

    @cached_property
    def _users(self) -> Sequence[User]:
        plays: Counter[int] = Counter()
        names: dict[int, Named] = {}
        strangers: dict[int, Named] = {}
        for file, twice in self._files_and_overlap(2):  # newest first: its names win
            for user_id, named in file.known_users().items():
                names.setdefault(user_id, named)
            for user_id, (count, name) in file.users_of_plays().items():
                plays[user_id] += count - twice[user_id]
                strangers.setdefault(user_id, Named(name, "", deleted=True))
        names = strangers | names
        found = [
            User(user_id, named.name, named.detail, plays[user_id], deleted=named.deleted)
            for user_id, named in names.items()
            if plays[user_id] or not named.deleted
        ]
        return sorted(found, key=lambda user: (-user.plays, user.user_id))

    def libraries(self) -> Sequence[Library]:
        """Every section in the libraries tables and every section with plays."""
        plays: Counter[int] = Counter()
        names: dict[int, Named] = {}
        strangers: dict[int, Named] = {}
        for file, twice in self._files_and_overlap(-1):
            for section, named in file.known_sections().items():
                names.setdefault(section, named)
            for section, count in file.sections_of_plays().items():
                plays[section] += count - twice[section]
                strangers.setdefault(section, Named(f"library {section}", "", deleted=True))
        names = strangers | names
        found = [
            Library(section, named.name, named.detail, plays[section], deleted=named.deleted)
            for section, named in names.items()
            if plays[section] or not named.deleted
        ]
        return sorted(found, key=lambda library: (-library.plays, library.section_id))

    def know_everybody(self) -> None:
        """Nothing to do: the users table is in the file."""

    def know_sections(self, sections: frozenset[int]) -> None:
        """Nothing to do: every row of a database says where it is from."""

    def lookups(self) -> Sequence[Lookup]:
        """Tautulli's own lookup tables; those of a newer file first."""
        return [lookup for one in self._opened for lookup in one.file.lookups()]

    def close(self) -> None:
        """Close every file and remove private copies."""
        for one in self._opened:
            one.file.sqlite.close()

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
    settled: bool = False,
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
            settled=settled,
            mark=page.mark,
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


def _distinct(paths: Sequence[Path]) -> list[Path]:
    """Every file once, under whatever names it was given.

    Not only for the count: closing a file drops this process's locks on it, whoever in the
    process holds them (POSIX), so one file must not be opened twice.
    """
    found: dict[object, Path] = {}
    for path in paths:
        try:
            info = path.stat()
        except OSError:
            found.setdefault(path, path)
        else:
            found.setdefault((info.st_dev, info.st_ino), path)
    return list(found.values())


def _read_cursor(cursor: Cursor | None) -> tuple[int, int | None]:
    if cursor is None:
        return 0, None
    index, _, last = cursor.partition(":")
    return int(index or 0), int(last) if last else None
