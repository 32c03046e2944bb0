"""Load the settings and the origin of each: flag > environment > ``.env`` > ``config.toml``.

``TAUTULLI_IMPORT_<NAME>`` names every setting in the environment. Some have a second name there,
like ``TAUTULLI_URL``. The ``IMPORT_*`` names of the second seed, like ``IMPORT_DB_PATH``, override
only ``.env`` and what is below it. ``options`` holds the names, this module the types and defaults.
Import it late: pydantic-settings takes longer to load than ``--help`` takes to answer.

A ``.env`` belongs to the working directory, and somebody else may have prepared that directory (a
clone, an archive). So its values override ``config.toml``, but it is trusted least: it does not
decide where a secret from another place goes (``Loaded.check_steering``).
"""

from __future__ import annotations

import io
import os
import pwd
import stat
from collections.abc import Iterator, Mapping
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from msgspec import Struct
from platformdirs import user_config_path, user_state_path
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from .errors import ConfigurationError
from .events.build import EVENT_SOURCE
from .jetstream.access import SERVER, STREAM
from .options import OPTIONS, SETTINGS, Format, MediaType, Option, Server, Via, WatchedAt

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

__all__ = ["Loaded", "Settings", "config_path", "load", "owner_name"]

_PREFIX: Final = "TAUTULLI_IMPORT_"
_SEED: Final = {one.seed: one.name for one in OPTIONS if one.seed}
_SERVER: Final = {one.env: one.name for one in OPTIONS if one.env}
_TYPES: Final[Mapping[type, str]] = {
    str: "text",
    Path: "a path",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
}


def config_path() -> Path:
    """Return the path of ``config.toml``, existing or not."""
    return user_config_path("tautulli-import", appauthor=False) / "config.toml"


def _split(value: object) -> object:
    """Split ``alice,bob`` from the environment into a list."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, int) and not isinstance(value, bool):  # user = 38008058 in TOML
        return [str(value)]
    if isinstance(value, list):
        return [str(part) if isinstance(part, int) else part for part in value]
    return value


def _date_as_text(value: object) -> object:
    """Return a TOML date as the text that the command line takes."""
    return value.isoformat() if isinstance(value, date) else value


def _distinct(values: list[str]) -> list[str]:
    return list(dict.fromkeys(values))


_Names = Annotated[list[str], NoDecode, BeforeValidator(_split), AfterValidator(_distinct)]


def _expanded(path: Path | None) -> Path | None:
    """Expand ``~``. A shell does not do that in a file or in a quoted word."""
    return path.expanduser() if path else path


def _all_expanded(paths: list[Path]) -> list[Path]:
    return [path.expanduser() for path in paths]


_File = Annotated[Path | None, AfterValidator(_expanded)]
_Moment = Annotated[str | None, BeforeValidator(_date_as_text)]
# These become parts of keys and NATS subjects. A colon, a space or (in a subject) a dot would
# make another key or subject.
_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]*$", max_length=200)]
_Token = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$", max_length=200)]


class Settings(BaseSettings):
    """Everything that can be set, with its default."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, env_ignore_empty=True, extra="ignore", validate_default=True
    )

    url: str | None = None
    api_key: SecretStr | None = None
    api_key_file: _File = None
    ca_file: _File = None
    insecure: bool = False
    timeout: Annotated[float, Field(ge=1, le=3600)] = 120.0
    via: Via = "history"
    enrich: bool = True
    state_dir: _File = None
    database: Annotated[
        list[Path], NoDecode, BeforeValidator(_split), AfterValidator(_all_expanded)
    ] = []
    config_ini: _File = None
    to: _Names = []
    out: _Names = []
    events: bool = False
    server_id: _Name = ""
    event_source: _Token = EVENT_SOURCE
    nats_url: str = SERVER
    nats_user: str | None = None
    nats_password: SecretStr | None = None
    nats_password_file: _File = None
    nats_token: SecretStr | None = None
    nats_token_file: _File = None
    nats_creds: _File = None
    nats_ca_file: _File = None
    nats_cert: _File = None
    nats_key: _File = None
    nats_tls_first: bool = False
    nats_stream: str = STREAM
    nats_timeout: Annotated[float, Field(ge=0.1, le=3600)] = 5.0
    nats_patience: Annotated[float, Field(ge=0, le=86_400)] = 60.0
    dry_run: bool = False
    format: Format | None = None
    user: _Names = []
    each_user: bool = False
    all_users: bool = False
    library: _Names = []
    media_type: Annotated[list[MediaType], NoDecode, BeforeValidator(_split)] = [
        "movie",
        "episode",
        "track",
    ]
    since: _Moment = None
    until: _Moment = None
    min_percent: Annotated[int, Field(ge=0, le=100)] | None = None
    include_partial: bool = False
    rewatches: bool = False
    same_play: Annotated[int, Field(ge=0, le=86_400)] = 60
    watched_at: WatchedAt = "stopped"
    ids: _File = None
    merge_with: _File = None
    wait: Annotated[float, Field(ge=0)] = 0.0
    batch_size: Annotated[int, Field(ge=1, le=10_000)] = 200
    strict: bool = False
    salvage: bool = False
    report: _File = None
    quiet: bool = False
    verbose: bool = False
    color: bool = True

    @property
    def state_folder(self) -> Path:
        """Return the directory for everything that is remembered between runs."""
        return self.state_dir or user_state_path("tautulli-import", appauthor=False)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read only the arguments: ``load`` reads the other sources and notes the origins."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)


