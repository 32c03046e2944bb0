"""Every error this program raises on purpose, one sentence a leaf.

    TautulliImportError            exit 1   something unexpected
    ├── ConfigurationError         exit 2   an option, a setting or a file of ours is wrong
    │   └── CheckpointError        exit 2   what is remembered is of another source or other options
    ├── SourceUnreachableError     exit 3   Tautulli, or its data, cannot be got at
    │   └── UnansweredError        exit 3   one question got no usable answer; a smaller may
    │       └── UndeliverableError exit 3   Tautulli itself fails on something that was asked for
    ├── UnauthorisedError          exit 4   the API key, or a proxy's password, is not accepted
    ├── NotFoundError              exit 5   a file, a user or a library that does not exist
    ├── BusyError                  exit 6   somebody else holds it; later it will work
    ├── SourceDamagedError         exit 7   damaged, or not what it claims to be
    │   └── DamagedPageError       exit 7   a page of the file; what is on others can be read
    ├── SinkError                  exit 8   the output could not be read, merged or written
    ├── RowsRejectedError          exit 9   finished, but rows were rejected, under --strict
    └── AccountingError            exit 1   the run's own numbers do not add up

Each says what happened and where in its message, and what to do next in ``hint``.
The command line prints both and leaves with ``exit_code``; nothing else exits.
The codes are CrossWatch's own where it has one; 130 and 143 are left to signals.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "AccountingError",
    "BusyError",
    "CheckpointError",
    "ConfigurationError",
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
    """Something went wrong that a person can be told in a sentence."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class ConfigurationError(TautulliImportError):
    """An option, a setting, the config file or the corrections file is wrong."""

    exit_code = 2


class CheckpointError(ConfigurationError):
    """What is remembered does not belong to this source, or was begun with other options."""


class SourceUnreachableError(TautulliImportError):
    """The source cannot be got at: no connection, permissions, a failing disk."""

    exit_code = 3


class UnansweredError(SourceUnreachableError):
    """Tautulli is there, but this question got no usable answer; a smaller one may get it."""


class UndeliverableError(UnansweredError):
    """Tautulli fails on what was asked for, or writes what nobody can read, each time."""


class UnauthorisedError(TautulliImportError):
    """The API key, or the user and password of a proxy in front, is not accepted."""

    exit_code = 4


class NotFoundError(TautulliImportError):
    """A file, a user or a library of that name does not exist."""

    exit_code = 5


class BusyError(TautulliImportError):
    """Another program holds what is needed."""

    exit_code = 6


class SourceDamagedError(TautulliImportError):
    """The source is damaged, or is not what it claims to be."""

    exit_code = 7


class DamagedPageError(SourceDamagedError):
    """A page of the database is damaged; what stands on other pages can still be read."""


class SinkError(TautulliImportError):
    """The output could not be read, merged with or written."""

    exit_code = 8


class RowsRejectedError(TautulliImportError):
    """The import finished, but under ``--strict`` rejected rows are a failure."""

    exit_code = 9


class AccountingError(TautulliImportError):
    """read = filtered + rejected + merged + emitted does not hold: a bug, said loudly."""
