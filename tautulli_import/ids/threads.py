"""Ask several questions at once, in threads that a stop does not wait for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Thread
from typing import Generic, TypeVar

__all__ = ["Threads", "threads"]

_Question = TypeVar("_Question")
_Answer = TypeVar("_Answer")


class Threads(Generic[_Question, _Answer]):
    """Takes questions, and gives the answers in the order they arrive."""

    def __init__(self, ask_one: Callable[[_Question], _Answer]) -> None:
        self._ask_one = ask_one
        self._waiting: SimpleQueue[tuple[_Question] | None] = SimpleQueue()
        self._answers: SimpleQueue[_Answer] = SimpleQueue()

    def put(self, question: _Question) -> None:
        """Let a thread ask a question."""
        self._waiting.put((question,))

    def get(self) -> _Answer:
        """Wait for the next answer."""
        return self._answers.get()

    def work(self) -> None:
        """Ask one question after another, in a thread of its own."""
        while (question := self._waiting.get()) is not None:
            self._answers.put(self._ask_one(question[0]))

    def end(self) -> None:
        """End one thread after its question."""
        self._waiting.put(None)


@contextmanager
def threads(
    ask_one: Callable[[_Question], _Answer], count: int
) -> Iterator[Threads[_Question, _Answer]]:
    """Yield so many threads. ``ask_one`` must not raise.

    Leaving does not wait for them. They are daemons, because an executor would wait for a server
    that hangs.
    """
    made = Threads(ask_one)
    try:
        for _ in range(count):
            Thread(target=made.work, daemon=True).start()
        yield made
    finally:
        for _ in range(count):
            made.end()
