"""Define the type and the default of every setting.

``options`` has their names. Import this late: pydantic-settings takes longer to load than
``--help`` takes to answer.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

from platformdirs import user_state_path
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from ..crosswatch.access import DEFAULT_PROFILE
from ..events.build import EVENT_SOURCE
from ..files import expand_home
from ..jetstream.access import SERVER, STREAM
from ..model.viewings import SAME_PLAY
from ..options import Format, KeyIn, MediaType, Via, WatchedAt

__all__ = ["Settings"]


def _split(value: object) -> object:
    """Split ``alice,bob`` from the environment into a list."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, int) and not isinstance(value, bool):  # user = 38008058 in TOML
        return [str(value)]
    if isinstance(value, list):
        return [str(part) if isinstance(part, int) else part for part in value]
    return value


def _table(value: object) -> object:
    """Split ``alice=CW-P01,bob=CW-P02`` from the environment into a table."""
    if isinstance(value, str):
        pairs = [part.partition("=") for part in value.split(",") if part.strip()]
        return {name.strip(): profile.strip() for name, _, profile in pairs}
    return value


def _split_lines(value: object) -> object:
    """Split headers from the environment into a list. A comma can be a part of a header."""
    return value.split("\n") if isinstance(value, str) else value


def _date_as_text(value: object) -> object:
    """Return a TOML date as the text that the command line takes."""
    return value.isoformat() if isinstance(value, date) else value


def _distinct(values: list[str]) -> list[str]:
    return list(dict.fromkeys(values))


_Names = Annotated[list[str], NoDecode, BeforeValidator(_split), AfterValidator(_distinct)]


_Headers = Annotated[list[SecretStr] | None, NoDecode, BeforeValidator(_split_lines)]
_Path = Annotated[Path, AfterValidator(expand_home)]
_File = _Path | None
_Moment = Annotated[str | None, BeforeValidator(_date_as_text)]
# These become parts of keys and NATS subjects. A colon, a space or (in a subject) a dot would
# make another key or subject.
_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]*$", max_length=200)]
_Token = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$", max_length=200)]


class Settings(BaseSettings):
    """Everything that can be set, with its default."""

    model_config = SettingsConfigDict(extra="ignore", validate_default=True)

    config: _File = None
    """The file of settings; ``load`` sets it."""
    url: str | None = None
    api_key: SecretStr | None = None
    api_key_file: _File = None
    key_in: KeyIn | None = None
    header: _Headers = None
    header_file: _File = None
    ca_file: _File = None
    client_cert: _File = None
    client_key: _File = None
    insecure: bool = False
    timeout: Annotated[float, Field(ge=1, le=3600)] = 120.0
    via: Via = "history"
    enrich: bool = True
    plex_db: _File = None
    plex_cloud: bool = False
    plex_token: SecretStr | None = None
    plex_token_file: _File = None
    plex_token_from_config: bool = False
    state_dir: _File = None
    database: Annotated[list[_Path], NoDecode, BeforeValidator(_split)] = []
    config_ini: _File = None
    to: _Names = []
    out: _Names = []
    events: bool = False
    server_id: _Name = ""
    event_source: _Token = EVENT_SOURCE
    crosswatch_url: str | None = None
    crosswatch_token: SecretStr | None = None
    crosswatch_token_file: _File = None
    crosswatch_ca_file: _File = None
    profile: Annotated[str, Field(min_length=1)] = DEFAULT_PROFILE
    profiles: Annotated[dict[str, str], NoDecode, BeforeValidator(_table)] = {}
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
    same_play: Annotated[int, Field(ge=0, le=86_400)] = SAME_PLAY
    watched_at: WatchedAt = "stopped"
    timezone: str | None = None
    ids: _File = None
    merge_with: _File = None
    wait: Annotated[float, Field(ge=0)] = 0.0
    batch_size: Annotated[int, Field(ge=1, le=10_000)] = 200
    strict: bool = False
    salvage: bool = False
    report: _File = None
    page: _File = None
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
