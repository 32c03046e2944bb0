"""Asking Plex, through Tautulli, for the ids of films and shows that have none.

Every film and every show costs one ``get_metadata``, several at once, and what was answered is
remembered on disk as it comes in: a run that is stopped goes on where it was. Nothing that goes
wrong here is worth an import, so it ends as a sentence in the report.

Tautulli answers the same for a deleted item and for a Plex that is down or hangs (15 s): an
empty object (measured on 2.17.2). So "nothing has this number" is believed only when the answer
came at once and Plex answers afterwards.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from queue import SimpleQueue
from threading import Thread
from typing import Any, Final

from msgspec import Struct

from ..checkpoint.state import StateFile
from ..client.tautulli import Tautulli
from ..enrichment.metadata import Metadata, Told
from ..enrichment.works import Work
from ..errors import TautulliImportError
from ..progress import Progress
from .memory import NOTHING, Memory, said

__all__ = ["MetadataDesk"]

_MOST_AT_ONCE: Final = 8  # where the throughput of a Tautulli ends
_HUNG_SECONDS: Final = 10.0
_FAILURES: Final = 5
_TRIES: Final = 2
# Empty answers wait to be believed: so many, or so long after the first.
_DOUBTS: Final = 200
_DOUBT_SECONDS: Final = 2.0
_PLEX_AWAY: Final = "Plex is not reachable"
_PLEX_HANGS: Final = "Plex does not answer in time"


class _Answer(Struct):
    """As Tautulli writes it: numbers as strings, empty strings for what is missing."""

    media_type: Any = None
    title: Any = None
    original_title: Any = None
    year: Any = None
    guid: Any = None
    guids: Any = None


class _Status(Struct):
    connected: Any = None


class _Heard(Struct, frozen=True):
    """What came of one question."""

    key: int
    answer: Metadata | None
    """``None`` where there is no answer that could be used."""
    why: str = ""
    """Why there is none."""


class MetadataDesk:
    """Gets metadata by rating key, from what is remembered or from Tautulli."""

    def __init__(
        self,
        tautulli: Tautulli,
        state: StateFile,
        *,
        now: int,
        at_once: int = 6,
        hung_after: float = _HUNG_SECONDS,
    ) -> None:
        """Nothing is asked yet.

        ``now`` is the time of the run (epoch seconds, UTC), ``at_once`` how many questions are
        under way at a time (eight at most). An empty answer that took ``hung_after`` seconds
        came from a Plex that hangs.
        """
        self._tautulli = tautulli
        self._state = state
        self._now = now
        self._at_once = max(1, min(at_once, _MOST_AT_ONCE))
        self._hung_after = hung_after

    def ask(self, works: Sequence[Work], progress: Progress) -> Told:
        """Return what is known of these works by their newest own rating keys."""
        by_key: defaultdict[int, list[Work]] = defaultdict(list)
        for work in works:
            if work.own_keys:
                by_key[work.own_keys[0]].append(work)
        memory = Memory(self._state, self._now, by_key)
        answers = {key: memory.known[key] for key in by_key if memory.holds(key)}
        missing = [key for key in by_key if key not in answers]
        why = ""
        if missing:
            try:
                why = self._fetch(missing, answers, memory, progress)
            except Exception as error:  # noqa: BLE001 - nothing in here is worth an import
                why = said(error)
        for key in missing:  # an old answer is better than none
            if key not in answers and memory.gives_ids(key):
                answers[key] = memory.known[key]
        unasked = sum(len(by_key[key]) for key in missing if key not in answers)
        warnings = [_sentence(why, unasked)] if unasked else []
        if memory.trouble:
            warnings.append(f"What Plex answered could not be remembered: {memory.trouble}.")
        return Told(answers, warnings)

    def _fetch(
        self,
        keys: Sequence[int],
        answers: dict[int, Metadata],
        memory: Memory,
        progress: Progress,
    ) -> str:
        """Ask for these keys, fill in what is answered; returns why something is not.

        Raises:
            TautulliImportError: the status could not be asked for.
        """
        if not self._is_plex_connected():
            return _PLEX_AWAY
        why = ""
        failures = 0
        doubts: list[int] = []
        doubted_at = 0.0
        progress.begin("asking for ids", len(keys))
        with _at_once(self._one, keys, self._at_once) as everything:
            for done, heard in enumerate(everything, 1):
                failures = failures + 1 if heard.answer is None else 0
                if heard.answer is None:
                    why = heard.why
                elif heard.answer != NOTHING:
                    answers |= memory.remember({heard.key: heard.answer})
                else:
                    doubted_at = doubted_at if doubts else time.monotonic()
                    doubts.append(heard.key)
                progress.reached(done)
                if failures == _FAILURES:
                    break
                waited = time.monotonic() - doubted_at
                if len(doubts) >= _DOUBTS or (doubts and waited >= _DOUBT_SECONDS):
                    if not self._does_plex_answer():
                        return _PLEX_AWAY
                    answers |= memory.remember(dict.fromkeys(doubts, NOTHING))
                    doubts.clear()
        if doubts:
            if not self._does_plex_answer():
                return _PLEX_AWAY
            answers |= memory.remember(dict.fromkeys(doubts, NOTHING))
        return why

    def _one(self, key: int) -> _Heard:
        """One question; runs in a thread of its own."""
        began = time.monotonic()
        try:
            answer = _settled(
                self._tautulli.ask(
                    "get_metadata", _Answer, about=f"item {key}", tries=_TRIES, rating_key=key
                )
            )
        except Exception as error:  # noqa: BLE001 - nothing in here is worth an import
            return _Heard(key, None, said(error))
        if answer == NOTHING and time.monotonic() - began >= self._hung_after:
            return _Heard(key, None, _PLEX_HANGS)
        return _Heard(key, answer)

    def _is_plex_connected(self) -> bool:
        """Whether Tautulli thinks that it is connected to Plex."""
        return self._tautulli.ask("server_status", _Status, tries=_TRIES).connected is True

    def _does_plex_answer(self) -> bool:
        """Whether Plex answers right now.

        Tautulli thinks it connected until five attempts to reach it again have failed, five
        seconds apart, and a restart of Plex is over before that. But of its libraries it tells
        what Plex says at this moment: none, where Tautulli knows some, is no answer of Plex.
        """
        return self._is_plex_connected() and (
            self._lists("get_libraries") or not self._lists("get_library_names")
        )

    def _lists(self, command: str) -> bool:
        """Whether a command lists anything."""
        try:
            return bool(self._tautulli.ask(command, object, tries=_TRIES))
        except TautulliImportError:
            return False


@contextmanager
def _at_once(
    one: Callable[[int], _Heard], keys: Sequence[int], threads: int
) -> Iterator[Iterator[_Heard]]:
    """Put all questions, so many at a time; the answers in the order in which they come.

    Nothing new is asked before an answer has been dealt with, so that whoever leaves early has
    asked for hardly more than is written down. And nobody waits then: a thread that still
    listens to a hanging Plex ends with the program (an executor's would hold it up).
    """
    waiting: SimpleQueue[int | None] = SimpleQueue()
    heard: SimpleQueue[_Heard] = SimpleQueue()
    rest = iter(keys)
    threads = min(threads, len(keys))

    def work() -> None:
        while (key := waiting.get()) is not None:
            heard.put(one(key))

    def answers() -> Iterator[_Heard]:
        for key in islice(rest, threads):
            waiting.put(key)
        for _ in keys:
            yield heard.get()
            for key in islice(rest, 1):
                waiting.put(key)

    try:
        for _ in range(threads):
            Thread(target=work, daemon=True).start()
        yield answers()
    finally:
        for _ in range(threads):
            waiting.put(None)


def _settled(answer: _Answer) -> Metadata:
    """An answer with everything in its place; whatever else stands there is left out."""
    guids = answer.guids if isinstance(answer.guids, list) else []
    year = _text(answer.year)
    return Metadata(
        media_type=_text(answer.media_type),
        title=_text(answer.title),
        original_title=_text(answer.original_title),
        year=int(year) if year.isascii() and year.isdecimal() and len(year) < 6 else None,
        guid=_text(answer.guid),
        guids=tuple(filter(None, map(_text, guids))),
    )


def _text(value: object) -> str:
    if not isinstance(value, str | int):
        return ""
    return str(value).encode("utf-8", "replace").decode()


def _sentence(why: str, unasked: int) -> str:
    what = "1 film or show" if unasked == 1 else f"{unasked:,} films and shows"
    return f"{why}, so {what} could not be asked for ids; run it again later."
