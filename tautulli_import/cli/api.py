"""``tautulli-import api``: import from a running Tautulli, over HTTP."""

from __future__ import annotations

from . import nats_options, options, server_options
from .guard import guarded

__all__ = ["api"]


def api(
    *,
    url: server_options.Url = None,
    api_key_file: server_options.ApiKeyFile = None,
    api_key: server_options.ApiKey = None,
    ca_file: server_options.CaFile = None,
    insecure: server_options.Insecure = None,
    timeout: server_options.Timeout = None,
    via: options.Via = None,
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
    events: options.Events = None,
    server_id: options.ServerId = None,
    event_source: options.EventSource = None,
    ids: options.Ids = None,
    enrich: options.Enrich = None,
    nats_url: nats_options.Url = None,
    nats_user: nats_options.User = None,
    nats_password_file: nats_options.PasswordFile = None,
    nats_password: nats_options.Password = None,
    nats_token_file: nats_options.TokenFile = None,
    nats_token: nats_options.Token = None,
    nats_creds: nats_options.Creds = None,
    nats_ca_file: nats_options.CaFile = None,
    nats_cert: nats_options.Cert = None,
    nats_key: nats_options.Key = None,
    nats_tls_first: nats_options.TlsFirst = None,
    nats_stream: nats_options.Stream = None,
    state_dir: options.StateDir = None,
    restart: options.Restart = False,
    wait: options.Wait = None,
    batch_size: options.BatchSize = None,
    strict: options.Strict = None,
    json: options.Json = False,
    report: options.Report = None,
    quiet: options.Quiet = None,
    verbose: options.Verbose = None,
    debug: options.Debug = False,
    color: options.Color = None,
) -> None:
    """Import from a running Tautulli: the first time everything, later only what is new.

    For example, with the key in TAUTULLI_API_KEY:

      tautulli-import api --url http://192.168.1.10:8181 --dry-run

      tautulli-import api --to tracker --user alice

      tautulli-import api --via database --to editor --out alice-history.json
    """
    flags = {
        name: value
        for name, value in locals().items()
        if name not in ("json", "debug", "flags", "restart")
    }
    with guarded(debug=debug, color=color):
        from .importing import import_history

        import_history("api", flags, as_json=json, restart=restart)
