"""Open a database: whole, damaged and rebuilt, or without its primary keys."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, NoReturn

from ...errors import (
    BusyError,
    DamagedDatabaseError,
    DamagedPageError,
    SourceDamagedError,
    SourceUnreachableError,
    TautulliImportError,
)
from ...formatting import shown
from ...model.rejections import Rejected
from ...progress import UNSEEN, Progress
from ...temp_folder import PrivateFolder
from .file import DatabaseFile
from .private_copy import NO_SPACE_HINT
from .salvage.collect import Salvaged, salvage
from .salvage.keyed import copy_keyed, lacks_keys
from .salvage.report import (
    Backup,
    DamageReport,
    best_backup,
    refusal,
    report_of,
)
from .salvage.soundness import SoundCheck
from .schema import HISTORY_TABLES
from .sqlite import SqliteFile, is_sqlite
from .sqlite_errors import is_no_database

__all__ = ["GuardedFile", "open_database"]


class GuardedFile(SqliteFile):
    """A database that is checked while it is read, or what was salvaged of a damaged one."""

    def __init__(
        self,
        path: Path,
        origin: _Origin,
        *,
        salvaged: Salvaged | None = None,
        backup: Backup | None = None,
    ) -> None:
        """Open ``path``, which is in the place of ``origin``."""
        self.folder: PrivateFolder | None = None
        """A folder to remove when the file is closed."""
        self._origin = origin
        self._salvaged = salvaged
        self._backup = backup
        self._check: SoundCheck | None = None
        super().__init__(path, name=origin.shown)
        if salvaged is None:
            # What reads plays notices a row that is wrong inside: see ``Schema.lacks_metadata``.
            read = HISTORY_TABLES.values()
            self._check = SoundCheck(self.connect_again, self.shown, trees_only=read)
        else:
            self.lost = salvaged.gone

    def report(self, rejected: Sequence[Rejected] | None) -> DamageReport | None:
        """Describe the damage if the file was salvaged. ``rejected`` are the run's rejected rows.

        A lost row that is not among them was read from another file.
        """
        if self._salvaged is None:
            return None
        recovered = 0
        if rejected is not None:
            left = {row.id for row in rejected if row.source == self.shown}
            recovered = sum(number not in left for number in self._salvaged.lost)
        return report_of(self._salvaged, self.shown, self._backup, recovered=recovered)

    def begin_check(self) -> None:
        """Begin to look for damage, in a thread."""
        if self._check:
            self._check.begin()

    def check_rows(self) -> None:
        """Begin to look for damage inside of rows, too, also of media info."""
        if self._check and self._check.trees_only:
            self._check.stop()
            self._check = SoundCheck(self.connect_again, self.shown)
        self.begin_check()

    def explain(self, error: sqlite3.Error) -> TautulliImportError:
        """Return the error for an exception of SQLite. After damage each row is checked."""
        explained = super().explain(error)
        if isinstance(explained, (DamagedDatabaseError, DamagedPageError)):
            self.check_rows()
        return explained

    def refuse_known_damage(self) -> None:
        """Do as ``refuse_damage`` does if damage was found already. Never wait for the check.

        Raises:
            SourceDamagedError: it is damaged.
        """
        if self._check and self._check.has_found_damage:
            self.refuse_damage()

    def damage(self) -> str:
        """Wait for the end of the check. Return SQLite's words for the damage, or nothing.

        Raises:
            BusyError: the file was written all the time.
        """
        return self._check.damage() if self._check else ""

    def refuse_damage(self) -> None:
        """Raise an error that describes the damage, unless the file is whole or salvaged.

        Raises:
            SourceDamagedError: it is damaged.
            BusyError: the file was written all the time.
        """
        if words := self.damage():
            # Reading a file that SQLite has open would release its locks.
            self.connection.close()
            _raise_refusal(self._origin, _damaged(self.shown, words))

    def close(self) -> None:
        """End the check, close the connection, and remove private files."""
        if self._check:
            self._check.stop()
        super().close()
        if self.folder:
            self.folder.remove()


class _Origin:
    """The file that the user named. Standard input is saved in a private file first."""

    def __init__(
        self, path: Path, stdin: BinaryIO | None, name: str | None, progress: Progress
    ) -> None:
        self.path = path
        self.progress = progress
        self.shown = name or ("standard input" if stdin else shown(path))
        self.is_own = name is None
        """False for a file that was made over HTTP."""
        self.has_neighbours = stdin is None and name is None
        self.folder: PrivateFolder | None = None
        """The folder with standard input, and what was made of the file."""
        if stdin:
            self.path = self.private_folder() / "stdin.db"
            self._save(stdin)

    def private_folder(self) -> Path:
        """Return the folder. It is created when it is first needed.

        Raises:
            SourceUnreachableError: there is no space.
        """
        self.folder = self.folder or _private_folder(self.shown)
        return self.folder.path

    def close(self) -> None:
        """Remove the folder."""
        if self.folder:
            self.folder.remove()

    def _save(self, stdin: BinaryIO) -> None:
        """Write everything that ``stdin`` gives to a private file."""
        try:
            with self.path.open("wb") as file:
                shutil.copyfileobj(stdin, file, 1 << 20)
        except OSError as error:
            self.close()
            raise _no_space(self.shown, error) from error
        except BaseException:
            self.close()
            raise


def open_database(
    path: Path,
    *,
    stdin: BinaryIO | None = None,
    name: str | None = None,
    salvages: bool = False,
    progress: Progress = UNSEEN,
) -> DatabaseFile:
    """Open a database. ``name`` is used in messages in place of the path.

    A damaged one is refused, or rebuilt in a private file if ``salvages`` is set. Damage that shows
    only later is found by ``GuardedFile.refuse_damage``.

    Raises:
        TautulliImportError: it cannot be used.
    """
    origin = _Origin(path, stdin, name, progress)
    try:
        try:
            return _open(origin, salvages=salvages)
        except SourceDamagedError as error:
            if not _may_be_salvaged(origin.path, error):
                raise
            if not salvages:
                _raise_refusal(origin, error)
            return _open_salvaged(origin, error)
    except BaseException:
        origin.close()
        raise


def _open(origin: _Origin, *, salvages: bool) -> DatabaseFile:
    """Open a file, and check that its schema and its first and last rows can be read.

    Raises:
        SourceDamagedError: it is damaged. If it is to be salvaged, it is checked for that.
    """
    file = GuardedFile(origin.path, origin)
    try:
        if salvages:
            _raise_damage(file)
        if lacks_keys(file):
            _raise_damage(file)
            given, file = file, _with_keys(file, origin)
            given.close()
        found = DatabaseFile(file)
    except DamagedPageError:  # a large value, or nonsense in its length
        _raise_damage(file)
        file.close()
        raise
    except BaseException:
        file.close()
        raise
    file.folder = origin.folder
    return found


def _raise_damage(file: GuardedFile) -> None:
    """Raise an error if a file is damaged. The caller may salvage it."""
    file.check_rows()
    if words := file.damage():
        file.close()
        raise _damaged(file.shown, words)


def _damaged(name: str, words: str) -> DamagedDatabaseError:
    return DamagedDatabaseError(
        f"{name} is damaged: {words}.", hint="Read one of Tautulli's backups."
    )


def _with_keys(file: GuardedFile, origin: _Origin) -> GuardedFile:
    """Return a private copy of a file in which ``id`` is the key of each table."""
    target = origin.private_folder() / "keyed.db"
    copy_keyed(file, target)
    keyed = GuardedFile(target, origin)
    keyed.notices.append(
        f"Reading a private copy of {file.shown}, because its tables have lost their primary keys."
    )
    return keyed


def _may_be_salvaged(path: Path, error: SourceDamagedError) -> bool:
    """Return whether an error is one of a damaged file, and not one about another file."""
    if isinstance(error, DamagedDatabaseError):
        return True
    try:
        return path.is_file() and (not is_sqlite(path) or is_no_database(error.__cause__))
    except OSError:
        return False


def _open_salvaged(origin: _Origin, error: SourceDamagedError) -> DatabaseFile:
    """Rebuild a damaged file and open the result, or raise ``error`` if there is nothing in it."""
    salvaged, backup = _salvage(origin, origin.private_folder(), error)
    file = GuardedFile(salvaged.path, origin, salvaged=salvaged, backup=backup)
    found = DatabaseFile(file)
    file.folder = origin.folder
    return found


def _salvage(
    origin: _Origin, folder: Path, error: SourceDamagedError
) -> tuple[Salvaged, Backup | None]:
    """Rebuild a damaged file in ``folder``, or raise ``error`` if there is nothing in it."""
    salvaged = salvage(origin.path, folder, origin.shown, origin.progress)
    if salvaged is None:
        raise error
    return salvaged, best_backup(origin.path, salvaged) if origin.has_neighbours else None


def _raise_refusal(origin: _Origin, error: SourceDamagedError) -> NoReturn:
    """Raise an error with an account of the damage, or ``error`` if there is nothing to salvage."""
    folder = _private_folder(origin.shown)
    try:
        try:
            salvaged, backup = _salvage(origin, folder.path, error)
        except (BusyError, SourceUnreachableError):  # there is no room to look closer
            raise error from None
        raise refusal(report_of(salvaged, origin.shown, backup), is_own=origin.is_own) from error
    finally:
        folder.remove()


def _private_folder(name: str) -> PrivateFolder:
    try:
        return PrivateFolder()
    except OSError as error:
        raise _no_space(name, error) from error


def _no_space(name: str, error: OSError) -> SourceUnreachableError:
    return SourceUnreachableError(
        f"{name} could not be saved in {tempfile.gettempdir()}: {error.strerror}.",
        hint=NO_SPACE_HINT,
    )
