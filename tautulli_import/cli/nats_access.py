"""Make the address and credentials of a NATS server from the settings."""

from __future__ import annotations

from urllib.parse import unquote

from ..errors import ConfigurationError
from ..jetstream.access import Access
from ..options import SETTINGS
from ..settings.loaded import Loaded
from .console import Screen
from .hiding import hide
from .secrets import check_secrets, clean, secret_of

__all__ = ["nats_access"]


def nats_access(loaded: Loaded, screen: Screen) -> Access:
    """Return the server that the settings name. Warn of a secret on the command line.

    Raises:
        ConfigurationError: a certificate has no key, a secret cannot be read or used, or it must
            not be sent to that server.
        NotFoundError: the file of a secret does not exist.
    """
    settings = loaded.settings
    if (settings.nats_cert is None) != (settings.nats_key is None):
        raise ConfigurationError(
            "A NATS client certificate needs its private key.",
            hint="Use both: --nats-cert FILE --nats-key FILE",
        )
    on_line = [
        SETTINGS[name].flag
        for name in ("nats_password", "nats_token")
        if getattr(settings, name) is not None and loaded.origins[name] == "option"
    ]
    if "@" in settings.nats_url and loaded.origins["nats_url"] == "option":
        on_line.append("--nats-url")
    if on_line:
        screen.warn(
            f"A secret is on the command line ({', '.join(on_line)}). Every user of this machine "
            "can read it there. Use --nats-password-file, --nats-token-file or --nats-creds."
        )
    check_secrets(loaded, screen, "NATS")
    access = Access(
        url=settings.nats_url.strip(),
        user=clean(settings.nats_user or "", "a user name", loaded.where("nats_user")),
        password=secret_of(loaded, "nats_password", "a password"),
        token=secret_of(loaded, "nats_token", "a token"),
        creds=settings.nats_creds,
        ca_file=settings.nats_ca_file,
        cert=settings.nats_cert,
        key=settings.nats_key,
        tls_first=settings.nats_tls_first,
        stream=settings.nats_stream,
        timeout=settings.nats_timeout,
        patience=settings.nats_patience,
    )
    for server in access.servers:
        for secret in server.partition("://")[2].rpartition("@")[0].split(":"):
            hide(unquote(secret))
    return access
