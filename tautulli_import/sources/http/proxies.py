"""Recognise the proxies that ask for a login in front of Tautulli.

The marks are those of the documentation and the source of each program (November 2026). A host name
tells nothing: people choose it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

__all__ = ["ORGANIZR", "Proxy", "proxy_of"]

_NEVER: Final = re.compile(r"(?!)")


class Proxy(Struct, frozen=True):
    """A program that lets only logged-in users through."""

    name: str
    hint: str
    """The ways past its login."""
    location: re.Pattern[str] = _NEVER
    """Is found in the target of its redirects."""
    cookie: re.Pattern[str] = _NEVER
    """Is found in the cookies that it sets."""
    page: re.Pattern[str] = _NEVER
    """Is found in its pages."""


ORGANIZR: Final = Proxy(
    "Organizr",
    "Put a line with Organizr's own API key, Token: KEY, into a file and add --header-file FILE. "
    "Or let /api/v2 pass without Organizr.",
    location=re.compile(r"/\?error=40[13]\b"),
    cookie=re.compile(r"\borganizr_"),
    page=re.compile(r"<title>[^<]*Organizr"),
)
_OIDC_HINT: Final = (
    "Let the proxy in front of Tautulli pass /api/v2 without a login. Or add what it accepts, such "
    "as a line Authorization: Bearer TOKEN, with --header-file FILE."
)
_PROXIES: Final[Sequence[Proxy]] = (
    Proxy(
        "Cloudflare Access",
        "Create a service token in Cloudflare, and a policy with the action Service Auth for it. "
        "Put the two lines CF-Access-Client-Id: ID and CF-Access-Client-Secret: SECRET into a "
        "file and add --header-file FILE.",
        location=re.compile(r"^https://[^/?#]+\.cloudflareaccess\.com/|/cdn-cgi/access/"),
        page=re.compile(r"<title>[^<]*Cloudflare Access"),
    ),
    Proxy(
        "authentik",
        "Add ^/api/v2 to the Unauthenticated Paths of the proxy provider in authentik.",
        location=re.compile(r"/outpost\.goauthentik\.io/|/application/o/authorize/"),
        cookie=re.compile(r"\bauthentik_"),
        page=re.compile(r"<title>\s*authentik\b|/outpost\.goauthentik\.io/"),
    ),
    Proxy(
        "oauth2-proxy",
        "Start oauth2-proxy with --skip-auth-route=^/api/v2",
        location=re.compile(r"/oauth2/(start|sign_in)\b"),
        cookie=re.compile(r"\b_oauth2_proxy"),
        page=re.compile(r"oauth2[-_]proxy|OAuth2 Proxy"),
    ),
    Proxy(
        "Pomerium",
        "Add a route with prefix: /api/v2 and allow_public_unauthenticated_access: true to "
        "Pomerium, before the other routes of this host.",
        location=re.compile(r"/\.pomerium/"),
        cookie=re.compile(r"\b_pomerium"),
        page=re.compile(r"<title>[^<]*Pomerium"),
    ),
    Proxy(
        "Authelia",
        "Add a rule with policy: bypass and resources: ['^/api/v2'] to access_control in Authelia. "
        "If a rule there looks at the apikey in the query, add --key-in query.",
        location=re.compile(r"[?&](rd=[^&#]*&rm=|rm=[^&#]*&rd=)|/\?rd="),
        cookie=re.compile(r"\bauthelia_session="),
        page=re.compile(r"<title>[^<]*Authelia|\?rd=[^\"<>]*&amp;rm="),
    ),
    ORGANIZR,
    Proxy(
        "Keycloak",
        _OIDC_HINT,
        location=re.compile(r"/realms/[^/?#]+/protocol/openid-connect/"),
        cookie=re.compile(r"\b(KC_RESTART|KEYCLOAK_\w+)="),
    ),
    Proxy("A login with OpenID Connect", _OIDC_HINT, location=re.compile(r"\bresponse_type=code")),
)
_CHALLENGE: Final = Proxy(
    "The bot protection of Cloudflare",
    "Add a WAF rule in Cloudflare that skips it for /api/v2. Or use the address of Tautulli in "
    "your own network.",
)


def proxy_of(headers: Mapping[str, str], page: str) -> Proxy | None:
    """Return the proxy that sent a redirect, a refusal or a login page; ``None`` if unknown.

    The names of the headers are in lower case. ``page`` is the beginning of the body.
    """
    if headers.get("cf-mitigated") == "challenge":
        return _CHALLENGE
    location, cookies = headers.get("location", ""), headers.get("set-cookie", "")
    return next(
        (
            proxy
            for proxy in _PROXIES
            if proxy.location.search(location)
            or proxy.cookie.search(cookies)
            or proxy.page.search(page)
        ),
        None,
    )
