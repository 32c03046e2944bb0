"""Ask Plex, through Tautulli, for the ids of films and shows that have none.

Each film and each show takes one ``get_metadata`` request. Several run at once. Every answer is
stored on disk as it arrives, so a stopped run resumes where it was. A failure here never ends an
import. It becomes a warning in the report.

Tautulli gives the same empty object for a deleted item and for a Plex that is down or hangs
(15 s; measured on 2.17.2). So an empty answer counts only if it came at once and Plex is
reachable afterwards.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Sequence
from itertools import islice
from typing import Any, Final

from msgspec import Struct

from ..errors import TautulliImportError
from ..progress import Progress
from ..sources.http.client import Tautulli
from ..state.file import StateFile
from .metadata import Answers, Metadata, Question
from .plex_cache import NOTHING, MetadataCache, short_reason
from .threads import threads

__all__ = ["PlexMetadata"]

_LOG: Final = logging.getLogger(__name__)
_MOST_AT_ONCE: Final = 8  # more requests at once are no faster (measured on 2.17.2)
_HUNG_SECONDS: Final = 10.0
"""Seconds after which an empty answer came from a Plex that hangs."""
_FAILURES: Final = 5  # in a row
_TRIES: Final = 2
# Empty answers are confirmed when there are so many, or so long after the first.
_MOST_UNCONFIRMED: Final = 200
_UNCONFIRMED_SECONDS: Final = 2.0
_PLEX_AWAY: Final = "Plex is not reachable"
_PLEX_HANGS: Final = "Plex does not answer in time"


class _RawAnswer(Struct):
    """An answer as Tautulli sends it: numbers as strings, empty strings for missing values."""

    media_type: Any = None
    title: Any = None
    original_title: Any = None
    year: Any = None
    guid: Any = None
    guids: Any = None
    media_index: Any = None
    parent_media_index: Any = None
    grandparent_rating_key: Any = None


class _Status(Struct):
    connected: Any = None


class _Answer(Struct, frozen=True):
    """The result of one question."""

    key: int
    answer: Metadata | None
    """``None`` if there is no usable answer."""
    why: str = ""
    """The reason why there is none."""


class PlexMetadata:
    """Gets metadata by rating key, from the cache or from Tautulli."""

    def __init__(
        self,
        tautulli: Tautulli,
        state: StateFile,
        *,
        now: int,
        at_once: int = 6,
    ) -> None:
        """Keep the settings. Requests start with ``ask``.

        ``now`` is the time of the run (epoch seconds, UTC). ``at_once`` is the number of
        requests at a time (eight at most).
        """
        self._tautulli = tautulli
        self._state = state
        self._now = now
        self._at_once = max(1, min(at_once, _MOST_AT_ONCE))

    def ask(self, questions: Sequence[Question], progress: Progress) -> Answers[int]:
        """Return the answers to these questions, by rating key."""
        by_key: defaultdict[int, list[Question]] = defaultdict(list)
        for question in questions:
            by_key[question.key].append(question)
        cache = MetadataCache(self._state, self._now, by_key)
        answers = {key: cache.known[key] for key in by_key if cache.holds(key)}
        missing = [key for key in by_key if key not in answers]
        _LOG.debug("Plex: %d answers are remembered, %d are not", len(answers), len(missing))
        why = ""
        if missing:
            try:
                why = self._fetch(missing, answers, cache, progress)
            except Exception as error:  # noqa: BLE001 - a failure here must not end the import
                why = short_reason(error)
        for key in missing:  # an expired answer is better than none
            if key not in answers and cache.helps(key):
                answers[key] = cache.known[key]
        unanswered = sum(len(by_key[key]) for key in missing if key not in answers)
        warnings = [_warning(why, unanswered)] if unanswered else []
        if cache.trouble:
            warnings.append(f"The answers of Plex could not be saved: {cache.trouble}.")
        return Answers(answers, warnings, unanswered)

    def _fetch(
        self,
        keys: Sequence[int],
        answers: dict[int, Metadata],
        cache: MetadataCache,
        progress: Progress,
    ) -> str:
        """Ask for these keys and fill in ``answers``; return why some have no answer.

        Raises:
            TautulliImportError: Tautulli did not answer when it was asked for its status.
        """
        if not self._is_plex_connected():
            return _PLEX_AWAY
        why = ""
        failures = 0
        unconfirmed: list[int] = []
        unconfirmed_since = 0.0
        progress.begin("asking for ids", len(keys))
        rest = iter(keys)
        with threads(self._ask_one, min(self._at_once, len(keys))) as (put, get):
            for key in islice(rest, self._at_once):
                put(key)
            for done in range(1, len(keys) + 1):
                result = get()
                failures = failures + 1 if result.answer is None else 0
                if result.answer is None:
                    why = result.why
                elif result.answer != NOTHING:
                    answers |= cache.remember({result.key: result.answer})
                else:
                    unconfirmed_since = unconfirmed_since if unconfirmed else time.monotonic()
                    unconfirmed.append(result.key)
                progress.reached(done)
                is_last = done == len(keys) or failures == _FAILURES
                is_due = time.monotonic() - unconfirmed_since >= _UNCONFIRMED_SECONDS
                if unconfirmed and (is_last or is_due or len(unconfirmed) >= _MOST_UNCONFIRMED):
                    if not self._does_plex_answer():
                        return _PLEX_AWAY
                    answers |= cache.remember(dict.fromkeys(unconfirmed, NOTHING))
                    unconfirmed.clear()
                if is_last:
                    break
                # After dealing with an answer: who leaves early has asked for hardly more.
                for key in islice(rest, 1):
                    put(key)
        return why

    def _ask_one(self, key: int) -> _Answer:
        """Ask one question. It runs in a thread of its own."""
        began = time.monotonic()
        try:
            answer = _normalised(
                self._tautulli.ask(
                    "get_metadata", _RawAnswer, about=f"item {key}", tries=_TRIES, rating_key=key
                )
            )
        except Exception as error:  # noqa: BLE001 - a failure here must not end the import
            return _Answer(key, None, short_reason(error))
        if answer == NOTHING and time.monotonic() - began >= _HUNG_SECONDS:
            return _Answer(key, None, _PLEX_HANGS)
        return _Answer(key, answer)

    def _is_plex_connected(self) -> bool:
        """Return true if Tautulli says that it is connected to Plex."""
        return self._tautulli.ask("server_status", _Status, tries=_TRIES).connected is True

    def _does_plex_answer(self) -> bool:
        """Return true if Plex answers right now.

        Tautulli reports a lost connection only after five failed attempts, five seconds apart. A
        restart of Plex is over before that. But ``get_libraries`` asks Plex at this moment. An
        empty list, while Tautulli itself knows libraries, means that Plex did not answer.
        """
        return self._is_plex_connected() and (
            self._lists("get_libraries") or not self._lists("get_library_names")
        )

    def _lists(self, command: str) -> bool:
        """Return true if the list that a command returns is not empty."""
        try:
            return bool(self._tautulli.ask(command, object, tries=_TRIES))
        except TautulliImportError:
            return False


def _normalised(answer: _RawAnswer) -> Metadata:
    """Return an answer with every value in its type. Values of other types are left out."""
    guids = answer.guids if isinstance(answer.guids, list) else []
    is_episode = answer.media_type == "episode"
    return Metadata(
        media_type=_text(answer.media_type),
        title=_text(answer.title),
        original_title=_text(answer.original_title),
        year=_number(answer.year, most=99_999),
        guid=_text(answer.guid),
        guids=tuple(filter(None, map(_text, guids))),
        season=_number(answer.parent_media_index) if is_episode else None,
        episode=_number(answer.media_index) if is_episode else None,
        show_key=_number(answer.grandparent_rating_key) if is_episode else None,
    )


def _number(value: object, most: int = 1 << 62) -> int | None:
    text = _text(value)
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        return None
    return number if (number := int(text)) <= most else None


def _text(value: object) -> str:
    if not isinstance(value, str | int):
        return ""
    return str(value).encode("utf-8", "replace").decode()


def _warning(why: str, unasked: int) -> str:
    what = "1 film or show" if unasked == 1 else f"{unasked:,} films and shows"
    return f"No ids from Plex for {what}: {why}. Run the same command again later."
