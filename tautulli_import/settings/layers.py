"""Read the settings from the environment, a ``.env`` and ``config.toml``.

A ``.env`` belongs to the working directory, and somebody else may have prepared that directory (a
clone, an archive). So one that others can write is refused.
"""

from __future__ import annotations

import io
import os
import pwd
import shlex
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from platformdirs import user_config_path
from pydantic_settings import TomlConfigSettingsSource

from ..errors import ConfigurationError, NotFoundError
from ..files import expand_home
from ..formatting import did_you_mean, shown
from ..options import OPTIONS
from .fields import Settings

__all__ = [
    "config_path",
    "from_config",
    "from_dotenv",
    "from_environment",
    "from_seed",
    "owner_name",
]

_PREFIX: Final = "TAUTULLI_IMPORT_"
_SEED: Final = {one.seed: one.name for one in OPTIONS if one.seed}
_SERVER: Final = {one.env: one.name for one in OPTIONS if one.env}
_NOTHING: Final[Mapping[str, object]] = {}


def config_path(flags: Mapping[str, object] = _NOTHING) -> Path:
    """Return the path of the file of settings, existing or not.

    It is that of ``--config``, of ``TAUTULLI_IMPORT_CONFIG``, or the user's ``config.toml``.
    """
    if named := _named_config(flags):
        return named
    return user_config_path("tautulli-import", appauthor=False) / "config.toml"


def _named_config(flags: Mapping[str, object]) -> Path | None:
    named = flags.get("config") or _environment().get(f"{_PREFIX}CONFIG")
    return expand_home(Path(str(named))) if named else None


def from_environment() -> Mapping[str, Any]:
    """Return the settings in the environment.

    Raises:
        ConfigurationError: there is an unknown ``TAUTULLI_IMPORT_`` name.
    """
    return _named(_environment(), "")


def from_seed() -> Mapping[str, Any]:
    """Return the settings under the ``IMPORT_*`` names of the second seed."""
    given = _environment()
    return {
        # IMPORT_DB_PATH is a single path, so a comma is a part of it.
        name: [given[variable]] if name == "database" else given[variable]
        for variable, name in _SEED.items()
        if given.get(variable)
    }


def _environment() -> Mapping[str, str]:
    """Return the environment without quotation marks and carriage returns around values.

    ``docker run --env-file`` (Docker 28) passes both on, where a shell and a ``.env`` remove them.
    """
    return {name: _unquoted(value.rstrip("\r")) for name, value in os.environ.items()}


def _unquoted(value: str) -> str:
    is_quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if is_quoted and value.count(value[0]) == 2 else value


def from_dotenv(path: Path) -> Mapping[str, Any]:
    """Return the settings in a ``.env``, nothing if there is none.

    Raises:
        ConfigurationError: it cannot be read, somebody else can write it, or a name in it is
            unknown.
    """
    from dotenv import dotenv_values

    try:
        # A named pipe must not block.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), encoding="utf-8-sig") as file:
            info = os.fstat(file.fileno())
            if not stat.S_ISREG(info.st_mode):  # some name a virtual environment .env
                return {}
            _check_owner(path, info)
            text = file.read()
        # No ${NAME}: it would put secrets of the environment into an address.
        found = _named(dotenv_values(stream=io.StringIO(text), interpolate=False), str(path))
    except (FileNotFoundError, IsADirectoryError):
        return {}
    except (ValueError, OSError) as error:
        raise ConfigurationError(
            f"Cannot read {path}: {_reason(error)}.",
            hint="It must be UTF-8 text with one NAME=value per line.",
        ) from None
    if "config" in found:  # it would override what the person chose
        raise ConfigurationError(
            f"{_PREFIX}CONFIG in {path} is not used.",
            hint=f"Remove it there. Use --config {found['config']}, or set it in the environment.",
        )
    return found


def _check_owner(path: Path, info: os.stat_result) -> None:
    """Refuse a ``.env`` that another user can write."""
    if info.st_uid not in (os.geteuid(), 0):
        why, command = f"it belongs to {owner_name(info.st_uid)}", f"sudo chown $(id -u) {path}"
    elif info.st_mode & (stat.S_IWOTH | (0 if info.st_gid == os.getegid() else stat.S_IWGRP)):
        why, command = "other users can write it", f"chmod go-w {path}"
    else:
        return
    raise ConfigurationError(
        f"{path.absolute()} is not used, because {why}. It could send your API key elsewhere.",
        hint=f"Read it. If you trust it: {command}",
    )


def from_config(flags: Mapping[str, object]) -> Mapping[str, Any]:
    """Return the settings in the file of settings, nothing if there is none and none was named.

    Raises:
        NotFoundError: the one that was named does not exist.
        ConfigurationError: it cannot be read, or a name in it is unknown.
    """
    path = config_path(flags)
    try:
        if not path.is_file():
            if _named_config(flags):
                raise NotFoundError(
                    f"There is no file {shown(path)} with settings.",
                    hint=f"To write one: tautulli-import init --config {shlex.quote(str(path))}",
                )
            return {}
        values = TomlConfigSettingsSource(Settings, toml_file=path).toml_data
    except (ValueError, OSError) as error:
        raise ConfigurationError(
            f"Cannot read {path}: {_reason(error)}.", hint="Correct the file, or move it away."
        ) from None
    known = Settings.model_fields.keys() - {"config"}
    unknown = sorted(values.keys() - known)
    if unknown:
        raise ConfigurationError(
            f"{path}: {unknown[0]!r} is not a setting.",
            hint=f"{did_you_mean(unknown[0], known)}All settings: tautulli-import help options",
        )
    return values


def _reason(error: ValueError | OSError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8 text"
    return (error.strerror if isinstance(error, OSError) else "") or str(error)


def owner_name(uid: int) -> str:
    """Return the name of a user for messages, or the number if there is no name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"the user with the number {uid}"


def _named(variables: Mapping[str, str | None], file: str) -> Mapping[str, Any]:
    """Return the settings in the environment, or in a ``file`` like it.

    A misspelt ``TAUTULLI_IMPORT_USER`` would merge the plays of all users without a word.

    Raises:
        ConfigurationError: there is an unknown ``TAUTULLI_IMPORT_`` name.
    """
    known = {_PREFIX + name.upper(): name for name in Settings.model_fields}
    found: dict[str, Any] = {}
    for variable, value in sorted(variables.items()):
        name = known.get(variable.upper())
        if name and value:
            found[name] = value
        elif not name and variable.upper().startswith(_PREFIX):
            remove = f"Remove it from {file}." if file else f"Remove it: unset {variable}"
            where = f"{variable} in {file}" if file else f"The environment variable {variable}"
            raise ConfigurationError(
                f"{where} is not a setting.",
                hint=did_you_mean(variable.upper(), known).strip() or remove,
            )
    return found | {name: variables[key] for key, name in _SERVER.items() if variables.get(key)}
