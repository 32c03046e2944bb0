"""Define CrossWatch's answers, as far as they are used (v0.11.3)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from msgspec import Struct, field

__all__ = [
    "Commit",
    "Failure",
    "Health",
    "ImportOptions",
    "Pair",
    "Preview",
    "PreviewRow",
    "Profile",
    "Sync",
    "Tracker",
    "TrackerFile",
    "Upload",
    "Version",
    "Whoami",
]


class Health(Struct, frozen=True):
    """The answer to ``GET /api/health``."""

    ok: bool = False


class _User(Struct, frozen=True):
    is_admin: bool = False


class Whoami(Struct, frozen=True):
    """The user of a token."""

    auth_required: bool
    """False if no password is set yet. Then no other call works."""
    user: _User | None = None


class Profile(Struct, frozen=True):
    """A profile of the tracker. CrossWatch calls it an instance."""

    id: str
    label: str = ""
    connected: bool = False


class ImportOptions(Struct, frozen=True):
    """The profiles that the user of the token may write to."""

    targets: Sequence[Profile]


class Sync(Struct, frozen=True):
    """The newest sync."""

    running: bool = False
    run_id: str | None = None


class _History(Struct, frozen=True):
    enable: bool = False
    remove: bool = False
    rewatches: bool = False


class _Features(Struct, frozen=True):
    history: _History = _History()


class Pair(Struct, frozen=True):
    """Two services that CrossWatch keeps alike."""

    source: str = ""
    target: str = ""
    source_instance: str = ""
    target_instance: str = ""
    mode: str = ""
    """``two-way``, or else only the source changes the target."""
    enabled: bool = False
    features: _Features = _Features()


class PreviewRow(Struct, frozen=True):
    """A row of a preview."""

    key: str = ""
    title: str = ""
    status: str = ""
    reason: str = ""
    watched_at: str | None = None


class _Summary(Struct, frozen=True):
    total: int
    ready: int
    exists: int
    by_feature: Mapping[str, int] = {}
    by_status: Mapping[str, int] = {}


class Preview(Struct, frozen=True):
    """A comparison of rows with the tracker. Nothing is written yet."""

    import_id: str
    target_instance: str
    summary: _Summary
    rows: Sequence[PreviewRow] = ()
    """The first of the rows that are ready."""


class Commit(Struct, frozen=True):
    """The answer after the ready rows of a preview were written, or were meant to be."""

    target_instance: str


class TrackerFile(Struct, frozen=True):
    """A file of the tracker."""

    name: str
    size: int = 0
    mtime: str = ""


class Tracker(Struct, frozen=True):
    """The files of the tracker. Only administrators are told."""

    provider_instance: str
    state_files: Sequence[TrackerFile] = ()
    snapshots: Sequence[TrackerFile] = ()

    @property
    def history(self) -> TrackerFile | None:
        """Return the file of the history, or ``None`` if there is none."""
        return next((one for one in self.state_files if one.name == "history.json"), None)

    @property
    def is_empty(self) -> bool:
        """Return true if there is no history, nor a snapshot that CrossWatch could revive."""
        return self.history is None and not any(
            one.name.endswith("history.json") for one in self.snapshots
        )


class Upload(Struct, frozen=True):
    """The answer to an upload of a tracker file. A failure has the status 200, too."""

    ok: bool = False
    provider_instance: str = ""
    target: str = ""
    kind: str = ""
    error: str = ""


class Version(Struct, frozen=True):
    """The version of CrossWatch."""

    current: str = ""

    @property
    def numbers(self) -> tuple[int, ...]:
        """Return the numbers of the version; none if they cannot be read."""
        found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", self.current)
        return tuple(map(int, found.groups())) if found else ()


class _Detail(Struct, frozen=True):
    code: str = ""
    detail: str = ""


class Failure(Struct, frozen=True):
    """An answer with an error, in the forms that CrossWatch has for it."""

    error: str = ""
    detail: _Detail | str | Sequence[object] = field(default_factory=_Detail)

    @property
    def code(self) -> str:
        """Return the code of the error, such as ``import_preview_not_found``."""
        return self.detail.code if isinstance(self.detail, _Detail) else ""

    @property
    def said(self) -> str:
        """Return what CrossWatch said, or nothing."""
        if isinstance(self.detail, _Detail):
            return self.error or self.detail.detail or self.detail.code
        return self.error or (self.detail if isinstance(self.detail, str) else "")
