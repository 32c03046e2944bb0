"""Proxies in front of a Tautulli, as people run them: what they answer, and what they let through.

Each is a fault of the fake server: it refuses a request as the real program does, or leaves it to
Tautulli.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from urllib.parse import parse_qs, urlsplit

from msgspec import Struct

from tests.support.tautulli import KEY, Asked, Reply

__all__ = ["PROXIES", "SECRET", "Proxy", "page"]

SECRET = "proxy-s3cret-7f3a9c"  # noqa: S105 - not a real one


class Proxy(Struct, frozen=True):
    """A proxy that asks for a login, and a way past it."""

    refusal: Reply
    said: str
    """The end of the error's first line."""
    hint: str
    """Words of the hint."""
    lets: Callable[[Asked], bool]
    """Whether it lets a request through."""
    args: tuple[str, ...] = ()
    """With these options it does."""
    file: str = ""
    """Or with these headers from a file."""
    user: str = ""
    """Or with this user and password in the URL."""

    def __call__(self, asked: Asked) -> Reply | None:
        """Refuse a request, or leave it to Tautulli."""
        return None if self.lets(asked) else self.refusal


def page(title: str, status: int = 200, body: str = "", **headers: str) -> Reply:
    """Return a web page."""
    text = f"<!DOCTYPE html><html><head><title>{title}</title></head><body>{body}</body></html>"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status=status, body=text.encode(), headers={"Content-Type": "text/html", **named})


def _to(location: str, status: int = 302, **headers: str) -> Reply:
    return page("Found", status, Location=location, **headers)


def _json(status: int, text: str) -> Reply:
    return Reply(status=status, body=text.encode(), headers={"Content-Type": "application/json"})


def _has(name: str, value: str) -> Callable[[Asked], bool]:
    return lambda asked: asked.header(name) == value


def _basic(user: str, password: str) -> Callable[[Asked], bool]:
    return _has("Authorization", f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}")


def _service_token(asked: Asked) -> bool:
    return (
        asked.header("CF-Access-Client-Id") == "id.access"
        and asked.header("CF-Access-Client-Secret") == SECRET
    )


def _key_in_query(asked: Asked) -> bool:
    return parse_qs(urlsplit(asked.path).query).get("apikey") == [KEY]


