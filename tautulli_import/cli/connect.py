"""Connect to the Tautulli that the settings name, and open its state file."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from ..errors import ConfigurationError, NotFoundError
from ..settings import Loaded, Settings
from ..sources.database.config_ini import beside, server_from
from ..sources.http.access import Access
from ..sources.http.address import parse_address
from ..sources.http.client import Tautulli
from ..state.file import StateFile
from .console import Screen

__all__ = ["Connection", "connect", "connect_for_ids", "read_secret", "warn_of_key"]

_WHERE = "The key is in Tautulli under Settings > Web Interface > API."


class Connection:
    """A client of a Tautulli, and the state file for it."""

    def __init__(
        self, access: Access, settings: Settings, on_wait: Callable[[str], None] | None
    ) -> None:
        self.tautulli = Tautulli(access, on_wait=on_wait)
        try:
            self.state = StateFile(settings.state_folder, access.address.base)
        except BaseException:
            self.tautulli.close()
            raise

    def close(self) -> None:
        """Close both."""
        self.tautulli.close()
        self.state.close()


def connect(loaded: Loaded, screen: Screen) -> Connection:
    """Return a connection to the Tautulli that the settings name.

    Raises:
        ConfigurationError: the address or the API key is missing or wrong.
        NotFoundError: the file of the API key does not exist.
    """
    settings = loaded.settings
    if not settings.url:
        raise ConfigurationError(
            "No Tautulli address given.",
            hint="Use --url http://192.168.1.10:8181 or set TAUTULLI_URL.",
        )
    key = _key(loaded)
    if not key:
        raise ConfigurationError(
            "No Tautulli API key given.",
            hint=f"Use --api-key-file FILE or set TAUTULLI_API_KEY. {_WHERE}",
        )
    return Connection(_access(settings, settings.url, key), settings, screen.note)


def connect_for_ids(loaded: Loaded, screen: Screen) -> Connection | None:
    """Return a connection for looking up ids; ``None`` if no Tautulli is known.

    Without settings, the ``config.ini`` beside the database gives the address and the key. A
    note says so.
    """
    settings = loaded.settings
    if not settings.enrich:
        return None
    key = _key(loaded)
    if settings.url and key:
        return Connection(_access(settings, settings.url, key), settings, screen.detail)
    if settings.url or key:
        return None
    for database in settings.database:
        try:
            place = settings.config_ini or (None if database == Path("-") else beside(database))
        except OSError:  # no permission; reading the database will report it
            continue
        lent = server_from(place) if place else None
        if lent is None:
            continue
        try:
            access = _access(settings, lent.url, lent.api_key, lent=True)
        except ConfigurationError:
            continue
        screen.note(
            f"Looking up missing ids through {access.address.base}, with the API key from "
            f"{place}. --no-enrich turns this off."
        )
        return Connection(access, settings, screen.detail)
    return None


def warn_of_key(loaded: Loaded, screen: Screen) -> None:
    """Warn of an API key on the command line, where other users can see it."""
    if loaded.settings.api_key is not None and loaded.origins["api_key"] == "option":
        screen.warn(
            "The API key is on the command line. Every user of this machine can read it there. "
            "Use --api-key-file FILE or TAUTULLI_API_KEY."
        )


def _access(settings: Settings, url: str, key: str, *, lent: bool = False) -> Access:
    address = parse_address(url)
    here = lent and address.base.startswith("https://127.0.0.1:")
    return Access(
        address,
        key,
        timeout=settings.timeout,
        ca_file=settings.ca_file,
        # Tautulli makes its own certificate, and it runs on this machine.
        insecure=settings.insecure or here,
    )


def _key(loaded: Loaded) -> str:
    """Return the key from the value or the file, whichever has precedence; "" for none."""
    settings = loaded.settings
    path = settings.api_key_file
    if path is not None and (
        settings.api_key is None or loaded.outranks("api_key_file", "api_key")
    ):
        return _checked(read_secret(path, "--api-key-file", "the API key"), str(path))
    return _checked(settings.api_key.get_secret_value(), "") if settings.api_key else ""


def read_secret(path: Path, option: str, what: str) -> str:
    """Return the content of the file of a secret. ``what`` names the secret in messages.

    Raises:
        NotFoundError: the file does not exist.
        ConfigurationError: it cannot be read.
    """
    try:
        if path == Path("-"):
            return "" if sys.stdin is None else sys.stdin.readline()
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise NotFoundError(
            f"There is no file {path}.", hint=f"{option} must name a file with {what}."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigurationError(
            f"Cannot read {path}: {why}.", hint=f"The file must hold {what} and nothing else."
        ) from None


def _checked(text: str, path: str) -> str:
    """Return the key without space around it. No message quotes it."""
    key = text.strip()
    if not key and path:
        raise ConfigurationError(f"{path} is empty.", hint=f"It must hold the API key. {_WHERE}")
    if not key.isprintable() or not key.isascii() or " " in key or "\n" in key:
        raise ConfigurationError(
            f"{path or 'api_key'} does not hold an API key.",
            hint=f"An API key is one word of letters and digits. {_WHERE}",
        )
    return key
