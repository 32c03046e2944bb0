"""Tautulli's ``config.ini``: which plays its owner calls watched.

Only the three settings of ``[Monitoring]`` are looked at. The file also holds the API
key and passwords; nothing else of it leaves this module.
"""

from __future__ import annotations

import configparser
from pathlib import Path

from ..errors import ConfigurationError, NotFoundError
from ..watched import WatchedRule

__all__ = ["rule_beside", "rule_from"]

_HINT = "Name Tautulli's own config.ini, or leave the option out for its defaults."


def rule_beside(database: Path) -> WatchedRule:
    """The thresholds of the ``config.ini`` in the database's directory, else the defaults."""
    path = database.parent / "config.ini"
    return rule_from(path) if path.is_file() else WatchedRule()


def rule_from(path: Path) -> WatchedRule:
    """The thresholds of this ``config.ini``; what it does not say is Tautulli's default.

    Raises:
        NotFoundError: there is no such file.
        ConfigurationError: it cannot be read, or a threshold in it is no percentage.
    """
    parser = configparser.ConfigParser(interpolation=None, strict=False, allow_no_value=True)
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            parser.read_file(file)
    except FileNotFoundError:
        raise NotFoundError(f"There is no file {path}.", hint=_HINT) from None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.", hint=_HINT) from None
    except configparser.Error as error:
        # The parser's own message quotes the line, and a line can be the API key.
        line = getattr(error, "lineno", None)
        where = f", line {line}" if line else ""
        raise ConfigurationError(f"{path}{where} is not an INI file.", hint=_HINT) from None
    default = WatchedRule()
    return WatchedRule(
        movie_percent=_number(parser, path, "movie_watched_percent", default.movie_percent, 100),
        tv_percent=_number(parser, path, "tv_watched_percent", default.tv_percent, 100),
        marker=_number(parser, path, "watched_marker", default.marker, 3),
        origin=str(path),
    )


def _number(
    parser: configparser.ConfigParser, path: Path, name: str, default: int, most: int
) -> int:
    raw = parser.get("Monitoring", name, fallback=None)
    if raw is None:
        return default
    text = raw.strip().strip("\"'").strip()
    if not text.isdecimal() or int(text) > most:
        raise ConfigurationError(
            f"{path}: {name} is not a number from 0 to {most}.",
            hint="Correct it, or name another file with --config-ini.",
        )
    return int(text)