_SERVICE_TOKEN = f"CF-Access-Client-Id: id.access\nCF-Access-Client-Secret: {SECRET}\n"
_BEARER = {
    "lets": _has("Authorization", f"Bearer {SECRET}"),
    "file": f"Authorization: Bearer {SECRET}\n",
}
_AUTHELIA = {
    "said": "Authelia does not let the request through",
    "hint": "policy: bypass",
    "lets": _key_in_query,
    "args": ("--key-in", "query"),
}
_ORGANIZR = {
    "hint": "Token: KEY",
    "lets": _has("Token", SECRET),
    "file": f"Token: {SECRET}\n",
}
_BASIC = {
    "hint": "https://user:password@host",
    "lets": _basic("me", SECRET),
    "user": f"me:{SECRET}",
}
PROXIES: Mapping[str, Proxy] = {
    "Cloudflare Access": Proxy(
        _to(
            "https://team.cloudflareaccess.com/cdn-cgi/access/login/nas.example?kid=0a1b",
            Set_Cookie="CF_AppSession=n0a1b; Path=/; HttpOnly",
        ),
        "answered 302: Cloudflare Access does not let the request through. It redirects to "
        "https://team.cloudflareaccess.com/cdn-cgi/access/login/nas.example.",
        "CF-Access-Client-Secret: SECRET",
        _service_token,
        file=_SERVICE_TOKEN,
    ),
    "Cloudflare Access, wrong token": Proxy(
        page("Forbidden ・ Cloudflare Access", 403),
        "answered 403: Cloudflare Access does not let the request through.",
        "a policy with the action Service Auth",
        _service_token,
        file=_SERVICE_TOKEN,
    ),
    "Cloudflare, bot protection": Proxy(
        page("Just a moment...", 403, Cf_Mitigated="challenge"),
        "answered 403: The bot protection of Cloudflare does not let the request through.",
        "WAF rule",
        _has("X-Skip", SECRET),
        file=f"X-Skip: {SECRET}",
    ),
    "Authelia, redirect": Proxy(
        _to("https://auth.example.com/?rd=https%3A%2F%2Fnas.example.com%2Fapi%2Fv2&rm=POST", 303),
        **_AUTHELIA,  # type: ignore[arg-type]
    ),
    "Authelia, 401": Proxy(
        page("", 401, '<a href="https://auth.example.com/?rd=https%3A%2F%2Fx&amp;rm=POST">401</a>'),
        **_AUTHELIA,  # type: ignore[arg-type]
    ),
    "Authelia, login page": Proxy(
        page("Login - Authelia"),
        **_AUTHELIA,  # type: ignore[arg-type]
    ),
    "a rule that looks at X-Api-Key": Proxy(
        page("Unauthorized", 401),
        "answered 401: Unauthorized.",
        "Allow /api/v2 there without one.",
        _has("X-Api-Key", KEY),
        args=("--key-in", "header"),
    ),
    "authentik, forward auth": Proxy(
        _to("https://nas.example/outpost.goauthentik.io/start?rd=https%3A%2F%2Fnas.example%2F"),
        "authentik does not let the request through. It redirects to "
        "https://nas.example/outpost.goauthentik.io/start.",
        "Unauthenticated Paths",
        _basic("me", SECRET),
        user=f"me:{SECRET}",
    ),
    "authentik, proxy": Proxy(
        _to(
            "https://login.example/application/o/authorize/?client_id=x&response_type=code",
            Set_Cookie="authentik_proxy_0a1b2c=x; Path=/",
        ),
        "authentik does not let the request through.",
        "Unauthenticated Paths",
        **_BEARER,  # type: ignore[arg-type]
    ),
    "Organizr, JSON": Proxy(
        _json(401, '{"response":{"result":"error","message":"Not Authorized","data":null}}'),
        "answered 401: Not Authorized.",
        **_ORGANIZR,  # type: ignore[arg-type]
    ),
    "Organizr, redirect": Proxy(
        _to("https://organizr.example/?error=401&return=https://nas.example/api/v2"),
        "Organizr does not let the request through. It redirects to https://organizr.example/.",
        **_ORGANIZR,  # type: ignore[arg-type]
    ),
    "oauth2-proxy, page": Proxy(
        page(
            "Sign In",
            403,
            '<a href="https://github.com/oauth2-proxy/oauth2-proxy">OAuth2 Proxy</a> version 7',
        ),
        "answered 403: oauth2-proxy does not let the request through.",
        "--skip-auth-route=^/api/v2",
        **_BEARER,  # type: ignore[arg-type]
    ),
    "oauth2-proxy, nginx": Proxy(
        _to("https://nas.example/oauth2/start?rd=https://nas.example/api/v2"),
        "oauth2-proxy does not let the request through.",
        "--skip-auth-route=^/api/v2",
        **_BEARER,  # type: ignore[arg-type]
    ),
    "oauth2-proxy, straight to Google": Proxy(
        _to(
            "https://accounts.google.com/o/oauth2/auth?client_id=x&response_type=code",
            Set_Cookie="_oauth2_proxy_csrf=x; Path=/; HttpOnly",
        ),
        "oauth2-proxy does not let the request through.",
        "--skip-auth-route=^/api/v2",
        **_BEARER,  # type: ignore[arg-type]
    ),
    "Pomerium": Proxy(
        _to("https://authenticate.example/.pomerium/sign_in?pomerium_redirect_uri=x"),
        "Pomerium does not let the request through.",
        "allow_public_unauthenticated_access: true",
        _has("Authorization", f"Pomerium {SECRET}"),
        file=f"Authorization: Pomerium {SECRET}",
    ),
    "Keycloak": Proxy(
        _to("https://id.example/realms/home/protocol/openid-connect/auth?response_type=code"),
        "Keycloak does not let the request through.",
        "Authorization: Bearer TOKEN",
        **_BEARER,  # type: ignore[arg-type]
    ),
    "another OpenID Connect": Proxy(
        _to("https://login.example/authorize?client_id=x&response_type=code"),
        "A login with OpenID Connect does not let the request through.",
        "Authorization: Bearer TOKEN",
        **_BEARER,  # type: ignore[arg-type]
    ),
    "Traefik, basic": Proxy(
        Reply(
            status=401,
            body=b"401 Unauthorized\n",
            headers={"Content-Type": "text/plain", "WWW-Authenticate": 'Basic realm="traefik"'},
        ),
        "answered 401: 401 Unauthorized.",
        **_BASIC,  # type: ignore[arg-type]
    ),
    "nginx, basic": Proxy(
        page("401 Authorization Required", 401, WWW_Authenticate='Basic realm="Restricted"'),
        "answered 401: 401 Authorization Required.",
        **_BASIC,  # type: ignore[arg-type]
    ),
    "an API gateway, 401": Proxy(
        _json(401, '{"error": "No credentials found"}'),
        "answered 401: No credentials found.",
        "--header-file FILE",
        _has("X-Gateway", SECRET),
        file=f"X-Gateway: {SECRET}",
    ),
    "an API gateway, 403": Proxy(
        _json(403, '{"error": {"code": 403}, "message": "Forbidden here"}'),
        "answered 403: Forbidden here.",
        "--header-file FILE",
        _has("X-Gateway", SECRET),
        file=f"X-Gateway: {SECRET}",
    ),
}
