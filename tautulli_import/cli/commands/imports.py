"""``tautulli-import api`` and ``db``: import from a running Tautulli, or from database files."""

from __future__ import annotations

from ..options import Flags

__all__ = ["api", "db"]


def api(flags: Flags, *, json: bool, restart: bool, replace: bool, drop_synced: bool) -> None:
    """Import from a running Tautulli over HTTP. Later runs read only what is new.

    For example, with the key in TAUTULLI_API_KEY:
      tautulli-import api --url http://192.168.1.10:8181 --dry-run
      tautulli-import api --to tracker --user alice
      tautulli-import api --via database --to editor --out alice-history.json
    """
    from ..importing import import_history

    import_history(
        "api", flags, as_json=json, restart=restart, replace=replace, drop_synced=drop_synced
    )


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
