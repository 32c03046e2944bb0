"""Tautulli's ``config.ini``: which plays its owner calls watched.

Only three settings of ``[Monitoring]`` are looked at. The file also holds the API key and
passwords: nothing else of it leaves this module, and no message quotes a line of it. It is
written by ConfigObj: values may be quoted, ``[[sections]]`` nested, and ``#`` begins a comment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ..errors import ConfigurationError, NotFoundError
from ..watched import WatchedRule

__all__ = ["beside", "rule_from"]

_HINT: Final = "Name Tautulli's own config.ini, or leave the option out."
_SECTION: Final = re.compile(r"\s*(\[+)\s*(.*?)\s*\]+\s*(?:#.*)?")
_SETTING: Final = re.compile(r"\s*(\w+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^#]*?))\s*(?:#.*)?")


def beside(database: Path) -> Path | None:
    """The ``config.ini`` in the database's directory, or in that of the file it is a link to.

    Of a backup in Tautulli's ``backups`` directory, the one above that.
    """
    for folder in (database.parent, database.resolve().parent):
        above = [folder.resolve().parent] if folder.resolve().name == "backups" else []
        for place in (folder, *above):
            if (place / "config.ini").is_file():
                return place / "config.ini"
    return None


def rule_from(path: Path) -> WatchedRule:
    """The thresholds of this ``config.ini``; what it does not say is Tautulli's default.

    Raises:
        NotFoundError: there is no such file.
        ConfigurationError: it cannot be read, or a threshold in it is no percentage.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig", "replace")
    except FileNotFoundError:
        raise NotFoundError(f"There is no file {path}.", hint=_HINT) from None
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error.strerror or error}.", hint=_HINT
        ) from None
    settings = _monitoring(text, path)
    default = WatchedRule()
    return WatchedRule(
        movie_percent=_number(settings, path, "movie_watched_percent", default.movie_percent, 100),
        tv_percent=_number(settings, path, "tv_watched_percent", default.tv_percent, 100),
        marker=_number(settings, path, "watched_marker", default.marker, 3),
        origin=str(path),
    )


def _monitoring(text: str, path: Path) -> Mapping[str, str]:
    """The settings that stand directly in ``[Monitoring]``."""
    settings: dict[str, str] = {}
    inside = False
    lines = text.splitlines()
    if lines and not any(map(_SECTION.fullmatch, lines)):
        raise ConfigurationError(
            f"{path} is no config.ini: there is no [section] in it.", hint=_HINT
        )
    for line in lines:
        if section := _SECTION.fullmatch(line):
            inside = section.group(1) == "[" and section.group(2).strip("\"'") == "Monitoring"
        elif inside and (setting := _SETTING.fullmatch(line)):
            name, *values = setting.groups()
            settings[name] = next((value for value in values if value is not None), "")
    return settings


def _number(settings: Mapping[str, str], path: Path, name: str, default: int, most: int) -> int:
    text = settings.get(name)
    if text is None:
        return default
    text = text.strip()
    if not (text.isascii() and text.isdecimal() and len(text) <= 3 and int(text) <= most):
        raise ConfigurationError(
            f"{path}: {name} is not a number from 0 to {most}.",
            hint="Correct it, or name another file with --config-ini.",
        )
    return int(text)
