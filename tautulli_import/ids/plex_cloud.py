"""Ask Plex's metadata service about ``plex://`` GUIDs, with the token of a Plex account.

The token opens the whole account. So it goes to this one host over TLS, in a header, and no
redirect is followed. No setting can change the host.

Four requests at most are under way. If one fails, there is one at a time for a while, and a pause
before it. Every answer is stored on
disk as it arrives, so a stopped run resumes where it was. A failure here never ends an import.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

from ..formatting import many
from ..model.guids import plex_guid
from ..progress import Progress
from ..state.file import StateFile
from .cloud_client import CloudClient, Failure
from .metadata import Answers, Metadata
from .plex_cache import WITHOUT, AnswerCache
from .threads import threads

__all__ = ["SERVICE", "PlexCloud"]

SERVICE: Final = "https://metadata.provider.plex.tv"
_MOST_AT_ONCE: Final = 4
_TRIES: Final = 4
_FAILURES: Final = 6  # in a row
_GOOD: Final = 20
"""The number of answers after which one more request may be under way."""
_FIRST_PAUSE: Final = 2.0
_LONGEST_PAUSE: Final = 120.0


class PlexCloud:
    """Gets metadata by ``plex://`` GUID, from the cache or from Plex's metadata service."""

    def __init__(self, token: str, folder: Path, *, now: int) -> None:
        """Open the state file in ``folder``. Requests start with ``ask``.

        ``now`` is the time of the run (epoch seconds, UTC).

        Raises:
            ConfigurationError: the state file cannot be used.
        """
        self._state = StateFile(folder, SERVICE)
        self._client = CloudClient(SERVICE, token)
        self._cache = AnswerCache(self._state, now, "plex_cloud", ("guid", str))
        self._gave_up = False
        self._failure = Failure("")

    @property
    def requests(self) -> int:
        """The number of requests so far."""
        return self._client.requests

    def close(self) -> None:
        """Close every connection, and the state file."""
        self._client.close()
        self._state.close()

    def ask(self, guids: Sequence[str], progress: Progress) -> Answers[str]:
        """Return the answers to these GUIDs, by GUID in lower case. A failure is a warning.

        An answer is ``Metadata()`` if the service does not know the GUID.
        """
        wanted = list(dict.fromkeys(guid.lower() for guid in guids if plex_guid(guid)))
        answers = self._remembered(wanted)
        missing = [guid for guid in wanted if guid not in answers]
        if missing and not self._gave_up:
            progress.begin("asking for ids", len(missing))
            self._failure = self._fetch(missing, answers, progress)
        unanswered = sum(guid not in answers for guid in missing)
        warnings = [_warning(self._failure, unanswered)] if unanswered else []
        if self._cache.trouble:
            warnings.append(f"The answers of Plex could not be saved: {self._cache.trouble}.")
        return Answers(answers, warnings, unanswered)

    def _remembered(self, guids: Collection[str]) -> dict[str, Metadata]:
        """Return the answers that need not be asked for again.

        A ``plex://`` GUID never changes its meaning, so an answer with ids is kept for good.
        """
        cache = self._cache
        cache.load(set(guids))
        return {
            guid: cache.known[guid]
            for guid in guids
            if (answer := cache.known.get(guid))
            and (answer.guids or answer.show_guid or cache.is_younger(guid, WITHOUT))
        }

    def _fetch(
        self, guids: Sequence[str], answers: dict[str, Metadata], progress: Progress
    ) -> Failure:
        """Ask about these GUIDs and fill in ``answers``; return the last failure."""
        waiting = deque(guids)
        tries: Counter[str] = Counter()
        last = Failure("")
        under_way = failures = good = 0
        most, pause = _MOST_AT_ONCE, 0.0
        with threads(self._client.ask, min(_MOST_AT_ONCE, len(guids))) as (put, get):
            while waiting or under_way:
                if pause and not under_way:
                    _wait(pause)
                    pause = 0.0
                while waiting and not pause and under_way < most:
                    put(waiting.popleft())
                    under_way += 1
                guid, answer = get()
                under_way -= 1
                if isinstance(answer, Metadata):
                    answers[guid] = answer
                    self._cache.save({guid: answer})
                    failures, good = 0, good + 1
                    if good % _GOOD == 0:
                        most = min(most + 1, _MOST_AT_ONCE)
                    progress.reached(len(guids) - len(waiting) - under_way)
                    continue
                last, most = answer, 1
                failures += not pause  # of several at once only the first counts
                tries[guid] += 1
                if answer.is_final or failures >= _FAILURES or answer.wait > _LONGEST_PAUSE:
                    self._gave_up = True
                    break
                if tries[guid] < _TRIES:
                    waiting.append(guid)
                backoff = min(_FIRST_PAUSE * 2 ** max(failures - 1, 0), _LONGEST_PAUSE)
                pause = max(pause, answer.wait, backoff)
        return last


def _warning(failure: Failure, unanswered: int) -> str:
    return f"{failure.why} {many(unanswered, 'GUID')} got no answer. {failure.hint}"


def _wait(seconds: float) -> None:
    time.sleep(seconds)
