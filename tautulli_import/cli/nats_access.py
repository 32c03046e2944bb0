"""From settings to a NATS server, and who we are there."""

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
    """The server that the settings name; a secret on the command line works, with a warning.

    Raises:
        ConfigurationError: a certificate without its key, or a secret that cannot be read.
        NotFoundError: a file with a secret does not exist.
    """
    settings = loaded.settings
    if (settings.nats_cert is None) != (settings.nats_key is None):
        raise ConfigurationError(
            "A certificate is of use with its key only.",
            hint="Give both --nats-cert and --nats-key.",
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
            f"A secret stands on the command line ({', '.join(on_line)}), where everybody on this "
            "machine can read it: --nats-password-file, --nats-token-file and --nats-creds keep "
            "it to yourself."
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
    """The secret, from whichever place is the higher one; empty when there is none."""
    path: Path | None = getattr(loaded.settings, f"{name}_file")
    if path is not None and (value is None or loaded.outranks(f"{name}_file", name)):
        what = name.removeprefix("nats_")
        return read_secret(path, f"--nats-{what}-file", f"the {what}").strip()
    return value.get_secret_value() if value else ""
