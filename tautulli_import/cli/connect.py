"""Connect to the Tautulli that the settings name, and open its state file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msgspec import structs

from ..errors import ConfigurationError
from ..settings.fields import Settings
from ..settings.loaded import Loaded
from ..sources.database.config_ini import beside, server_from
from ..sources.http.access import Access, parse_address
from ..state.file import StateFile
from ..web.address import is_nearby
from .console import Screen
from .hiding import hide
from .secrets import check_secrets, headers_of, secret_of

if TYPE_CHECKING:
    from ..items.pipeline import PlexSources

__all__ = [
    "Connection",
    "config_inis",
    "connect",
    "connect_for_ids",
    "note_of_plex",
    "warn_of_key",
    "warn_of_way",
    "way_to_plex",
]

_HERE = "https://127.0.0.1:"
_WHERE = "The key is in Tautulli under Settings > Web Interface > API."


class Connection:
    """A client of a Tautulli, and the state file for it."""

    def __init__(
        self, access: Access, settings: Settings, on_wait: Callable[[str], None] | None
    ) -> None:
        from ..sources.http.client import Tautulli

        self.tautulli = Tautulli(access, on_wait=on_wait)
        try:
            self.state = StateFile(settings.state_folder, access.address.base)
        except BaseException:
            self.tautulli.close()
            raise

    def close(self) -> None:
        """Close both."""
        self.tautulli.close()
        self.state.close()


def connect(loaded: Loaded, screen: Screen) -> Connection:
    """Return a connection to the Tautulli that the settings name.

    Raises:
        ConfigurationError: the address or the API key is missing or wrong, or they must not be
            used together.
        NotFoundError: the file of the API key does not exist.
    """
    settings = loaded.settings
    if not settings.url:
        raise ConfigurationError(
            "No Tautulli address given.",
            hint="Use --url http://192.168.1.10:8181 or set TAUTULLI_URL.",
        )
    check_secrets(loaded, screen, "Tautulli")
    key = _key(loaded)
    if not key:
        raise ConfigurationError(
            "No Tautulli API key given.",
            hint=f"Use --api-key-file FILE or set TAUTULLI_API_KEY. {_WHERE}",
        )
    return Connection(_access(loaded, settings.url, key, screen), settings, screen.note)


def connect_for_ids(loaded: Loaded, screen: Screen) -> Connection | None:
    """Return a connection for looking up ids; ``None`` if no Tautulli is known.

    Without settings, the ``config.ini`` beside the database gives the address and the key. A
    note says so.
    """
    settings = loaded.settings
    if not settings.enrich:
        return None
    has_key = loaded.value_or_file("api_key") is not None
    if settings.url and has_key:
        check_secrets(loaded, screen, "Tautulli")
        if key := _key(loaded):
            access = _access(loaded, settings.url, key, screen)
            return Connection(access, settings, screen.detail)
    if settings.url or has_key:
        return None
    for place in config_inis(settings):
        lent = server_from(place)
        if lent is None:
            continue
        if not lent.url.startswith(("http:", _HERE)):
            loaded.check_steering("Tautulli", str(place))
        hide(lent.api_key)
        try:
            access = _access(loaded, lent.url, lent.api_key, screen, lent=True)
        except ConfigurationError:
            continue
        screen.note(
            f"Looking up missing ids through {access.address.base}, with the API key from "
            f"{place}. --no-enrich turns this off."
        )
        return Connection(access, settings, screen.detail)
    return None


def way_to_plex(loaded: Loaded, connection: Connection | None) -> str:
    """Return what is missing to ask Plex for ids, in a few words.

    With a connection it was asked, and did not answer.
    """
    settings = loaded.settings
    if connection is not None and settings.enrich:
        return "it did not answer"
    if not settings.enrich:
        is_option = loaded.origins["enrich"] == "option"
        return f"asking is off: {'--no-enrich' if is_option else loaded.where('enrich')}"
    if settings.url:
        return "give the API key as well, with --api-key-file FILE"
    if loaded.value_or_file("api_key") is not None:
        return "give the address as well, with --url URL"
    return "use --url and an API key"


def note_of_plex(
    loaded: Loaded, connection: Connection | None, plex: PlexSources, screen: Screen
) -> None:
    """Print that Plex was not asked for ids through Tautulli, and what is missing for that."""
    if plex.tautulli is None:
        through = "through Tautulli " if plex.library or plex.cloud else ""
        way = way_to_plex(loaded, connection)
        screen.note(f"Plex was not asked for ids {through}({way}).")


def config_inis(settings: Settings) -> Iterator[Path]:
    """Yield the ``config.ini`` of the settings, or those beside the databases."""
    if settings.config_ini:
        yield settings.config_ini
        return
    for database in settings.database:
        with suppress(OSError):  # no permission; reading the database will report it
            if database != Path("-") and (found := beside(database)):
                yield found


def warn_of_key(loaded: Loaded, screen: Screen) -> None:
    """Warn of secrets for Tautulli on the command line, where other users can see them."""
    for name, what, instead in (
        ("api_key", "The API key", "--api-key-file FILE or TAUTULLI_API_KEY"),
        ("header", "An HTTP header", "--header-file FILE or TAUTULLI_IMPORT_HEADER"),
    ):
        if getattr(loaded.settings, name) is not None and loaded.origins[name] == "option":
            screen.warn(
                f"{what} is on the command line. Every user of this machine can read it there. "
                f"Use {instead}."
            )


def warn_of_way(loaded: Loaded, base: str, screen: Screen, *, what: str, option: str) -> None:
    """Warn if others on the way to a server can get its secret.

    ``option`` is the option for the server's certificate.
    """
    if base.startswith("http:"):
        if proxy := _proxy_of(base):
            screen.warn(
                f"The proxy {proxy} can read the {what}, because {base} is not encrypted. Use an "
                "address with https://, or name the host in NO_PROXY."
            )
    elif loaded.settings.insecure:
        screen.warn(
            f"Any server can pretend to be {base} and get the {what}, because of "
            f"{loaded.where('insecure')}. Trust its certificate instead: {option} FILE"
        )


def _access(loaded: Loaded, url: str, key: str, screen: Screen, *, lent: bool = False) -> Access:
    """Return the access to an address, and warn if others on the way can get the key."""
    settings = loaded.settings
    address = parse_address(url)
    if address.auth:
        hide(address.auth[1])
    here = lent and address.base.startswith(_HERE)
    if not here:
        warn_of_way(loaded, address.base, screen, what="API key", option="--ca-file")
    access = Access(
        address,
        key,
        timeout=settings.timeout,
        ca_file=settings.ca_file,
        # Tautulli makes its own certificate, and it runs on this machine.
        insecure=settings.insecure or here,
    )
    # A server that was only found beside a database gets nothing that is for another one.
    return access if lent else _through_proxy(access, loaded)


def _through_proxy(access: Access, loaded: Loaded) -> Access:
    """Return the access with what a proxy in front of the server requires.

    Raises:
        ConfigurationError: a header or the client certificate is wrong, or contradicts another
            setting.
        NotFoundError: the file of the headers does not exist.
    """
    settings = loaded.settings
    headers = headers_of(loaded)
    names = {name.lower() for name, _ in headers}
    if access.address.auth and "authorization" in names:
        raise ConfigurationError(
            "The URL of Tautulli has a user, and there is a header Authorization.",
            hint="Both say who you are. Leave one of them out.",
        )
    if settings.key_in == "header" and "x-api-key" in names:
        raise ConfigurationError(
            "--key-in header sends X-Api-Key, and there is a header of that name.",
            hint="Leave one of them out.",
        )
    if (settings.client_cert is None) != (settings.client_key is None):
        raise ConfigurationError(
            "A client certificate needs its private key.",
            hint="Use both: --client-cert FILE --client-key FILE",
        )
    return structs.replace(
        access,
        headers=headers,
        key_in=settings.key_in,
        client_cert=settings.client_cert,
        client_key=settings.client_key,
    )


def _proxy_of(base: str) -> str:
    """Return the proxy for an ``http://`` address, without its password; "" for none."""
    from urllib.request import getproxies  # takes long to import

    host = urlsplit(base).hostname or ""
    proxies = getproxies()
    proxy = proxies.get("http") or proxies.get("all") or ""
    direct = [one.strip().lstrip(".").lower() for one in proxies.get("no", "").split(",")]
    if is_nearby(host) or any(
        one == "*" or (one and f".{host}".endswith(f".{one}")) for one in direct
    ):
        return ""
    return proxy.rpartition("@")[2].rpartition("//")[2]


def _key(loaded: Loaded) -> str:
    """Return the API key; "" for none."""
    return secret_of(loaded, "api_key", "an API key", hint=_WHERE, word=True)
