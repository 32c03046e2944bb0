"""Make a command line that can be shown: no secrets, quoted for a shell."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from ..crosswatch.access import parse_crosswatch_url
from ..errors import ConfigurationError
from ..jetstream.access import Access
from ..options import OPTIONS
from ..settings.fields import Settings
from ..sources.http.access import parse_address

__all__ = ["typed_again", "without_login"]

_SECRETS = frozenset(option.flag for option in OPTIONS if option.hides == "value")
_ADDRESSES = frozenset(option.flag for option in OPTIONS if option.hides == "address")
_HIDDEN = "…"


def typed_again(arguments: Sequence[str], settings: Settings) -> str:
    """Return the command that resumes, quoted for a shell. ``arguments`` are of this process.

    Leave out ``--restart``, and replace every secret wherever it occurs.
    """
    values = (
        settings.api_key,
        settings.plex_token,
        *(settings.header or ()),
        settings.nats_password,
        settings.nats_token,
        settings.crosswatch_token,
    )
    secrets = [value.get_secret_value() for value in values if value]
    words = [
        _without(word, secrets) for word in _harmless(arguments) if word not in ("", "--restart")
    ]
    line = shlex.join(["tautulli-import", *words])
    return line.encode("utf-8", "replace").decode()


def _harmless(arguments: Sequence[str]) -> Iterator[str]:
    rest = iter(arguments)
    for word in rest:
        name, equals, value = word.partition("=")
        if name not in _SECRETS | _ADDRESSES:
            yield word
            continue
        value = value if equals else next(rest, "")
        yield name
        yield (name in _ADDRESSES and without_login(name, value)) or _HIDDEN


def without_login(option: str, text: str) -> str:
    """Return the URL without a password, and without an API key that was pasted with it.

    It is empty if it is the URL of nothing. ``option`` says of which server it should be.
    """
    if option == "--nats-url":
        return Access(url=text).shown
    parse = parse_crosswatch_url if option == "--crosswatch-url" else parse_address
    try:
        return parse(text).base
    except ConfigurationError:
        return ""


def _without(word: str, secrets: Sequence[str]) -> str:
    for secret in secrets:
        if secret:
            word = word.replace(secret, _HIDDEN)
    return word
