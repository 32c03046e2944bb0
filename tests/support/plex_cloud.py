"""Plex's metadata service, on a port of this machine."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from unittest.mock import patch

from msgspec import Struct

from tests.support.history import Truth
from tests.support.plex_library import tags_of

__all__ = ["TOKEN", "FakeCloud", "Fault", "cloud"]

TOKEN: Final = "pl3x-T0ken/of+the=whole&account"  # noqa: S105 - made up


class Fault(Struct, frozen=True):
    """An answer that is none."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = {}
    close: bool = False


class FakeCloud:
    """Answers what it was told about GUIDs, and notes what it was asked."""

    def __init__(self) -> None:
        self.known: dict[str, dict[str, Any]] = {}
        """By the last part of the GUID."""
        self.faults: deque[Fault] = deque()
        """The next answers."""
        self.asked: list[str] = []
        """The paths of all requests."""
        self.headers: list[Mapping[str, str]] = []
        self.most_at_once = 0
        self.waited: list[float] = []
        """The pauses that the program made."""
        self.meet: threading.Barrier | None = None
        """Requests wait here for each other."""
        self.stop: tuple[int, Callable[[], object]] = (0, list)
        """The number of a request, and what happens when it comes."""
        self._at_once = 0
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(
            ("127.0.0.1", 0), type("Handler", (_Handler,), {"cloud": self})
        )
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def film(self, guid: str, title: str, *ids: str, **more: object) -> None:
        """Know a film."""
        self._know(guid, "movie", title, ids, more)

    def show(self, guid: str, title: str, *ids: str, episodes: Mapping[str, int]) -> None:
        """Know a show, and its episodes with ids of their own."""
        self._know(guid, "show", title, ids, {})
        for episode, number in episodes.items():
            own = (f"tvdb://{8_000_000 + number}", f"imdb://tt{7_000_000 + number}")
            more = {
                "index": number,
                "parentIndex": 1,
                "grandparentTitle": title,
                "grandparentGuid": guid,
                "grandparentRatingKey": guid.rpartition("/")[2],
            }
            self._know(episode, "episode", f"Episode {number}", own, more)

    def _know(
        self, guid: str, kind: str, title: str, ids: tuple[str, ...], more: Mapping[str, object]
    ) -> None:
        item = {"type": kind, "title": title, "guid": guid, "Guid": [{"id": one} for one in ids]}
        self.known[guid.rpartition("/")[2]] = {**item, **more}

    def know_all(self, truth: Truth) -> None:
        """Know everything that has a GUID of Plex in a generated history."""
        shows: dict[int, dict[str, int]] = {}
        for work in truth.works:
            if work.kind == "movie":
                for guid in work.plex_guids:
                    self.film(guid, work.title, *tags_of(work.ids), year=work.year)
            elif work.show_number is not None:
                of_show = shows.setdefault(work.show_number, {})
                of_show |= dict.fromkeys(work.plex_guids, work.episode or 0)
        titles = {work.show_number: work for work in truth.works}
        for number, episodes in shows.items():
            work = titles[number]
            guid = f"plex://show/{number:024x}"
            self.show(guid, work.show or "", *tags_of(work.ids), episodes=episodes)

    def answer(self, path: str, headers: Mapping[str, str]) -> Fault:
        """Answer a request."""
        with self._lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            self.asked.append(path)
            self.headers.append(headers)
            fault = self.faults.popleft() if self.faults else None
        try:
            if self.meet is not None:
                self.meet.wait(10)
            if len(self.asked) == self.stop[0]:
                self.stop[1]()
            if fault is not None:
                return fault
            found = self.known.get(path.removeprefix("/library/metadata/"))
            if found is None:
                return Fault(404, b"{}")
            return Fault(body=json.dumps({"MediaContainer": {"Metadata": [found]}}).encode())
        finally:
            with self._lock:
                self._at_once -= 1

    @property
    def guids(self) -> list[str]:
        """The last parts of the GUIDs that were asked about."""
        return [path.rpartition("/")[2] for path in self.asked]

    def close(self) -> None:
        """Stop it."""
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    cloud: FakeCloud
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer a request."""
        reply = self.cloud.answer(self.path, dict(self.headers.items()))
        if reply.close:
            self.close_connection = True
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as in the base class
        """Print nothing."""


@contextmanager
def cloud() -> Iterator[FakeCloud]:
    """Yield the service in the place of Plex's. The program's pauses take no time."""
    made = FakeCloud()
    module = "tautulli_import.ids.plex_cloud"
    try:
        with patch(f"{module}.SERVICE", made.url), patch(f"{module}._wait", made.waited.append):
            yield made
    finally:
        made.close()
