"""Turn the user, the secrets and the certificates into options of nats-py."""

from __future__ import annotations

import shlex
import ssl
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from ..errors import ConfigurationError, NotFoundError
from ..formatting import harmless
from .access import Access

__all__ = ["addresses", "options_for", "wants_tls"]

_MARKS: Final = (b"BEGIN NATS USER JWT", b"BEGIN USER NKEY SEED")


def addresses(access: Access) -> list[str]:
    """Return the servers' addresses, without users and passwords.

    Raises:
        ConfigurationError: no address is given, or one is not the address of a NATS server.
    """
    found = []
    for given in access.servers:
        try:
            url = urlsplit(given)
            host, port = url.hostname, url.port or 4222
        except ValueError:
            host, port = None, 0
        if not host or url.scheme not in ("nats", "tls"):
            raise ConfigurationError(
                f"{access.shown} is not the address of a NATS server.",
                hint="Use --nats-url nats://HOST:4222, or tls://HOST:4222 to insist on TLS.",
            )
        found.append(f"{url.scheme}://{f'[{host}]' if ':' in host else host}:{port}")
    if not found:
        raise ConfigurationError(
            "No address of a NATS server is given.", hint="Use --nats-url nats://HOST:4222"
        )
    return found


def wants_tls(access: Access) -> bool:
    """Return whether everything must go through TLS."""
    given = access.ca_file or access.cert or access.key or access.tls_first
    return bool(given) or any(one.startswith("tls://") for one in access.servers)


def options_for(access: Access) -> dict[str, Any]:
    """Return user, token or credentials, and TLS, as options of ``nats.connect``.

    Raises:
        NotFoundError: a file does not exist.
        ConfigurationError: a file has the wrong content, or an option is missing.
    """
    options: dict[str, Any] = {"tls_handshake_first": access.tls_first}
    user, password, token = access.user, access.password, access.token
    if not (user or token or access.creds):
        user, password, token = _in_url(access)
    if user:
        options |= {"user": user, "password": password}
    elif token:
        options["token"] = token
    if any(part != harmless(part) for part in (user, password, token)):
        raise ConfigurationError(
            "The user, the password or the token for NATS has control characters.",
            hint="Correct it where you set it: --nats-url, --nats-user, --nats-password-file or "
            "--nats-token-file.",
        )
    if access.creds:
        options["user_credentials"] = _credentials(access.creds)
    if wants_tls(access):
        options["tls"] = _tls(access)
    return options


def _in_url(access: Access) -> tuple[str, str, str]:
    """Return the user, password and token in the addresses. One user must serve for all."""
    carried = {urlsplit(one).netloc.rpartition("@")[0] for one in access.servers} - {""}
    if len(carried) > 1:
        raise ConfigurationError(
            "The addresses of the NATS servers have different users.",
            hint="Leave the users out of --nats-url, and use --nats-user once for all servers.",
        )
    name, colon, password = (carried.pop() if carried else "").partition(":")
    return (unquote(name), unquote(password), "") if colon else ("", "", unquote(name))


def _credentials(path: Path) -> str:
    content = _read(path, "credentials file")
    if not all(mark in content for mark in _MARKS):  # nats-py would look for them forever
        raise ConfigurationError(
            f"{path} is not a credentials file of NATS.",
            hint="Such a file has a user's JWT and seed. Write one with: nsc generate creds",
        )
    if find_spec("nkeys") is None:
        raise ConfigurationError(
            "The package nkeys is missing. --nats-creds needs it.",
            hint="Install it: pipx inject tautulli-import nkeys "
            "(in a clone: pip install '.[nats]')",
        )
    return str(path)


def _tls(access: Access) -> ssl.SSLContext:
    if access.key and not access.cert:
        raise ConfigurationError(
            "--nats-key is given without a certificate.", hint="Add --nats-cert FILE."
        )
    for path, what in ((access.ca_file, "certificate"), (access.cert, "certificate")):
        if path:
            _read(path, what)
    if access.key:
        _read(access.key, "key")
    path = access.ca_file
    try:
        context = ssl.create_default_context(cafile=path)
        if access.cert:
            path = access.cert
            # Without a password, OpenSSL asks on the terminal for a key's passphrase.
            context.load_cert_chain(access.cert, access.key, password=lambda: "")
    except (ssl.SSLError, ValueError) as error:
        why = getattr(error, "reason", "") or str(error)
        raise ConfigurationError(
            f"{path} cannot be used for TLS: {why}.",
            hint="Use files in PEM format. The key must belong to the certificate, and must not "
            "have a passphrase.",
        ) from error
    return context


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise NotFoundError(
            f"The {what} {path} does not exist.",
            hint=f"Check the path: ls -l {shlex.quote(str(path))}",
        ) from error
    except OSError as error:
        raise ConfigurationError(
            f"The {what} {path} cannot be read: {error.strerror}.",
            hint=f"Check that it is a file, and its permissions: ls -l {shlex.quote(str(path))}",
        ) from error
