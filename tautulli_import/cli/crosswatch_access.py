"""Make the address and the token of a CrossWatch from the settings."""

from __future__ import annotations

from ..crosswatch.access import CREATE_ONE, Access, check_token, parse_crosswatch_url
from ..errors import ConfigurationError
from ..options import SETTINGS
from ..settings.loaded import Loaded
from .connect import warn_of_way
from .console import Screen
from .hiding import hide
from .secrets import check_secrets, secret_of

__all__ = ["crosswatch_access"]


def crosswatch_access(loaded: Loaded, screen: Screen) -> Access:
    """Return the CrossWatch that the settings name. Warn if others could get the token.

    Raises:
        ConfigurationError: the address or the token is missing or wrong, the token must not be
            sent to that address, or the profiles do not fit the options.
        NotFoundError: the file of the token does not exist.
    """
    settings = loaded.settings
    if not settings.crosswatch_url:
        raise ConfigurationError(
            "No CrossWatch address given.",
            hint="Use --crosswatch-url http://192.168.1.10:8787 or set CW_URL.",
        )
    on_line = [name for name in loaded.secrets("CrossWatch") if loaded.origins[name] == "option"]
    if any(SETTINGS[name].hides for name in on_line):
        screen.warn(
            "A secret is on the command line (--crosswatch-token or --crosswatch-url). Every user "
            "of this machine can read it there. Use --crosswatch-token-file FILE, CW_TOKEN or "
            "CW_URL."
        )
    _check_profiles(loaded)
    check_secrets(loaded, screen, "CrossWatch")
    token = secret_of(loaded, "crosswatch_token", "a token", hint=CREATE_ONE, word=True)
    if not token:
        raise ConfigurationError(
            "No CrossWatch token given.",
            hint=f"Use --crosswatch-token-file FILE or set CW_TOKEN. {CREATE_ONE}",
        )
    check_token(token, loaded.where(loaded.value_or_file("crosswatch_token") or ""))
    address = parse_crosswatch_url(settings.crosswatch_url)
    if address.auth:
        hide(address.auth[1])
    warn_of_way(
        loaded,
        address.base,
        screen,
        what="token",
        option="--crosswatch-ca-file",
    )
    return Access(
        address,
        token,
        profile=settings.profile,
        profiles=settings.profiles,
        timeout=settings.timeout,
        ca_file=settings.crosswatch_ca_file,
        insecure=settings.insecure,
    )


def _check_profiles(loaded: Loaded) -> None:
    """Refuse profiles that would mix the histories of users.

    Raises:
        ConfigurationError: the options do.
    """
    settings = loaded.settings
    if not settings.each_user:
        return
    if loaded.origins["profile"] == "option":
        raise ConfigurationError(
            "--profile is one profile, and --each-user writes one output per user.",
            hint='Give each user a profile in config.toml: profiles = {alice = "CW-P01"}',
        )
    taken: dict[str, str] = {}
    for user, profile in settings.profiles.items():
        other = taken.setdefault(profile.strip().casefold(), user)
        if other != user:
            raise ConfigurationError(
                f"{other} and {user} have the same profile, {profile}.",
                hint=f"Correct profiles ({loaded.origins['profiles']}), so that each user has a "
                "profile of their own.",
            )