class Loaded(Struct, frozen=True):
    """The settings and the origin of each value."""

    settings: Settings
    origins: Mapping[str, str]
    ranks: Mapping[str, int] = {}
    """The precedence of each value's origin. A default has 0."""

    dotenv: Path | None = None
    """The ``.env`` that sets something; ``None`` if there is none."""

    def value_or_file(self, name: str) -> str | None:
        """Return which of a secret and the file of it has precedence; ``None`` if neither is set.

        ``name`` is the setting of the secret itself. From the same origin, the file wins.
        """
        file = f"{name}_file"
        given = [each for each in (file, name) if getattr(self.settings, each, None) is not None]
        return max(given, key=self.ranks.__getitem__, default=None)

    def secrets(self, server: Server) -> Iterator[str]:
        """Return the settings from which secrets for a server come."""
        for option in SETTINGS.values():
            value = getattr(self.settings, option.name)
            if option.unlocks == server and value is not None:
                is_used = self.value_or_file(option.name.removesuffix("_file")) == option.name
            else:  # an address can have a password in it
                is_used = option.steers == server and option.hides != "" and "@" in (value or "")
            if is_used:
                yield option.name

    def where(self, name: str) -> str:
        """Name a setting and its origin for a message."""
        origin = self.origins[name]
        return SETTINGS[name].flag if origin == "option" else f"{name} ({origin})"

    def check_steering(self, server: Server, foreign: str = "") -> None:
        """Check that the ``.env`` does not decide where a secret from elsewhere goes.

        That is so if it sets the address of the server, or weakens the protection on the way. The
        content of a file outside of its directory is from elsewhere, too. ``foreign`` names a
        secret that is no setting.

        Raises:
            ConfigurationError: it does.
        """
        secrets = [self.where(name) for name in self.secrets(server) if not self._is_local(name)]
        secrets += [foreign] if foreign else []
        for option in SETTINGS.values():
            name = option.name
            if option.steers == server and secrets and self.origins[name] == str(self.dotenv):
                raise ConfigurationError(
                    f"{name} comes from {self.dotenv} in the working directory, but the secret "
                    f"comes from {secrets[0]}. Whoever wrote that file could get the secret.",
                    hint=f"Set {option.flag} yourself: on the command line, in the environment or "
                    f"in {config_path()}. Or put the secret into {self.dotenv}, too.",
                )

    def _is_local(self, name: str) -> bool:
        """Return true if the ``.env`` gives a secret, itself or from a file in its directory."""
        if self.dotenv is None or self.origins[name] != str(self.dotenv):
            return False
        value = getattr(self.settings, name)
        return not isinstance(value, Path) or (
            value != Path("-") and value.resolve().is_relative_to(self.dotenv.parent.resolve())
        )


