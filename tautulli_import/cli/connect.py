"""From settings to a connection: which Tautulli, with which key, and what is remembered of it."""

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

_KEY_HINT = "Set TAUTULLI_API_KEY, or name a file that holds it with --api-key-file."


class Connection:
    """A Tautulli that can be asked, and what is remembered of it."""

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
        """Let go of both."""
        self.tautulli.close()
        self.state.close()


def connect(loaded: Loaded, screen: Screen) -> Connection:
    """The Tautulli that the settings name.

    Raises:
        ConfigurationError: none, or no key for it.
        NotFoundError: the file with the key does not exist.
    """
    settings = loaded.settings
    if not settings.url:
        raise ConfigurationError(
            "Which Tautulli is to be asked?",
            hint="Name it with --url or TAUTULLI_URL, for example http://192.168.1.10:8181",
        )
    key = _key(loaded)
    if not key:
        raise ConfigurationError("There is no API key for Tautulli.", hint=_KEY_HINT)
    return Connection(_access(settings, settings.url, key), settings, screen.note)


def connect_for_ids(loaded: Loaded, screen: Screen) -> Connection | None:
    """The Tautulli that may know the ids of what is in its database; ``None`` where none is known.

    The ``config.ini`` beside the database can lend its address and key, and that is said.
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
        except OSError:  # a directory that may not be entered; reading the database says so
            continue
        lent = server_from(place) if place else None
        if lent is None:
            continue
        try:
            access = _access(settings, lent.url, lent.api_key, lent=True)
        except ConfigurationError:
            continue
        screen.note(
            f"What has no external id is asked of {access.address.base}, with the key that "
            f"{place} lends; --no-enrich leaves that out."
        )
        return Connection(access, settings, screen.detail)
    return None


def warn_of_key(loaded: Loaded, screen: Screen) -> None:
    """A key on the command line works, and others can see it."""
    if loaded.settings.api_key is not None and loaded.origins["api_key"] == "option":
        screen.warn(
            "The API key stands on the command line, where everybody on this machine can read "
            "it: --api-key-file FILE or TAUTULLI_API_KEY keep it to yourself."
        )


def _access(settings: Settings, url: str, key: str, *, lent: bool = False) -> Access:
    address = parse_address(url)
    here = lent and address.base.startswith("https://127.0.0.1:")
    return Access(
        address,
        key,
        timeout=settings.timeout,
        ca_file=settings.ca_file,
        # Its own certificate, made by itself, on this machine.
        insecure=settings.insecure or here,
    )


def _key(loaded: Loaded) -> str:
    """The key, from whichever place is the higher one; empty when there is none."""
    settings = loaded.settings
    path = settings.api_key_file
    if path is not None and (
        settings.api_key is None or loaded.outranks("api_key_file", "api_key")
    ):
        return _checked(read_secret(path, "--api-key-file", "the API key"), str(path))
    return _checked(settings.api_key.get_secret_value(), "") if settings.api_key else ""


def read_secret(path: Path, option: str, what: str) -> str:
    """What a file holds that an ``option`` named for a secret; ``what`` it is, in words.

    Raises:
        NotFoundError: it does not exist.
        ConfigurationError: it cannot be read.
    """
    try:
        if path == Path("-"):
            return "" if sys.stdin is None else sys.stdin.readline()
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise NotFoundError(
            f"There is no file {path}.", hint=f"{option} names a file with {what}."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigurationError(
            f"{path} cannot be read: {why}.", hint=f"It holds {what}, and nothing else."
        ) from None


def _checked(text: str, path: str) -> str:
    """The key without what surrounds it; the message of an error never quotes it."""
    key = text.strip()
    if not key and path:
        raise ConfigurationError(f"{path} is empty.", hint="It holds the API key.")
    if not key.isprintable() or not key.isascii() or " " in key or "\n" in key:
        raise ConfigurationError(
            f"What {path or 'api_key'} holds is no API key.",
            hint="It is one word of letters and digits: Tautulli, Settings > Web Interface > API.",
        )
    return key
