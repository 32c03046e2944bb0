"""Check, before anything is sent, that a CrossWatch can take a history."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from ..errors import BusyError, NotFoundError, SinkError, UnauthorisedError
from .answers import Pair, Profile, Sync
from .client import CrossWatch
from .failures import no_password, not_connected

__all__ = ["Checked", "check", "keeps_files", "wait_until_idle"]

_OLD: Final = (
    "Update CrossWatch. Or write a file with --to editor, and import it there by hand: "
    "Import / Export, source Generic CSV/JSON."
)
_RETRY_SECONDS: Final = 2.0
# By its release notes. A tracker in a database could not be tried.
_DATABASE: Final = (0, 14, 2)


class Checked(Struct, frozen=True):
    """The profile that the history goes to, and what the token may do."""

    profile: str
    """Its id, exactly as CrossWatch writes it."""
    is_admin: bool
    warnings: Sequence[str] = ()
    removing: Sequence[str] = ()
    """The sync pairs that remove at the other service what vanishes here."""
    adding: Sequence[str] = ()
    """The sync pairs that write into the tracker."""


def check(client: CrossWatch, profile: str, *, every_viewing: bool, replace: bool) -> Checked:
    """Check the server, the token, and the profile with this id or label.

    Raises:
        SourceUnreachableError: there is no connection.
        NotFoundError: there is no CrossWatch, or no such profile.
        UnauthorisedError: the token is not accepted, or its user may not write.
        SinkError: CrossWatch is too old, not set up, or the tracker is not connected.
    """
    client.health()
    user = client.whoami()
    if user is None:
        raise SinkError(
            f"CrossWatch at {client.base} is older than v0.11.3 and takes nothing over HTTP.",
            hint=_OLD,
        )
    if not user.auth_required or user.user is None:
        raise no_password(client.base)
    if replace and not user.user.is_admin:
        raise UnauthorisedError(
            "--replace needs the token of an administrator, because it replaces the history.",
            hint="Use such a token, or leave out --replace.",
        )
    found = _profile(client.import_options().targets, profile, client.base)
    if not found.connected:
        raise not_connected(client.base, found.id)
    pairs = _pairs_of(client.pairs(), found.id)
    removing = [
        _name(pair)
        for pair in pairs
        if pair.features.history.remove
        and (pair.mode == "two-way" or _source_of(pair) == ("CROSSWATCH", found.id))
    ]
    single = [_name(pair) for pair in pairs if not pair.features.history.rewatches]
    warnings = [_drops_rewatches(single)] if every_viewing and single else []
    here = ("CROSSWATCH", found.id)
    adding = [_name(pair) for pair in pairs if pair.mode == "two-way" or _target_of(pair) == here]
    return Checked(found.id, user.user.is_admin, warnings, removing, adding)


def keeps_files(client: CrossWatch) -> bool:
    """Return true if the tracker is kept in files, so that an export has all of it.

    A newer version keeps it in a database, and replacing that could lose what the export lacks.
    """
    version = client.version().numbers
    return bool(version) and version < _DATABASE


def wait_until_idle(client: CrossWatch, seconds: float, *, warning: str = "") -> Sync:
    """Wait until no sync is running, and return the newest one.

    ``warning`` becomes a part of the error.

    A running sync writes back the history as it was before, without what was pushed meanwhile
    (v0.11.3).

    Raises:
        BusyError: a sync is still running after that time.
    """
    deadline = time.monotonic() + seconds
    while (sync := client.sync()).running:
        left = deadline - time.monotonic()
        if left <= 0:
            raise BusyError(
                f"CrossWatch at {client.base} is running a sync, which could lose what is pushed "
                f"now. {warning}".rstrip(),
                hint="Run the same command again after the sync, or wait for it with --wait "
                "SECONDS.",
            )
        time.sleep(min(_RETRY_SECONDS, left))
    return sync


def _profile(profiles: Sequence[Profile], wanted: str, base: str) -> Profile:
    """Return the profile with an id or a label.

    Ids are case-sensitive in CrossWatch, and it takes an unknown one for ``default`` (v0.11.3).
    """
    name = wanted.strip()
    folded = name.casefold()
    found = (
        [one for one in profiles if name == one.id]  # a person may label another one with it
        or [one for one in profiles if name == one.label]
        or [one for one in profiles if folded in (one.id.casefold(), one.label.casefold())]
    )
    if len(found) == 1:
        return found[0]
    known = ", ".join(
        one.id if one.label in ("", one.id) else f"{one.id} ({one.label})" for one in profiles
    )
    if not known:
        raise UnauthorisedError(
            f"The user of this token may not write to any profile of CrossWatch at {base}.",
            hint="In CrossWatch, allow the user to write, or use the token of an administrator.",
        )
    if found:
        raise NotFoundError(
            f"Several profiles of CrossWatch at {base} are called {wanted}.",
            hint=f"Use --profile with an id: {known}.",
        )
    raise NotFoundError(
        f"CrossWatch at {base} has no profile {wanted} that this token may write to.",
        hint=f"Use --profile with one of: {known}.",
    )


def _pairs_of(pairs: Sequence[Pair], profile: str) -> Sequence[Pair]:
    """Return the active pairs that keep the history of a profile like that of another service."""
    return [
        pair
        for pair in pairs
        if pair.enabled
        and pair.features.history.enable
        and ("CROSSWATCH", profile) in (_source_of(pair), _target_of(pair))
    ]


def _source_of(pair: Pair) -> tuple[str, str]:
    return pair.source, pair.source_instance or "default"


def _target_of(pair: Pair) -> tuple[str, str]:
    return pair.target, pair.target_instance or "default"


def _drops_rewatches(pairs: Sequence[str]) -> str:
    return (
        f"The sync pair {', '.join(pairs)} has Rewatches off. It keeps only the newest viewing of "
        "each title, also in the tracker. Switch on Rewatches in the History settings of the pair."
    )


def _name(pair: Pair) -> str:
    return f"{pair.source} – {pair.target}"
