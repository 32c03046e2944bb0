"""Settings: flag > environment > ``.env`` > ``config.toml`` > default, and who said what.

``TAUTULLI_IMPORT_<NAME>`` names every setting in the environment. Some have a second name there,
like ``TAUTULLI_URL``; those of the second seed, like ``IMPORT_DB_PATH``, count less. The names
stand in ``options``, the types and the defaults here.
Import this module late: pydantic-settings takes longer to load than ``--help`` to answer.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Final

from msgspec import Struct
from platformdirs import user_config_path, user_state_path
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from .errors import ConfigurationError
from .events.build import EVENT_SOURCE
from .jetstream.access import SERVER, STREAM
from .options import OPTIONS, SETTINGS, Format, MediaType, Via, WatchedAt

__all__ = ["Loaded", "Settings", "config_path", "load"]

_PREFIX: Final = "TAUTULLI_IMPORT_"
_SEED: Final = {one.seed: one.name for one in OPTIONS if one.seed}
_SERVER: Final = {one.env: one.name for one in OPTIONS if one.env}


def config_path() -> Path:
    """Where ``config.toml`` is looked for."""
    return user_config_path("tautulli-import", appauthor=False) / "config.toml"


def _listed(value: object) -> object:
    """``alice,bob`` of the environment, as a list."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, int) and not isinstance(value, bool):  # user = 38008058 in TOML
        return [str(value)]
    return (
        [str(one) if isinstance(one, int) else one for one in value]
        if (isinstance(value, list))
        else value
    )


def _written(value: object) -> object:
    """A date that TOML has made one of, as it is written on the command line."""
    return value.isoformat() if isinstance(value, date) else value


def _distinct(values: list[str]) -> list[str]:
    return list(dict.fromkeys(values))


_Names = Annotated[list[str], NoDecode, BeforeValidator(_listed), AfterValidator(_distinct)]


def _at_home(path: Path | None) -> Path | None:
    """``~/tautulli.db``, which no shell has expanded in a file or a quoted word."""
    return path.expanduser() if path else path


def _all_at_home(paths: list[Path]) -> list[Path]:
    return [path.expanduser() for path in paths]


_File = Annotated[Path | None, AfterValidator(_at_home)]
_Moment = Annotated[str | None, BeforeValidator(_written)]
# Parts of keys and subjects: a colon, a dot or a space would make another key or subject of it.
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
        list[Path], NoDecode, BeforeValidator(_listed), AfterValidator(_all_at_home)
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
    library: _Names = []
    media_type: Annotated[list[MediaType], NoDecode, BeforeValidator(_listed)] = [
        "movie",
        "episode",
        "track",
    ]
    since: _Moment = None
    until: _Moment = None
    min_percent: Annotated[int, Field(ge=0, le=100)] | None = None
    include_partial: bool = False
    rewatches: bool = False
    watched_at: WatchedAt = "stopped"
    ids: _File = None
    merge_with: _File = None
    wait: Annotated[float, Field(ge=0)] = 0.0
    batch_size: Annotated[int, Field(ge=1, le=10_000)] = 200
    strict: bool = False
    report: _File = None
    quiet: bool = False
    verbose: bool = False
    color: bool = True

    @property
    def state_folder(self) -> Path:
        """Where what is remembered between runs is kept."""
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
        """``load`` names the sources itself, to know which of them said what."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)


class Loaded(Struct, frozen=True):
    """The settings in force, and where each value comes from."""

    settings: Settings
    origins: Mapping[str, str]

    ranks: Mapping[str, int] = {}
    """How high the place is that said it; the default is 0."""

    def outranks(self, name: str, other: str) -> bool:
        """Whether ``name`` was said at a higher place than ``other``, or at the same."""
        return self.ranks[name] >= self.ranks[other]


def load(flags: Mapping[str, object], *, env_file: Path | None = None) -> Loaded:
    """Settings out of the flags that were given and everything below them.

    Raises:
        ConfigurationError: a value is wrong; the message says which, and where it stands.
    """
    _check_environment()
    path = config_path()
    env_file = env_file or Path(".env")
    layers: dict[str, Mapping[str, Any]] = {
        "default": {},
        str(path): _toml(path),
        str(env_file): _dotenv(env_file),
        "environment (IMPORT_*)": {
            # One path, as the seed means it: a comma belongs to it.
            name: [os.environ[variable]] if name == "database" else os.environ[variable]
            for variable, name in _SEED.items()
            if os.environ.get(variable)
        },
        "environment": {**EnvSettingsSource(Settings)(), **_server(os.environ)},
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
        raise _sentence(error, origins) from None
    return Loaded(settings, origins, ranks)


def _dotenv(path: Path) -> Mapping[str, Any]:
    from dotenv import dotenv_values

    try:
        named = DotEnvSettingsSource(Settings, env_file=path)()
        return {**named, **_server(dotenv_values(path) if path.is_file() else {})}
    except (ValueError, OSError) as error:
        raise ConfigurationError(
            f"{path} cannot be used: {error}.", hint="It is text in UTF-8, NAME=value a line."
        ) from None


def _server(variables: Mapping[str, str | None]) -> Mapping[str, Any]:
    return {name: variables[key] for key, name in _SERVER.items() if variables.get(key)}


def _check_environment() -> None:
    """A misspelt name would silently merge everybody's plays: none is passed over."""
    known = {_PREFIX + name.upper() for name in Settings.model_fields}
    for name in sorted(os.environ):
        if name.upper().startswith(_PREFIX) and name.upper() not in known:
            close = get_close_matches(name.upper(), known, n=1)
            raise ConfigurationError(
                f"There is no setting for {name} in the environment.",
                hint=f"Did you mean {close[0]}?" if close else "Unset it.",
            )


def _toml(path: Path) -> Mapping[str, Any]:
    try:
        if not path.is_file():
            return {}
        values = TomlConfigSettingsSource(Settings, toml_file=path).toml_data
    except (ValueError, OSError) as error:
        raise ConfigurationError(f"{path} cannot be used: {error}.", hint="Mend it.") from None
    unknown = sorted(values.keys() - Settings.model_fields.keys())
    if unknown:
        raise ConfigurationError(
            f"{path}: there is no setting {unknown[0]!r}.",
            hint="'tautulli-import config show' lists all there are.",
        )
    return values


def _sentence(error: ValidationError, origins: Mapping[str, str]) -> ConfigurationError:
    first = error.errors(include_url=False)[0]
    name = str(first["loc"][0])
    origin = origins.get(name, "")
    option = SETTINGS[name]
    where = option.flag if origin == "option" else f"{name} ({origin})"
    said = "what was given" if option.hides else repr(first["input"])
    return ConfigurationError(
        f"{where}: {said} will not do: {first['msg'].lower()}.",
        hint="README.md says what it can be." if origin == "option" else f"Correct it: {origin}.",
    )
