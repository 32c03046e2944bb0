"""The server that tests talk to: what it was asked, what it says, and how it is told to lie."""

import json
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from secrets import compare_digest
from ssl import TLSVersion
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Any, Self
from zoneinfo import ZoneInfo

from tests.support.tautulli.answers import Answer, answer, encode, page
from tests.support.tautulli.asked import Asked
from tests.support.tautulli.download import forget_download
from tests.support.tautulli.listen import Listener
from tests.support.tautulli.reply import Fault, Reply
from tests.support.tautulli.state import State

__all__ = ["KEY", "FakeTautulli"]

#: The key of a server that was not told another one.
KEY = "0123456789abcdef0123456789abcdef"

_NO_FAULT = Reply()


class FakeTautulli(State):
    """Answers like Tautulli, over a database that a test has made.

    Starts as it is made and stops at the end of `with`, which fails if something went wrong in
    the server itself: a test must not take that for an answer.
    """

    def __init__(
        self,
        database: Path,
        *,
        key: str = KEY,
        zone: str = "UTC",
        http_root: str = "",
        basic_auth: tuple[str, str] | None = None,
        tls: tuple[Path, Path] | None = None,
        client_ca: Path | None = None,
        newest_tls: TLSVersion = TLSVersion.MAXIMUM_SUPPORTED,
        cost: bool = False,
        port: int = 0,
    ) -> None:
        super().__init__(database=database, key=key, zone=ZoneInfo(zone), cost=cost)
        self.root = f"/{http_root.strip('/')}" if http_root.strip("/") else ""
        self.basic_auth = basic_auth
        #: Looked at in their order, before anything else; the first reply wins.
        self.faults: list[Fault] = []
        #: Every request that has arrived, in that order.
        self.requests: list[Asked] = []
        #: How many connections were made, and how many requests were answered at once, at most.
        self.connections = 0
        self.most_at_once = 0
        self._at_once = 0
        self._failures: list[BaseException] = []
        self._lock = Lock()
        self.closing = Event()
        self._listener = Listener(self, port, tls, client_ca, newest_tls)
        self.port = int(self._listener.server_address[1])
        self.origin = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self.url = f"{self.origin}{self.root}"
        poll = {"poll_interval": 0.02}
        self._thread = Thread(target=self._listener.serve_forever, kwargs=poll, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
        if self._failures and error is not None:
            error.add_note(f"the fake server itself has failed: {self._failures[0]!r}")
        elif self._failures:
            raise RuntimeError("the fake server itself has failed") from self._failures[0]

    @property
    def environment(self) -> dict[str, str]:
        """Its address and its key, as the program reads them from its environment."""
        return {"TAUTULLI_URL": self.url, "TAUTULLI_API_KEY": self.key}

    def close(self) -> None:
        """Stop, interrupt whatever is under way, and leave nothing open."""
        self.closing.set()
        self._listener.shutdown()
        self._thread.join()
        self._listener.end()
        forget_download(self)

    def asked(self, cmd: str) -> list[Asked]:
        """Return the requests with this command."""
        with self._lock:
            return [asked for asked in self.requests if asked.cmd == cmd]

    def failed(self, error: BaseException) -> None:
        """Remember that the server itself has failed."""
        with self._lock:
            self._failures.append(error)

    def connected(self) -> None:
        """Count a connection."""
        with self._lock:
            self.connections += 1

    @contextmanager
    def answering(self, asked: Asked) -> Iterator[None]:
        """Write down a request, and that it is being answered."""
        with self._lock:
            self.requests.append(asked)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            yield
        finally:
            with self._lock:
                self._at_once -= 1

    def reply_to(self, asked: Asked) -> Reply:
        """Return what the faults have to say."""
        for fault in [*self.faults]:
            reply = fault(asked)
            if reply is not None:
                return reply
        return _NO_FAULT

    def answer_to(self, asked: Asked, key: str | None, reply: Reply) -> Answer:
        """Return the answer, real or not, and write down what it is."""
        if reply.body is not None:
            found = Answer(200, reply.body)
        else:
            other = replace(asked, params={**asked.params, **reply.ask}) if reply.ask else asked
            found = self._real(other, key)
            if reply.change is not None:
                found = _changed(found, reply)
        found = replace(found, headers={**found.headers, **reply.headers})
        if reply.status is not None:
            found = replace(found, status=reply.status)
        asked.status, asked.rows = found.status, found.rows
        return found

    def _real(self, asked: Asked, key: str | None) -> Answer:
        if self.basic_auth is not None and not self._knows(asked):
            realm = {"WWW-Authenticate": 'Basic realm="Proxy"'}
            return page(401, "<h1>401 Authorization Required</h1>", **realm)
        if asked.method == "POST" and "post" not in self.features:
            return page(405, "Method not allowed.", Allow="GET, HEAD")
        return answer(self, asked, key, self.root, self.origin)

    def _knows(self, asked: Asked) -> bool:
        expected = b"Basic " + b64encode(":".join(self.basic_auth or ()).encode())
        return compare_digest(asked.header("Authorization").encode(), expected)


def _changed(real: Answer, reply: Reply) -> Answer:
    """Change the data of a real answer that says success."""
    if real.data is None or real.status != 200 or reply.change is None:
        return real
    response: dict[str, Any] = json.loads(real.body)["response"]
    data = reply.change(response["data"])
    return encode(real.status, response["result"], response["message"], data)
