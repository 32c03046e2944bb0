"""Make the address and credentials of a NATS server from the settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigurationError
from ..jetstream.access import Access
from ..options import SETTINGS
from ..settings import Loaded
from .connect import read_secret
from .console import Screen

if TYPE_CHECKING:
    from pydantic import SecretStr

__all__ = ["nats_access"]


def nats_access(loaded: Loaded, screen: Screen) -> Access:
    """Return the server that the settings name. Warn of a secret on the command line.

    Raises:
        ConfigurationError: a certificate has no key, or a secret cannot be read.
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
    return Access(
        url=settings.nats_url,
        user=settings.nats_user or "",
        password=_secret(loaded, "nats_password", settings.nats_password),
        token=_secret(loaded, "nats_token", settings.nats_token),
        creds=settings.nats_creds,
        ca_file=settings.nats_ca_file,
        cert=settings.nats_cert,
        key=settings.nats_key,
        tls_first=settings.nats_tls_first,
        stream=settings.nats_stream,
        timeout=settings.nats_timeout,
        patience=settings.nats_patience,
    )


def _secret(loaded: Loaded, name: str, value: SecretStr | None) -> str:
    """Return the secret from the value or the file, whichever has precedence; "" for none."""
    path: Path | None = getattr(loaded.settings, f"{name}_file")
    if path is not None and (value is None or loaded.outranks(f"{name}_file", name)):
        what = name.removeprefix("nats_")
        return read_secret(path, f"--nats-{what}-file", f"the {what}").strip()
    return value.get_secret_value() if value else ""
