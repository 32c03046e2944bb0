"""What a fault says instead of the real answer, or does to it on its way."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.support.tautulli.asked import Asked

__all__ = ["Change", "Fault", "Reply"]


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer that is not the real one; what is left out is as in the real one."""

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    #: The body, as it is sent; the real one is compressed if the client wants that.
    body: bytes | None = None
    #: Makes other data of the real data, if the real answer says success.
    change: Callable[[Any], Any] | None = None
    #: Answer as if these parameters had been sent, too.
    ask: Mapping[str, str] = field(default_factory=dict)
    #: Wait so many seconds before anything is sent.
    hang: float = 0
    #: Spread the body over so many seconds, in 20 pieces.
    slow: float = 0
    #: Declare the whole length, send so many bytes of the body, and close.
    truncate: int | None = None
    #: Send the body in chunks, without a length.
    chunked: bool = False
    #: Reset the connection: at once, or after what `truncate` lets through.
    reset: bool = False
    #: Close the connection without any answer.
    close: bool = False
    #: Answer, and then close the connection without having said so.
    hang_up: bool = False


#: Looks at a request, and replies or leaves it to the next one.
Fault = Callable[[Asked], Reply | None]


@dataclass(frozen=True)
class Change:
    """A fault that changes the data of the real answer."""

    change: Callable[[Any], Any]

    def __call__(self, asked: Asked) -> Reply:
        """Reply with the changed answer, whatever was asked."""
        del asked
        return Reply(change=self.change)
