"""``tautulli-import db``: import from Tautulli's database files."""

from __future__ import annotations

from ..options import Flags

__all__ = ["db"]


def db(flags: Flags, *, json: bool, restart: bool, replace: bool, drop_synced: bool) -> None:
    """Import from Tautulli's database, or from several backups.

    Missing external ids are looked up if a Tautulli is known: from --url and a key, or from the
    config.ini beside the database.

    For example:
      tautulli-import db tautulli.db --dry-run
      tautulli-import db tautulli.db --to tracker --user alice
      tautulli-import db backups/*.db --to editor --out alice-history.json
    """
    from ..importing import import_history

    import_history(
        "db", flags, as_json=json, restart=restart, replace=replace, drop_synced=drop_synced
    )
