"""Remove the secrets of a connection from texts and from the logs of httpx."""

from __future__ import annotations

import base64
import logging
from typing import Final
from urllib.parse import quote, quote_plus

from .address import Address

__all__ = ["Redaction"]

# httpx logs the URL, httpcore the headers of an answer.
_LOGGERS: Final = (
    "httpx", "httpcore", "httpcore.connection", "httpcore.http11", "httpcore.http2",
    "httpcore.proxy", "httpcore.socks",
)  # fmt: skip
_SHORTEST: Final = 4
"""A shorter secret is not a real one. Replacing it would garble every word."""


class Redaction:
    """Replaces the secrets of one connection."""

    def __init__(self, address: Address, *secrets: str) -> None:
        user, password = address.auth or ("", "")
        encoded = base64.b64encode(f"{user}:{password}".encode()).decode() if password else ""
        # Longer ones first: a secret can be a part of another one.
        self._secrets = sorted((*secrets, password, encoded), key=len, reverse=True)

    def begin(self) -> None:
        """Replace the secrets in all logs, too."""
        for name in _LOGGERS:
            logging.getLogger(name).addFilter(self._in_log)

    def end(self) -> None:
        """Leave the logs alone."""
        for name in _LOGGERS:
            logging.getLogger(name).removeFilter(self._in_log)

    def __call__(self, text: str) -> str:
        """Return a text without secrets. A server can quote the whole request."""
        for secret in self._secrets:
            if len(secret) < _SHORTEST:
                continue
            for form in (secret, quote(secret, safe=""), quote_plus(secret)):
                text = text.replace(form, "…")
        return text

    def _in_log(self, record: logging.LogRecord) -> bool:
        record.msg = self(record.getMessage())
        record.args = ()
        return True
