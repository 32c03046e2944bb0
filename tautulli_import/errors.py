"""Define every error that this program raises on purpose.

    TautulliImportError            exit 1   something unexpected
    ├── ConfigurationError         exit 2   an option, a setting or a file of ours is wrong
    │   └── CheckpointError        exit 2   the saved state is of another source or other options
    ├── SourceUnreachableError     exit 3   Tautulli, or its data, cannot be reached
    │   └── UnansweredError        exit 3   one request got no usable answer; a smaller one may
    │       └── UndeliverableError exit 3   Tautulli fails on the requested rows each time
    ├── UnauthorisedError          exit 4   the API key, or a proxy's password, is not accepted
    ├── NotFoundError              exit 5   a file, a user or a library that does not exist
    ├── BusyError                  exit 6   another program holds it; try again later
    ├── SourceDamagedError         exit 7   damaged, or not what it claims to be
    │   ├── DamagedPageError       exit 7   some rows cannot be read; others can
    │   ├── DamagedDatabaseError   exit 7   SQLite finds the file damaged
    │   └── DamagedHistoryError    exit 7   a damaged history that --salvage can import
    ├── SinkError                  exit 8   the output could not be read, merged or written
    ├── RowsRejectedError          exit 9   finished, but rows were rejected, under --strict
    └── AccountingError            exit 1   the run's own numbers do not add up

The message says what happened and where, and ``hint`` says what to do next. The command line
prints both and exits with ``exit_code``. No other code exits. The codes are CrossWatch's own
where it has one. 130 and 143 are for signals.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

__all__ = [
    "AccountingError",
    "BusyError",
    "CheckpointError",
    "ConfigurationError",
    "DamagedDatabaseError",
    "DamagedHistoryError",
    "DamagedPageError",
    "NotFoundError",
    "RowsRejectedError",
    "SinkError",
    "SourceDamagedError",
    "SourceUnreachableError",
    "TautulliImportError",
    "UnansweredError",
    "UnauthorisedError",
    "UndeliverableError",
]


class TautulliImportError(Exception):
    """A failure that one sentence can explain to a person."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "", choices: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.hint = hint
        self.choices = choices
        """The possible choices, one line each."""
        self.was_printed = False
        """True if a person has read it already. It still decides about the exit code."""


class ConfigurationError(TautulliImportError):
    """An option, a setting, the config file or the corrections file is wrong."""

    exit_code = 2


class CheckpointError(ConfigurationError):
    """The saved state belongs to another source, or was made with other options."""


class SourceUnreachableError(TautulliImportError):
    """The source cannot be reached: no connection, no permission, a failing disk."""

    exit_code = 3


class UnansweredError(SourceUnreachableError):
    """A server is there, but gave no usable answer. A smaller request may get one."""


class UndeliverableError(UnansweredError):
    """Tautulli fails on the requested rows each time, or its answer cannot be parsed."""


class UnauthorisedError(TautulliImportError):
    """The API key, or the user and password of a proxy in front, is not accepted."""

    exit_code = 4


class NotFoundError(TautulliImportError):
    """A file, a user or a library of that name does not exist."""

    exit_code = 5


class BusyError(TautulliImportError):
    """Another program holds a file or a lock that is needed."""

    exit_code = 6


class SourceDamagedError(TautulliImportError):
    """The source is damaged, or is not what it claims to be."""

    exit_code = 7


class DamagedPageError(SourceDamagedError):
    """Some rows cannot be read. Others still can."""


class DamagedDatabaseError(SourceDamagedError):
    """SQLite finds the database damaged, so that no row of it can be trusted."""


class DamagedHistoryError(SourceDamagedError):
    """A history is damaged, and was not imported. The command can do that with more arguments."""

    def __init__(self, message: str, *, hint: str = "", more: Sequence[str] = ()) -> None:
        super().__init__(message, hint=hint)
        self.more = more
        """The arguments to add to the command."""


class SinkError(TautulliImportError):
    """The output could not be read, merged or written."""

    exit_code = 8


class RowsRejectedError(TautulliImportError):
    """The import finished, but with ``--strict`` rejected rows are a failure."""

    exit_code = 9


class AccountingError(TautulliImportError):
    """``read = filtered + rejected + merged + emitted`` does not hold. This is a bug."""
