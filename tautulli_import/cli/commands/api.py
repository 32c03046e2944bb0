"""``tautulli-import api``: import from a running Tautulli, over HTTP."""

from __future__ import annotations

from ..options import Flags

__all__ = ["api"]


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
