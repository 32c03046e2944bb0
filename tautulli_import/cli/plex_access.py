"""Open what knows more ids: a Plex library database, and Plex's metadata service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..errors import ConfigurationError
from ..settings.fields import Settings
from ..settings.loaded import Loaded
from ..sources.database.config_ini import plex_token_from
from .connect import config_inis
from .console import Screen
from .secrets import check_secrets, clean, secret_of

if TYPE_CHECKING:
    from ..ids.plex_cloud import PlexCloud
    from ..ids.plex_library import PlexLibrary

__all__ = ["open_cloud", "open_library"]

_WHAT: Final = "a Plex token"
_HINT: Final = (
    "Use --plex-token-file FILE or set TAUTULLI_IMPORT_PLEX_TOKEN_FILE. To take the token that "
    "Tautulli has, add --plex-token-from-config."
)


def open_library(settings: Settings, screen: Screen) -> PlexLibrary | None:
    """Open the Plex library database of the settings; ``None`` if they name none.

    Raises:
        TautulliImportError: it cannot be read, or it is another file.
    """
    from ..ids.plex_library import PlexLibrary

    if settings.plex_db is None:
        return None
    library = PlexLibrary(settings.plex_db)
    for notice in library.notices:
        screen.note(notice)
    return library


def open_cloud(loaded: Loaded, screen: Screen, *, now: int) -> PlexCloud | None:
    """Return access to Plex's metadata service; ``None`` unless the settings ask for it.

    Raises:
        ConfigurationError: there is no token, or it must not be sent.
        NotFoundError: the file of the token does not exist.
    """
    from ..ids.plex_cloud import PlexCloud

    if not loaded.settings.plex_cloud:
        _refuse_useless(loaded)
        return None
    token = _token(loaded, screen)
    if not token:
        raise ConfigurationError("--plex-cloud needs a Plex token.", hint=_HINT)
    return PlexCloud(token, loaded.settings.state_folder, now=now)


def _refuse_useless(loaded: Loaded) -> None:
    """Refuse an option about the token that has no effect.

    Raises:
        ConfigurationError: there is one on the command line.
    """
    for name in ("plex_token_file", "plex_token_from_config"):
        if getattr(loaded.settings, name) and loaded.origins[name] == "option":
            raise ConfigurationError(
                f"{loaded.where(name)} has no effect without --plex-cloud.",
                hint="Add --plex-cloud, or leave it out.",
            )


def _token(loaded: Loaded, screen: Screen) -> str:
    """Return the token; "" for none. Of two places for it, the one of higher precedence counts."""
    settings, ranks = loaded.settings, loaded.ranks
    given = loaded.value_or_file("plex_token")
    name = "plex_token_from_config"
    if settings.plex_token_from_config and (given is None or ranks[name] > ranks[given]):
        return _token_of_tautulli(loaded)
    check_secrets(loaded, screen, "Plex")
    return secret_of(loaded, "plex_token", _WHAT, word=True)


def _token_of_tautulli(loaded: Loaded) -> str:
    """Return the token in Tautulli's ``config.ini``."""
    path = next(config_inis(loaded.settings), None)
    if path is None:
        raise ConfigurationError(
            "There is no config.ini of Tautulli to take the Plex token from.",
            hint="Use --plex-token-file FILE, or set TAUTULLI_IMPORT_CONFIG_INI to its path.",
        )
    loaded.check_steering("Plex", str(path))
    return clean(plex_token_from(path), _WHAT, f"pms_token in {path}", word=True)
