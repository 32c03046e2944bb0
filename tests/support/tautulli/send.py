"""Bringing an answer to the client, whole or in the ways in which that goes wrong."""

import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from email.utils import formatdate
from gzip import compress
from http import HTTPStatus
from io import BufferedIOBase
from threading import Event

from tests.support.tautulli.answers import Answer
from tests.support.tautulli.asked import Asked
from tests.support.tautulli.reply import Reply

__all__ = ["abort", "send"]

_COMPRESSED = ("application/json", "text/html", "text/plain")
_PIECES = 20


def send(
    connection: socket.socket,
    asked: Asked,
    answer: Answer,
    reply: Reply,
    closing: Event,
    *,
    keep_alive: bool,
) -> bool:
    """Send the answer in the way of the reply; return whether the connection is still good."""
    body = answer.body
    headers = dict(answer.headers)
    kind = headers.get("Content-Type", "").split(";")[0]
    if reply.body is None and kind in _COMPRESSED and _takes_gzip(asked):
        body = compress(body, 5)
        headers["Content-Encoding"] = "gzip"
    if reply.chunked:
        headers["Transfer-Encoding"] = "chunked"
    else:
        headers.setdefault("Content-Length", str(len(body)))
    if not keep_alive:
        headers["Connection"] = "close"
    connection.sendall(_head(answer.status, headers))
    if asked.method == "HEAD":
        return keep_alive
    whole = reply.truncate is None
    for piece in _pieces(body if whole else body[: reply.truncate], reply.slow):
        connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece) if reply.chunked else piece)
        if reply.slow and closing.wait(reply.slow / _PIECES):
            return False
    if reply.chunked and whole:
        connection.sendall(b"0\r\n\r\n")
    return keep_alive and whole and not reply.hang_up


def abort(connection: socket.socket, reading: BufferedIOBase) -> None:
    """Reset the connection: nothing that is under way arrives, and the client is told so."""
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    # The socket closes when the last file on it does.
    reading.close()
    connection.close()


def _takes_gzip(asked: Asked) -> bool:
    codings = asked.header("Accept-Encoding").replace(" ", "").split(",")
    return any(each.split(";")[0] == "gzip" and not each.endswith(";q=0") for each in codings)


def _head(status: int, headers: dict[str, str]) -> bytes:
    try:
        reason = HTTPStatus(status).phrase
    except ValueError:
        reason = "Unknown"
    always = {
        "Server": "CherryPy/unknown",
        "Date": formatdate(usegmt=True),
        "Vary": "Accept-Encoding",
        "Set-Cookie": "tautulli_session_0000000000=0; Max-Age=3600; Path=/",
    }
    lines = [f"{name}: {value}\r\n" for name, value in (always | headers).items()]
    return f"HTTP/1.1 {status} {reason}\r\n{''.join(lines)}\r\n".encode("latin-1")


def _pieces(body: bytes, slow: float) -> Iterator[bytes]:
    """Cut the body; no piece is empty, for an empty chunk is the end of all chunks."""
    size = max(1, -(-len(body) // _PIECES)) if slow else max(1, len(body))
    for start in range(0, len(body), size):
        yield body[start : start + size]
