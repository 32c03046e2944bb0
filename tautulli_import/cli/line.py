"""The command line as it can be typed again: without the secrets that may stand on it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from ..client.address import parse_address
from ..errors import ConfigurationError
from ..settings import Settings

__all__ = ["typed_again"]

_KEY = "--api-key"
_ADDRESS = "--url"
_HIDDEN = "…"


def typed_again(arguments: Sequence[str], settings: Settings) -> str:
    """The command that goes on, for a shell; ``arguments`` are those of this process.

    ``--restart`` is left out, and the key wherever it stands.
    """
    secrets = [settings.api_key.get_secret_value()] if settings.api_key else []
    words = [
        _without(word, secrets) for word in _harmless(arguments) if word not in ("", "--restart")
    ]
    line = shlex.join(["tautulli-import", *words])
    return line.encode("utf-8", "replace").decode()


def _harmless(arguments: Sequence[str]) -> Iterator[str]:
    rest = iter(arguments)
    for word in rest:
        name, equals, value = word.partition("=")
        if name not in (_KEY, _ADDRESS):
            yield word
            continue
        value = value if equals else next(rest, "")
        yield name
        yield _HIDDEN if name == _KEY else _address(value)


def _address(text: str) -> str:
    """The URL without a password, or a key that was pasted with it."""
    try:
        return parse_address(text).base
    except ConfigurationError:
        return _HIDDEN


def _without(word: str, secrets: Sequence[str]) -> str:
    for secret in secrets:
        if secret:
            word = word.replace(secret, _HIDDEN)
    return word
