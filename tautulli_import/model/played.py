"""Define what a row says was played: a film, or an episode with its season and show.

Thousands of plays are of the same film or episode, so a source gives these fields as one JSON
text. Equal texts are one group of plays, and a text is decoded only where it is looked into.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from functools import lru_cache
from typing import ClassVar, Final, TypeAlias

import msgspec
from msgspec import Struct

from .items import Kind

__all__ = ["Played", "PlayedEpisode", "PlayedMovie", "decode_all_played", "decode_played"]

_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
# A year before 1870 is a placeholder such as 0001: no film is that old.
_FIRST_YEAR: Final = "1870"


class _Played(Struct, frozen=True, gc=False, array_like=True):
    guid: str | None
    rating_key: int | None
    title: str | None
    year: int | None
    live: int | None
    originally_available_at: str | None

    @property
    def aired(self) -> str | None:
        """Return the day of the release or of the first broadcast as ``YYYY-MM-DD``."""
        return _day(self.originally_available_at)


class PlayedMovie(_Played, frozen=True, gc=False, array_like=True, tag=0):
    """A film as a row names it. Missing values are ``None``."""

    kind: ClassVar[Kind] = "movie"

    @property
    def work_key(self) -> int | None:
        """Return the rating key of the film."""
        return self.rating_key

    @property
    def work_title(self) -> str | None:
        """Return the title of the film."""
        return self.title


class PlayedEpisode(_Played, frozen=True, gc=False, array_like=True, tag=1):
    """An episode as a row names it. Missing values are ``None``."""

    season: int | None
    episode: int | None
    parent_rating_key: int | None
    grandparent_rating_key: int | None
    grandparent_title: str | None

    kind: ClassVar[Kind] = "show"

    @property
    def work_key(self) -> int | None:
        """Return the rating key of the show."""
        return self.grandparent_rating_key

    @property
    def work_title(self) -> str | None:
        """Return the title of the show."""
        return self.grandparent_title


Played: TypeAlias = PlayedMovie | PlayedEpisode

decode_played: Final[Callable[[bytes], Played]] = msgspec.json.Decoder(Played).decode
"""Decodes what was played. Raises ``ValueError`` where values are of odd types."""

decode_all_played: Final[Callable[[bytes], list[Played]]] = msgspec.json.Decoder(
    list[Played]
).decode
"""Decodes a JSON array of what was played, as ``decode_played`` does."""


@lru_cache(maxsize=4096)
def _day(written: str | None) -> str | None:
    """Return the day at the beginning of a text, or ``None`` if there is none.

    Some agents wrote a time after the day.
    """
    day = (written or "")[:10]
    if not _DAY.fullmatch(day) or day < _FIRST_YEAR or (written or "")[10:11] not in ("", " ", "T"):
        return None
    try:
        date.fromisoformat(day)
    except ValueError:  # a 30 February
        return None
    return day