def load(flags: Mapping[str, object], *, env_file: Path | None = None) -> Loaded:
    """Return the settings from the given flags, the environment, the files and the defaults.

    Raises:
        ConfigurationError: a value is wrong. The message names it and its origin.
    """
    path = config_path()
    env_file = env_file or Path(".env")
    layers: dict[str, Mapping[str, Any]] = {
        "default": {},
        str(path): _toml(path),
        str(env_file): (from_dotenv := _dotenv(env_file)),
        "environment (IMPORT_*)": {
            # IMPORT_DB_PATH is a single path, so a comma is a part of it.
            name: [os.environ[variable]] if name == "database" else os.environ[variable]
            for variable, name in _SEED.items()
            if os.environ.get(variable)
        },
        "environment": _named(os.environ, ""),
        "option": {name: value for name, value in flags.items() if value is not None},
    }
    values: dict[str, Any] = {}
    origins = dict.fromkeys(Settings.model_fields, "default")
    ranks = dict.fromkeys(Settings.model_fields, 0)
    for rank, (origin, layer) in enumerate(layers.items()):
        for name, value in layer.items():
            if name in Settings.model_fields:
                values[name] = value
                origins[name] = origin
                ranks[name] = rank
    try:
        settings = Settings(**values)
    except ValidationError as error:
        raise _wrong_value(error, origins) from None
    return Loaded(settings, origins, ranks, env_file if from_dotenv else None)


def owner_name(uid: int) -> str:
    """Return the name of a user for messages, or the number if there is no name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"the user with the number {uid}"


def _dotenv(path: Path) -> Mapping[str, Any]:
    """Return the settings in a ``.env``. Refuse one that somebody else can write."""
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
        return _named(dotenv_values(stream=io.StringIO(text), interpolate=False), str(path))
    except (FileNotFoundError, IsADirectoryError):
        return {}
    except (ValueError, OSError) as error:
        raise ConfigurationError(
            f"Cannot read {path}: {_reason(error)}.",
            hint="It must be UTF-8 text with one NAME=value per line.",
        ) from None


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
            close = get_close_matches(variable.upper(), known, n=1)
            remove = f"Remove it from {file}." if file else f"Remove it: unset {variable}"
            shown = f"{variable} in {file}" if file else f"The environment variable {variable}"
            raise ConfigurationError(
                f"{shown} is not a setting.", hint=f"Did you mean {close[0]}?" if close else remove
            )
    return found | {name: variables[key] for key, name in _SERVER.items() if variables.get(key)}


def _toml(path: Path) -> Mapping[str, Any]:
    try:
        if not path.is_file():
            return {}
        values = TomlConfigSettingsSource(Settings, toml_file=path).toml_data
    except (ValueError, OSError) as error:
        raise ConfigurationError(
            f"Cannot read {path}: {_reason(error)}.", hint="Correct the file, or move it away."
        ) from None
    unknown = sorted(values.keys() - Settings.model_fields.keys())
    if unknown:
        raise ConfigurationError(
            f"{path}: {unknown[0]!r} is not a setting.",
            hint="List all settings: tautulli-import config show",
        )
    return values


def _reason(error: ValueError | OSError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8 text"
    return (error.strerror if isinstance(error, OSError) else "") or str(error)


def _wrong_value(error: ValidationError, origins: Mapping[str, str]) -> ConfigurationError:
    """Return the error to raise for the first wrong value. A secret is not quoted."""
    first = error.errors(include_url=False)[0]
    name = str(first["loc"][0])
    option = SETTINGS[name]
    origin = origins[name]
    is_option = origin == "option"
    where = option.flag if is_option else f"{name} ({origin})"
    place = "the environment" if origin.startswith("environment") else origin
    instead = "" if option.hides else f", not {first['input']!r}"
    return ConfigurationError(
        f"{where} must be {_allowed(option, first)}{instead}.",
        hint="Add --help to see all options." if is_option else f"Correct it in {place}.",
    )


def _allowed(option: Option, error: ErrorDetails) -> str:
    """Return what a setting can be, in words. ``error`` says which rule its value breaks."""
    limits = error.get("ctx", {})
    match error["type"]:
        case "literal_error":
            return str(limits["expected"]).replace("'", "")
        case "greater_than_equal":
            return f"at least {limits['ge']:g}"
        case "less_than_equal":
            return f"at most {limits['le']:g}"
        case "string_too_long":
            return f"at most {limits['max_length']} characters long"
        case "string_pattern_mismatch":
            dot = ", dots" if "." in limits["pattern"] else ""
            return f"made of letters, digits{dot}, hyphens and underscores"
        case _:
            return _TYPES[option.type]
