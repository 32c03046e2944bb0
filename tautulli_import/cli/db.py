"""``tautulli-import db``: import straight out of Tautulli's database files."""

from __future__ import annotations

from . import options, server_options
from .guard import guarded

__all__ = ["db"]


def db(
    *,
    database: options.Databases = None,
    to: options.To = None,
    out: options.Out = None,
    merge_with: options.MergeWith = None,
    dry_run: options.DryRun = None,
    format: options.Format = None,  # noqa: A002 - the option's name
    user: options.User = None,
    each_user: options.EachUser = None,
    library: options.Library = None,
    media_type: options.MediaType = None,
    since: options.Since = None,
    until: options.Until = None,
    min_percent: options.MinPercent = None,
    include_partial: options.IncludePartial = None,
    rewatches: options.Rewatches = None,
    watched_at: options.WatchedAt = None,
    ids: options.Ids = None,
    enrich: options.Enrich = None,
    url: server_options.Url = None,
    api_key_file: server_options.ApiKeyFile = None,
    api_key: server_options.ApiKey = None,
    ca_file: server_options.CaFile = None,
    insecure: server_options.Insecure = None,
    timeout: server_options.Timeout = None,
    state_dir: options.StateDir = None,
    restart: options.Restart = False,
    wait: options.Wait = None,
    batch_size: options.BatchSize = None,
    strict: options.Strict = None,
    config_ini: options.ConfigIni = None,
    json: options.Json = False,
    report: options.Report = None,
    quiet: options.Quiet = None,
    verbose: options.Verbose = None,
    debug: options.Debug = False,
    color: options.Color = None,
) -> None:
    """Import straight out of Tautulli's database: live, a backup, or several that overlap.

    For example:

      tautulli-import db tautulli.db --dry-run

      tautulli-import db tautulli.db --to tracker --user alice

      tautulli-import db backups/*.db --to editor --out alice-history.json

    Where a Tautulli is known (--url and a key, or the config.ini beside the database), films and
    shows that have no external id are looked up there.
    """
    flags = {
        name: value
        for name, value in locals().items()
        if name not in ("json", "debug", "flags", "restart")
    }
    with guarded(debug=debug, color=color):
        from .importing import import_history

        import_history("db", flags, as_json=json, restart=restart)
