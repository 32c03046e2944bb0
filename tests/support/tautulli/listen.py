"""The network side: a real server on a port of this machine, that stops at once when it has to."""

import socket
import ssl
import sys
import time
from contextlib import AbstractContextManager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Lock, Thread, current_thread
from typing import Any, Protocol

from tests.support.tautulli.answers import Answer
from tests.support.tautulli.asked import Asked, understand
from tests.support.tautulli.reply import Reply
from tests.support.tautulli.send import abort, send

__all__ = ["Listener", "Service"]

#: Seconds after which a silent connection is closed.
_IDLE = 100


class Service(Protocol):
    """What has the answers."""

    closing: Event

    def connected(self) -> None:
        """Count a connection."""

    def failed(self, error: BaseException) -> None:
        """Remember that the server itself has failed."""

    def answering(self, asked: Asked) -> AbstractContextManager[None]:
        """Write down a request, and that it is being answered."""

    def reply_to(self, asked: Asked) -> Reply:
        """Return what the faults have to say."""

    def answer_to(self, asked: Asked, key: str | None, reply: Reply) -> Answer:
        """Return the answer, real or not."""


class Listener(ThreadingHTTPServer):
    """Takes connections, and knows those that are open."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self,
        service: Service,
        port: int,
        tls: tuple[Path, Path] | None,
        client_ca: Path | None,
        newest_tls: ssl.TLSVersion,
    ) -> None:
        self.service = service
        self._connections: dict[Thread, socket.socket] = {}
        self._guard = Lock()
        self._context: ssl.SSLContext | None = None
        if tls is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(*tls)
            self._context.maximum_version = newest_tls
            if client_ca is not None:
                self._context.verify_mode = ssl.CERT_REQUIRED
                self._context.load_verify_locations(client_ca)
        super().__init__(("127.0.0.1", port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread that is known."""
        thread = Thread(target=self._serve, args=(request, client_address), daemon=True)
        with self._guard:
            self._connections[thread] = request
        thread.start()

    def _serve(self, raw: socket.socket, address: Any) -> None:
        self.service.connected()
        connection = raw
        raw.settimeout(_IDLE)
        try:
            if self._context is not None:
                tls = self._context.wrap_socket(raw, True, do_handshake_on_connect=False)
                connection = self._remember(tls)
                tls.do_handshake()
            self.finish_request(connection, address)
        except OSError:
            # Clients hang up, and some do not like a certificate.
            pass
        except Exception as error:  # noqa: BLE001
            self.service.failed(error)
        finally:
            self.shutdown_request(connection)
            with self._guard:
                self._connections.pop(current_thread(), None)

    def _remember(self, connection: socket.socket) -> socket.socket:
        with self._guard:
            self._connections[current_thread()] = connection
        return connection

    def _open(self) -> dict[Thread, socket.socket]:
        with self._guard:
            return dict(self._connections)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Remember what went wrong, instead of printing it."""
        del request, client_address
        if error := sys.exception():
            self.service.failed(error)

    def end(self) -> None:
        """Interrupt all that are connected, and wait until they are gone."""
        patience = time.monotonic() + _IDLE
        while (connections := self._open()) and time.monotonic() < patience:
            for thread, connection in connections.items():
                with suppress(OSError):
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)
                # Not for long: a connection that is only now becoming a TLS one is another.
                thread.join(0.1)
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    """One connection, and the requests that come over it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Listener

    def do_GET(self) -> None:
        """Answer a request."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        # The path as it came: the base class makes one slash of two.
        path = self.requestline.split(" ")[1]
        asked, key = understand(self.command, path, body, dict(self.headers.items()))
        with self.server.service.answering(asked):
            self._answer(self.server.service, asked, key)

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815

    def _answer(self, service: Service, asked: Asked, key: str | None) -> None:
        found = None
        try:
            reply = service.reply_to(asked)
            stopped = bool(reply.hang) and service.closing.wait(reply.hang)
            silent = stopped or reply.close or (reply.reset and reply.truncate is None)
            if not silent:
                found = service.answer_to(asked, key, reply)
        except Exception as error:
            service.failed(error)
            raise
        keep = not self.close_connection
        self.close_connection = True
        if found is not None:
            good = send(self.connection, asked, found, reply, service.closing, keep_alive=keep)
            self.close_connection = not good
        if reply.reset and not stopped:
            abort(self.connection, self.rfile)

    def log_message(self, *args: Any) -> None:
        """Say nothing: what was asked is written down."""
