"""``tautulli-import db``: import straight out of Tautulli's database files."""

from __future__ import annotations

from ..options import Flags

__all__ = ["db"]


def db(flags: Flags, *, json: bool, restart: bool) -> None:
    """Import straight out of Tautulli's database: live, a backup, or several that overlap.

    For example:

      tautulli-import db tautulli.db --dry-run

      tautulli-import db tautulli.db --to tracker --user alice

      tautulli-import db backups/*.db --to editor --out alice-history.json

    Where a Tautulli is known (--url and a key, or the config.ini beside the database), films and
    shows that have no external id are looked up there.
    """
    from ..importing import import_history

    import_history("db", flags, as_json=json, restart=restart)
