"""Remember the secrets of a run, and replace them in what is printed."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, quote_plus

__all__ = ["forget_secrets", "hide", "without_secrets"]

_HIDDEN: set[str] = set()
_SHORTEST: Final = 4
"""Replacing a shorter secret would garble every word."""


def hide(secret: str) -> None:
    """Replace a secret in all errors and tracebacks of this run."""
    if len(secret) >= _SHORTEST:
        _HIDDEN.add(secret)


def forget_secrets() -> None:
    """Forget the secrets of an earlier command in this process."""
    _HIDDEN.clear()


def without_secrets(text: str) -> str:
    """Return a text in which every secret is replaced."""
    for secret in sorted(_HIDDEN, key=len, reverse=True):
        for form in (secret, quote(secret, safe=""), quote_plus(secret), repr(secret)[1:-1]):
            text = text.replace(form, "…")
    return text
