"""Read how long a server asks to wait."""

from __future__ import annotations

import email.utils
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx

__all__ = ["retry_after"]


def retry_after(response: httpx.Response) -> float | None:
    """Return the seconds to wait, from a number or a date in ``Retry-After``."""
    value = str(response.headers.get("retry-after", "")).strip()
    if value.isascii() and value.isdecimal() and len(value) < 10:
        return float(value)
    try:
        when = email.utils.parsedate_to_datetime(value)
        return max(0.0, when.timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None
