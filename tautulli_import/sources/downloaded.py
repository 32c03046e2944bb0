"""Tautulli's whole database, downloaded once over HTTP, with the newest plays from its history.

Only the main file is sent: what is still in Tautulli's ``-wal`` is missing, and when its database
is locked for twenty seconds it sends an older copy without a word (measured on 2.17.2). So what
came is held against the history's newest rows, and what is missing is read from there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import timedelta
from typing import BinaryIO, Final

import msgspec

from ..client.tautulli import Tautulli
from ..errors import SourceDamagedError, SourceUnreachableError
from ..models import Details, Landmark, Play
from ..watched import WatchedRule
from .base import Batch, Cursor, Library, Lookup, User
from .crawl import Crawl, Stretch
from .database import DatabaseSource
from .listing import Listing, day_of
from .private import PrivateFolder
from .refresh import thresholds
from .rows import Row, detail

__all__ = ["DownloadedSource"]

_MAGIC: Final = b"SQLite format 3\x00"
_MARGINS: Final = (timedelta(days=3), timedelta(days=60))
_PLAY: Final = len(Play.__struct_fields__)
_PAGE: Final = 200


class DownloadedSource:
    """One Tautulli, by its database as a file; the file is gone when this is closed."""

    def __init__(
        self,
        tautulli: Tautulli,
        *,
        now: int,
        advanced: Callable[[int, int | None], None],
        page: int = _PAGE,
    ) -> None:
        """Download, look at it, and read what is missing of it.

        ``now`` is the time of the run (epoch seconds, UTC); ``advanced`` is told the bytes
        that have come so far, and how many there will be.

        Raises:
            SourceDamagedError: what came is no database, or not that of this history.
            SourceUnreachableError: there is no room for it.
            TautulliImportError: as of ``Tautulli.ask``.
        """
        self.name = tautulli.shown
        self._tautulli = tautulli
        self._now = now
        self._rule = thresholds(tautulli)
        try:
            self._folder = PrivateFolder()
        except OSError as error:
            raise _no_room(error) from error
        try:
            self._database = self._download(advanced, page)
            try:
                self._missing = self._missing_plays()
            except BaseException:
                self._database.close()
                raise
        except BaseException:
            self._folder.remove()
            raise

    @property
    def notices(self) -> Sequence[str]:
        """How the file is read, and what was missing in it."""
        late = len(self._missing)
        said = [f"{late:,} plays that the downloaded database did not have yet were asked for."]
        return [*self._database.notices, *(said if late else [])]

    def rules(self) -> Sequence[WatchedRule]:
        """The thresholds of the server."""
        return [self._rule]

    @property
    def rereads(self) -> bool:
        """Nothing that was read before is kept of a download."""
        return False

    def total(self) -> int:
        """How many rows there are."""
        return self._database.total() + len(self._missing)

    def batches(self, after: Cursor | None = None, *, detailed: bool = False) -> Iterator[Batch]:
        """Every row of the file, then those that were missing."""
        cursor = after or Cursor("0")
        for batch in self._database.batches(after, detailed=detailed):
            yield batch
            cursor = batch.cursor
        if self._missing:
            yield Batch(self._missing, cursor, self._rule, source=self.name, details=self._details)

    def marked(self, upto: Cursor, *, detailed: bool = False) -> tuple[int, int] | None:
        """As of the file: what is missing there is never settled."""
        return self._database.marked(upto, detailed=detailed)

    def landmarks(self) -> Sequence[Landmark]:
        """Those of the file."""
        return self._database.landmarks()

    def recognised(self, landmarks: Sequence[Landmark]) -> int:
        """How many of them the file has."""
        return self._database.recognised(landmarks)

    def chosen(self, ids: Collection[int]) -> Iterator[Batch]:
        """The plays with these numbers."""
        yield from self._database.chosen(ids)
        if late := [play for play in self._missing if play.id in ids]:
            yield Batch(late, Cursor("0"), self._rule, source=self.name)

    def users(self) -> Sequence[User]:
        """As the file has them, the missing plays counted in."""
        late = Counter(play.user_id for play in self._missing if play.user_id is not None)
        known = {user.user_id: user for user in self._database.users()}
        for play in self._missing:
            if play.user_id is not None and play.user_id not in known:
                known[play.user_id] = User(play.user_id, play.user or "", "", 0, deleted=True)
        users = [
            msgspec.structs.replace(user, plays=user.plays + late[number])
            for number, user in known.items()
        ]
        return sorted(users, key=lambda user: (-user.plays, user.user_id))

    def libraries(self) -> Sequence[Library]:
        """As the file has them; of the missing plays the library is not known."""
        return self._database.libraries()

    def know_everybody(self) -> None:
        """Nothing to do: the users table is in the file."""

    def know_sections(self, sections: frozenset[int]) -> None:
        """Ask which of the missing plays are from these libraries."""
        started = [play.started for play in self._missing if play.started]
        for section in sorted(sections) if started else ():
            found: set[int] = set()

            def keep(stretch: Stretch, found: set[int] = found) -> None:
                found.update(row[0] for row in stretch.rows)

            listing = Listing(self._tautulli, section_id=section)
            crawl = Crawl(listing, keep, today=day_of(self._now))
            crawl.newest(day_of(min(started)) - timedelta(days=1))
            self._missing = [
                msgspec.structs.replace(play, section_id=section) if play.id in found else play
                for play in self._missing
            ]

    def lookups(self) -> Sequence[Lookup]:
        """Tautulli's own lookup tables."""
        return self._database.lookups()

    def close(self) -> None:
        """Close the file and remove it."""
        self._database.close()
        self._folder.remove()

    def _download(self, advanced: Callable[[int, int | None], None], page: int) -> DatabaseSource:
        path = self._folder.path / "tautulli.db"
        try:
            with path.open("wb") as file:
                self._tautulli.download("download_database", lambda: _Fresh(file), advanced)
        except OSError as error:
            raise _no_room(error) from error
        with path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                raise SourceDamagedError(
                    f"What {self.name} sent is no SQLite database.",
                    hint="--via history asks for the plays instead.",
                )
        return DatabaseSource([path], page=page, rule=self._rule, shown=self.name, now=self._now)

    def _missing_plays(self) -> Sequence[Play]:
        """The plays that Tautulli has and the file has not.

        Raises:
            SourceDamagedError: the file is not that of the history, or more than lately is
                missing.
        """
        file = self._database.files[0]
        newest = day_of(min(file.newest, self._now)) if file.newest > 0 else day_of(0)
        listing = Listing(self._tautulli)
        rows: dict[int, Row] = {}
        self._details: dict[int, Details] = {}

        def keep(stretch: Stretch) -> None:
            rows.update((row[0], row) for row in stretch.rows)

        crawl = Crawl(listing, keep, today=day_of(self._now))
        for margin in _MARGINS:
            crawl.newest(newest - margin)
            low = min(rows, default=file.last) - 1
            known = {one[0]: one for one, _ in file.identities(low, file.last)}
            missing = [row for number, row in sorted(rows.items()) if number not in known]
            others = [
                row
                for row in rows.values()
                if row[0] in known and known[row[0]] != (row[0], row[2], row[4])
            ]
            if others or (file.count and not rows):
                raise SourceDamagedError(
                    f"The database that {self.name} sent is not that of its history.",
                    hint="--via history asks for the plays instead.",
                )
            if file.count + len(missing) == listing.total:
                self._details = detail(missing)
                return [msgspec.convert(row[:_PLAY], Play) for row in missing]
        raise SourceDamagedError(
            f"The database that {self.name} sent has {file.count:,} rows, its history "
            f"{listing.total or 0:,}.",
            hint="--via history asks for the plays instead.",
        )


class _Fresh:
    """Writes into a file from its beginning; a full disk is no trouble of the network."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        file.seek(0)
        file.truncate()

    def __call__(self, piece: bytes) -> None:
        try:
            self._file.write(piece)
        except OSError as error:
            raise _no_room(error) from error


def _no_room(error: OSError) -> SourceUnreachableError:
    return SourceUnreachableError(
        f"The database could not be kept while it is read: {error.strerror or error}.",
        hint="Set TMPDIR to a directory that has room, or leave out --via database.",
    )
