"""Who we are for a NATS server, and by what we know it, in nats-py's words."""

from __future__ import annotations

import ssl
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from ..errors import ConfigurationError, NotFoundError
from .access import Access

__all__ = ["addresses", "options_for", "wants_tls"]

_MARKS: Final = (b"BEGIN NATS USER JWT", b"BEGIN USER NKEY SEED")


def addresses(access: Access) -> list[str]:
    """The servers' addresses, without users and passwords.

    Raises:
        ConfigurationError: there is none, or one of them is no address of a NATS server.
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
                f"{access.shown} is no address of a NATS server.",
                hint="Write it as nats://HOST:4222, or tls://HOST:4222 where TLS is a must.",
            )
        found.append(f"{url.scheme}://{f'[{host}]' if ':' in host else host}:{port}")
    if not found:
        raise ConfigurationError(
            "No NATS server is named.", hint="Name one: --nats-url nats://HOST:4222"
        )
    return found


def wants_tls(access: Access) -> bool:
    """Whether nothing may be sent but through TLS."""
    given = access.ca_file or access.cert or access.key or access.tls_first
    return bool(given) or any(one.startswith("tls://") for one in access.servers)


def options_for(access: Access) -> dict[str, Any]:
    """The user or the token or the credentials, and TLS, as ``nats.connect`` takes them.

    Raises:
        NotFoundError: a file does not exist.
        ConfigurationError: a file is not what it has to be, or something is missing.
    """
    options: dict[str, Any] = {"tls_handshake_first": access.tls_first}
    user, password, token = access.user, access.password, access.token
    if not (user or token or access.creds):
        user, password, token = _in_url(access)
    if user:
        options |= {"user": user, "password": password}
    elif token:
        options["token"] = token
    if access.creds:
        options["user_credentials"] = _credentials(access.creds)
    if wants_tls(access):
        options["tls"] = _tls(access)
    return options


def _in_url(access: Access) -> tuple[str, str, str]:
    """User, password and token that the addresses carry: one of them for all."""
    carried = {urlsplit(one).netloc.rpartition("@")[0] for one in access.servers} - {""}
    if len(carried) > 1:
        raise ConfigurationError(
            "The addresses of the NATS servers carry different users.",
            hint="Name the user once for all of them: --nats-user.",
        )
    name, colon, password = (carried.pop() if carried else "").partition(":")
    return (unquote(name), unquote(password), "") if colon else ("", "", unquote(name))


def _credentials(path: Path) -> str:
    content = _read(path, "credentials file")
    if not all(mark in content for mark in _MARKS):  # nats-py would look for them forever
        raise ConfigurationError(
            f"{path} is no credentials file of NATS.",
            hint="It has a user's JWT and its seed; nsc generate creds writes one.",
        )
    if find_spec("nkeys") is None:
        raise ConfigurationError(
            "A credentials file needs nkeys.", hint="Install it: pip install nkeys"
        )
    return str(path)


def _tls(access: Access) -> ssl.SSLContext:
    if access.key and not access.cert:
        raise ConfigurationError(
            "The key of a certificate is named, but no certificate.", hint="Name it: --nats-cert."
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
            # A key with a passphrase would ask for it on the terminal.
            context.load_cert_chain(access.cert, access.key, password=lambda: "")
    except (ssl.SSLError, ValueError) as error:
        why = getattr(error, "reason", "") or str(error)
        raise ConfigurationError(
            f"{path} cannot be used for TLS: {why}.",
            hint="It has to be in PEM format, and a key without a passphrase and of that "
            "certificate.",
        ) from error
    return context


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise NotFoundError(
            f"The {what} {path} does not exist.", hint="Is the path right?"
        ) from error
    except OSError as error:
        raise ConfigurationError(
            f"The {what} {path} cannot be read: {error.strerror}.",
            hint="Is it a file, and may we read it?",
        ) from error
