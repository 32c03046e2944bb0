"""Load the settings and the origin of each: flag > environment > ``.env`` > ``config.toml``.

``TAUTULLI_IMPORT_<NAME>`` names every setting in the environment. Some have a second name there,
like ``TAUTULLI_URL``. The ``IMPORT_*`` names of the second seed, like ``IMPORT_DB_PATH``, override
only ``.env`` and what is below it.

A ``.env`` is trusted least: it does not decide where a secret from another place goes
(``Loaded.check_steering``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct
from pydantic import ValidationError

from ..errors import ConfigurationError
from ..options import SETTINGS, Option, Server
from .fields import Settings
from .layers import config_path, from_config, from_dotenv, from_environment, from_seed

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

__all__ = ["Loaded", "load"]

_TYPES: Final[Mapping[type, str]] = {
    str: "text",
    Path: "a path",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    dict: 'a table like {alice = "CW-P01"}',
}


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
                is_used = server in option.steers and option.hides != "" and "@" in (value or "")
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
            if server in option.steers and secrets and self.origins[name] == str(self.dotenv):
                raise ConfigurationError(
                    f"{name} comes from {self.dotenv} in the working directory, but the secret "
                    f"comes from {secrets[0]}. Whoever wrote that file could "
                    f"{'use' if server == 'Plex' else 'get'} the secret.",
                    hint=f"Set {option.flag} yourself: on the command line, in the environment or "
                    f"in {self.settings.config}. Or put the secret into {self.dotenv}, too.",
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
        NotFoundError: the file that ``--config`` names does not exist.
    """
    path = config_path(flags)
    env_file = env_file or Path(".env")
    layers: dict[str, Mapping[str, Any]] = {
        "default": {"config": path},
        str(path): from_config(flags),
        str(env_file): (dotenv := from_dotenv(env_file)),
        "environment (IMPORT_*)": from_seed(),
        "environment": from_environment(),
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
    return Loaded(settings, origins, ranks, env_file if dotenv else None)


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
