"""Push a history into a running CrossWatch, for ``--to crosswatch``."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Raw

from ..crosswatch.access import Access
from ..crosswatch.answers import PreviewRow, Sync
from ..crosswatch.checking import Checked, check, keeps_files, wait_until_idle
from ..crosswatch.client import CrossWatch
from ..crosswatch.push import MIXED, Chunk, Push, Pushed
from ..errors import BusyError, ConfigurationError, SinkError
from ..interrupts import Stopped
from ..state.copies import Copy, keep_content
from .base import Receipt, SnapshotSink
from .crosswatch_tracker import (
    Export,
    elsewhere,
    has_arrived,
    merged_into,
    titles_gone,
    under_own_keys,
    upload,
)
from .merged import Merged
from .verified_records import VerifiedRecords

__all__ = ["CrosswatchSink"]

_WEEK: Final = 7 * 86_400
_SAMPLES: Final = 200
"""Verified entries that each run looks for again. A sync without Rewatches, a cleared tracker or a
restored backup loses many at once."""
_NAMED: Final = 3
_BLIND: Final = (
    "The token is not an administrator's, so a viewing that another program has noted some seconds "
    "apart counts as another one. --same-play has no effect."
)
_LISTED: Final = 20


class CrosswatchSink(SnapshotSink):
    """Adds what CrossWatch does not have yet, and verifies that it is there."""

    summary = "a running CrossWatch, over HTTP: adds what it lacks, and verifies"
    supersedes = True
    only_adds = True
    is_stoppable = True
    wants_crosswatch = True
    _checked: Checked | None = None
    _export: Export | None = None

    @property
    def identity(self) -> str:
        """Return the address and the profile, by its id as soon as that is known."""
        return self._named(self._checked.profile) if self._checked else self.asked_identity

    @property
    def asked_identity(self) -> str:
        """Return the address and the profile as the settings name it: by its id or its label."""
        return self._named(self._wanted or f"user {self.options.user}")

    def _named(self, profile: str) -> str:
        return f"{self._access.address.base} {profile.strip().casefold()}"

    @property
    def where(self) -> str:
        """Return the address and the profile for messages."""
        profile = self._checked.profile if self._checked else self._wanted or "not given"
        return f"CrossWatch at {self._access.address.base} (profile {profile})"

    @property
    def _access(self) -> Access:
        access = self.options.crosswatch
        if access is None:
            raise ConfigurationError(
                "No CrossWatch address given.",
                hint="Use --crosswatch-url http://192.168.1.10:8787 or set CW_URL.",
            )
        return access

    @property
    def _wanted(self) -> str | None:
        """Return the profile as the settings name it; ``None`` for a user without one."""
        access = self._access
        if self.options.user is None:
            return access.profile
        profiles = {name.casefold(): profile for name, profile in access.profiles.items()}
        names = [name.casefold() for name in self.options.known_as if name]  # an id comes first
        return next((profiles[name] for name in names if name in profiles), None)

    def exists(self) -> bool:
        """Return true, because other programs write there, too."""
        return True

    def check(self) -> None:
        """Check that CrossWatch is there, and that the token may write to the profile.

        Raises:
            ConfigurationError: ``--out`` is given.
            TautulliImportError: see ``crosswatch.checking``.
        """
        if self.options.out is not None:
            raise ConfigurationError(
                "--to crosswatch pushes into a running CrossWatch, not into a file or to standard "
                "output.",
                hint="Use --crosswatch-url instead of --out. For a file use --to tracker or --to "
                "editor.",
            )
        with CrossWatch(self._access) as client:
            self._check(client)
            if not self.options.dry_run:
                wait_until_idle(client, self.options.wait)

    def entries(self) -> Mapping[str, Raw]:
        """Return the entries in the tracker by key. They are read once.

        Raises:
            TautulliImportError: the export failed.
        """
        return self._exported().entries

    def keep_copies(self, folder: Path) -> Sequence[Copy]:
        """Save the export of the tracker before ``--replace`` changes it.

        Raises:
            TautulliImportError: that is not possible.
        """
        if not self.options.replace:
            return []
        name = Path("crosswatch-tracker.zip")
        export = self._exported()
        return [keep_content(folder, name, self.identity, export.chunks, self.options.now)]

    def preview(self) -> Receipt:
        """Return CrossWatch's own numbers, or those of the merging for ``--replace``."""
        with CrossWatch(self._access) as client:
            checked = self._check(client)
            if self.options.replace:
                export = self._exported(client)
                merged = merged_into(
                    export.entries, self.records, self.superseded, self.options.same_play
                )
                gone = titles_gone(export.entries, merged)
                said = [*self._removing(checked, gone), *self._restoring(checked, gone)]
                return self._replaced(merged.counts(), [*checked.warnings, *said])
            push = self._pusher(client, checked)
            known = self._elsewhere(client, checked, range(len(self.records)))
            places = [place for place in range(len(self.records)) if place not in known]
            return self._receipt(checked, push.preview(places))

    def commit(self) -> Receipt:
        """Push what is not known to be there, and verify it.

        Raises:
            TautulliImportError: CrossWatch failed, or does not have the entries afterwards. What
                was verified stays remembered.
        """
        with CrossWatch(self._access) as client:
            checked = self._check(client)
            if self.options.replace:
                return self._replace(client, checked)
            try:
                return self._push(client, checked)
            except Stopped as stopped:
                stopped.said = f"Stopped. What {self.where} has got by now stays there."
                raise

    def _push(self, client: CrossWatch, checked: Checked) -> Receipt:
        push = self._pusher(client, checked)
        memory = VerifiedRecords(self.verified, self.records)
        is_first = not memory.is_known
        places = self._to_push(memory, push)
        if not places:
            return self._receipt(checked, Pushed())
        sync = wait_until_idle(client, self.options.wait)
        is_all = len(places) == len(self.records)
        if is_all and (uploaded := self._uploaded(client, checked, sync)) is not None:
            pushed = Pushed()
            self.progress.begin("comparing", len(self.records))
            if client.sync() == sync and has_arrived(client, checked.profile, uploaded.entries()):
                memory.add(places)
            else:
                pushed = push.run(places, memory.add)
            new = len(places) - pushed.left_out
            return self._receipt(checked, msgspec.structs.replace(pushed, new=new))
        known = self._elsewhere(client, checked, places)
        memory.add(known, elsewhere=True)
        pushed = push.run([place for place in places if place not in known], memory.add)
        blind = is_first and not checked.is_admin
        return self._receipt(checked, pushed, [_BLIND] if blind else [])

    def _pusher(self, client: CrossWatch, checked: Checked) -> Push:
        """Return a push. Only administrators see all pairs, so any could write for a user."""
        return Push(
            client,
            checked.profile,
            self.records,
            wait=self.options.wait,
            is_synced=bool(checked.adding) or not checked.is_admin,
            progress=self.progress,
        )

    def _to_push(self, memory: VerifiedRecords, push: Push) -> Chunk:
        """Return the places of the records to push.

        These are all after a week, or if a sample of what was verified is gone.
        """
        is_fresh = not self.options.restart and self.options.now - memory.since < _WEEK
        old = memory.places() if is_fresh else []
        if old and not push.is_missing(old[:: max(1, len(old) // _SAMPLES)]):
            return memory.unknown()
        memory.forget(self.options.now)
        return range(len(self.records))

    def _uploaded(self, client: CrossWatch, checked: Checked, sync: Sync) -> Merged | None:
        """Upload everything if the tracker is empty, which is much faster than an import.

        Return what was uploaded, or ``None`` if nothing was. A sync that writes into the tracker at
        the same time could lose its entries, and the pair would remove them elsewhere.
        """
        if not checked.is_admin or checked.adding:
            return None
        if not client.tracker(checked.profile).is_empty:
            return None
        if not keeps_files(client):
            return None
        merged = merged_into({}, self.records, {}, self.options.same_play)
        entries, now = merged.entries(), self.options.now
        self.progress.begin("pushing", len(self.records))
        done = upload(client, checked.profile, entries, now, instead_of=None, sync=sync)
        return merged if done else None

    def _elsewhere(self, client: CrossWatch, checked: Checked, places: Chunk) -> Collection[int]:
        """Return the places of records whose viewing another program has noted already.

        Without an administrator's token nobody can tell.
        """
        if not checked.is_admin or not places:
            return ()
        there = self._exported(client).entries
        is_all = len(places) == len(self.records)
        records = self.records if is_all else [self.records[place] for place in places]
        found = elsewhere(there, records, self.superseded, self.options.same_play)
        return {places[number] for number in found}

    def _replace(self, client: CrossWatch, checked: Checked) -> Receipt:
        """Merge with the export, and upload the result.

        Raises:
            ConfigurationError: a sync pair would remove entries elsewhere.
            BusyError: the tracker was changed meanwhile.
            SinkError: the upload did not arrive.
        """
        sync = wait_until_idle(client, self.options.wait)
        export = self._exported(client)
        merged = merged_into(export.entries, self.records, self.superseded, self.options.same_play)
        gone = titles_gone(export.entries, merged)
        warnings = [*checked.warnings, *self._restoring(checked, gone)]
        receipt = self._replaced(merged.counts(), warnings)
        memory = VerifiedRecords(self.verified, self.records)
        memory.forget(self.options.now)
        if merged.is_changed:
            if not keeps_files(client):
                raise SinkError(
                    f"--replace is not known to be safe with the version of {self.where}.",
                    hint="It is for v0.11.3 to v0.14.1. Nothing was changed. Leave out --replace.",
                )
            said = self._removing(checked, gone)
            if said and not self.options.drop_synced:
                raise ConfigurationError(
                    " ".join(said),
                    hint="Nothing was changed. Switch off Remove in the pair, or add "
                    "--drop-synced.",
                )
            entries, now = merged.entries(), self.options.now
            self.progress.begin("pushing", receipt.total)
            before = export.history
            if not upload(client, checked.profile, entries, now, instead_of=before, sync=sync):
                raise BusyError(
                    f"The tracker of {self.where} was changed during the import, or a sync began.",
                    hint="Nothing was changed by this run. Run the same command again.",
                )
            self.progress.begin("comparing", receipt.total)
            is_there = has_arrived(client, checked.profile, merged.entries())
            if client.sync() != sync:
                raise BusyError(
                    f"A sync began in {self.where} during the upload, and one may have undone the "
                    "other.",
                    hint="Run the same command again after the sync. If the sync pair has Remove "
                    "on, switch it off first, or the next sync may remove at the other service "
                    "what this one brought.",
                )
            if not is_there:
                raise SinkError(
                    f"{self.where} does not have what was uploaded.",
                    hint="See the log of CrossWatch. What was there before is in the directory "
                    "previous of the state directory. Run the same command again.",
                )
            receipt = msgspec.structs.replace(receipt, written=[receipt.target])
        here = under_own_keys(merged)
        memory.add(here)
        memory.add({*range(len(self.records))} - here, elsewhere=True)
        return receipt

    def _removing(self, checked: Checked, gone: Sequence[str]) -> Sequence[str]:
        """Return the sentence about entries that a pair then removes elsewhere, if there is one."""
        if not gone or not checked.removing:
            return ()
        more = f" and {len(gone) - _LISTED:,} more" if len(gone) > _LISTED else ""
        said = (
            f"The sync pair {', '.join(checked.removing)} has Remove on. It also removes at the "
            f"other service what vanishes here: {', '.join(gone[:_LISTED])}{more}."
        )
        return [said]

    def _restoring(self, checked: Checked, gone: Sequence[str]) -> Sequence[str]:
        """Return the sentence about pairs that bring back what vanishes, if there is one."""
        pairs = [name for name in checked.adding if name not in checked.removing]
        if not gone or not pairs:
            return ()
        said = (
            f"The sync pair {', '.join(pairs)} adds again what is removed here, if the other "
            "service has it. Remove it there, too."
        )
        return [said]

    def _exported(self, client: CrossWatch | None = None) -> Export:
        """Return the export of the tracker. It is fetched once."""
        if self._export is None:
            if client is None:
                with CrossWatch(self._access) as own:
                    return self._exported(own)
            self._export = Export(client, self._check(client).profile)
        return self._export

    def _check(self, client: CrossWatch) -> Checked:
        if self._checked is None:
            if self._wanted is None:
                number, *names = self.options.known_as or (self.options.user,)
                name = next(filter(None, names), number)
                raise ConfigurationError(
                    f"No profile of CrossWatch is given for the user {name}.",
                    hint=f'Add it to config.toml: profiles = {{"{name}" = "CW-P01"}}, or choose '
                    "users with --user.",
                )
            self._checked = check(
                client,
                self._wanted,
                every_viewing=self.options.every_viewing,
                replace=self.options.replace,
            )
        return self._checked

    def _target(self) -> str:
        checked = self._checked
        return f"{self._access.address.base} (profile {checked.profile if checked else ''})"

    def _replaced(self, counts: Receipt, warnings: Sequence[str]) -> Receipt:
        return msgspec.structs.replace(counts, target=self._target(), warnings=warnings)

    def _receipt(self, checked: Checked, pushed: Pushed, more: Sequence[str] = ()) -> Receipt:
        total = len(self.records) - pushed.left_out
        left_out: dict[str, list[int]] = {}
        for place, row in sorted(pushed.refused.items()):
            reason = f"refused by CrossWatch ({_reason(row)})"
            left_out.setdefault(reason, []).append(place)
        target = self._target()
        return Receipt(
            target,
            new=pushed.new,
            unchanged=total - pushed.new,
            total=total,
            written=[target] if pushed.new and not self.options.dry_run else [],
            warnings=[*checked.warnings, *self._warnings(pushed), *more],
            left_out=left_out,
        )

    def _warnings(self, pushed: Pushed) -> Iterator[str]:
        if pushed.is_mixed:
            yield MIXED
        if pushed.left_out:
            rows = [*pushed.refused.values(), *pushed.unplaced]
            titles = [f"{row.title or 'without a title'} ({_reason(row)})" for row in rows]
            more = ", …" if len(titles) > _NAMED else ""
            yield (
                f"CrossWatch left out {len(titles):,} of our entries: "
                f"{', '.join(titles[:_NAMED])}{more}."
            )
        if self.superseded:
            count = len(self.superseded)
            yield (
                f"{count:,} of our entries stay in CrossWatch under a key that their plays no "
                "longer have. An import over HTTP only adds. --replace removes them."
            )


def _reason(row: PreviewRow) -> str:
    return row.reason or row.status
