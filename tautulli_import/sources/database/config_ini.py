"""Read thresholds, the server's address and secrets from Tautulli's ``config.ini``.

Only three settings of ``[Monitoring]``, six of ``[General]`` and one of ``[PMS]`` are read. Two of
them are secrets: the API key and the Plex token. The file also holds passwords. So nothing else
leaves this module, and no message quotes a line of the file. Tautulli writes it with ConfigObj:
values may be quoted, ``[[sections]]`` can be nested, and ``#`` begins a comment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

from ...errors import ConfigurationError, NotFoundError
from ...model.watched import WatchedRule

__all__ = ["ServerInConfig", "beside", "plex_token_from", "rule_from", "server_from"]

# A real one has 20 kB, and no line that is needed has more than an address.
_MOST_BYTES: Final = 1 << 20
_LONGEST_LINE: Final = 1_000
_HINT: Final = "Give the path of Tautulli's own config.ini, or leave out --config-ini."
_SECTION: Final = re.compile(r"\s*(\[+)\s*(.*?)\s*\]+\s*(?:#.*)?")
_SETTING: Final = re.compile(r"\s*(\w+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^#]*?))\s*(?:#.*)?")


def beside(database: Path) -> Path | None:
    """Return the ``config.ini`` beside a database, or ``None``.

    If the database is a link, the directory of its target is searched as well. For a backup in
    Tautulli's ``backups`` directory, the directory above that is searched as well.
    """
    for folder in (database.parent, database.resolve().parent):
        above = [folder.resolve().parent] if folder.resolve().name == "backups" else []
        for place in (folder, *above):
            if (place / "config.ini").is_file():
                return place / "config.ini"
    return None


class ServerInConfig(Struct, frozen=True):
    """The address and API key in a ``config.ini``. The key must not be shown."""

    url: str
    api_key: str

    def __repr__(self) -> str:
        return f"ServerInConfig({self.url!r})"


def server_from(path: Path) -> ServerInConfig | None:
    """Return the server of a ``config.ini``; ``None`` if its API is off or unknown."""
    try:
        settings = _section(_text(path), path, "General")
    except (OSError, ConfigurationError):
        return None
    key, port = settings.get("api_key", ""), settings.get("http_port", "8181").strip()
    if not key or not port.isdecimal() or settings.get("api_enabled", "1") in ("0", "False"):
        return None
    host = settings.get("http_host", "").strip()
    if host in ("", "0.0.0.0", "::"):  # noqa: S104 - it listens everywhere, so also here
        host = "127.0.0.1"
    scheme = "https" if settings.get("enable_https", "0") in ("1", "True") else "http"
    root = settings.get("http_root", "").strip("/ ")
    place = f"[{host}]" if ":" in host else host
    return ServerInConfig(f"{scheme}://{place}:{port}{f'/{root}' if root else ''}", key)


def plex_token_from(path: Path) -> str:
    """Return the token with which Tautulli asks Plex; "" if there is none. It must not be shown.

    Raises:
        NotFoundError: there is no such file.
        ConfigurationError: it cannot be read.
    """
    return _section(_named_text(path), path, "PMS").get("pms_token", "").strip()


def rule_from(path: Path) -> WatchedRule:
    """Return the thresholds of a ``config.ini``, with Tautulli's defaults for missing ones.

    Raises:
        NotFoundError: there is no such file.
        ConfigurationError: it cannot be read, or a threshold in it is not a percentage.
    """
    settings = _section(_named_text(path), path, "Monitoring")
    default = WatchedRule()
    return WatchedRule(
        movie_percent=_number(settings, path, "movie_watched_percent", default.movie_percent, 100),
        tv_percent=_number(settings, path, "tv_watched_percent", default.tv_percent, 100),
        marker=_number(settings, path, "watched_marker", default.marker, 3),
        origin=str(path),
    )


def _named_text(path: Path) -> str:
    try:
        return _text(path)
    except FileNotFoundError:
        raise NotFoundError(f"There is no file {path}.", hint=_HINT) from None
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error.strerror or error}.", hint=_HINT
        ) from None


def _text(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(_MOST_BYTES).decode("utf-8-sig", "replace")


def _section(text: str, path: Path, name: str) -> Mapping[str, str]:
    """Return the settings directly in a section, without those of nested sections."""
    settings: dict[str, str] = {}
    inside = False
    lines = [line[:_LONGEST_LINE] for line in text.splitlines()]
    if lines and not any(map(_SECTION.fullmatch, lines)):
        raise ConfigurationError(f"{path} is not a config.ini: it has no [section].", hint=_HINT)
    for line in lines:
        if section := _SECTION.fullmatch(line):
            inside = section.group(1) == "[" and section.group(2).strip("\"'") == name
        elif inside and (setting := _SETTING.fullmatch(line)):
            key, *values = setting.groups()
            settings[key] = next((value for value in values if value is not None), "")
    return settings


def _number(settings: Mapping[str, str], path: Path, name: str, default: int, most: int) -> int:
    """Return a setting as a number from 0 to ``most``, or ``default`` if it is missing."""
    text = settings.get(name)
    if text is None:
        return default
    text = text.strip()
    if not (text.isascii() and text.isdecimal() and len(text) <= 3 and int(text) <= most):
        raise ConfigurationError(
            f"{path}: {name} must be a number from 0 to {most}.",
            hint="Correct it, or choose another file with --config-ini.",
        )
    return int(text)
