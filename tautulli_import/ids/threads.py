"""Ask several questions at once, in threads that a stop does not wait for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Thread
from typing import TypeVar

__all__ = ["threads"]

_Question = TypeVar("_Question", int, str)
_Answer = TypeVar("_Answer")


@contextmanager
def threads(
    ask_one: Callable[[_Question], _Answer], count: int
) -> Iterator[tuple[Callable[[_Question], None], Callable[[], _Answer]]]:
    """Start so many threads. Yield how to ask a question, and how to wait for the next answer.

    The answers come in the order they arrive. ``ask_one`` must not raise. Leaving does not wait
    for the threads. They are daemons, because an executor would wait for a server that hangs.
    """
    questions: SimpleQueue[_Question | None] = SimpleQueue()
    answers: SimpleQueue[_Answer] = SimpleQueue()

    def work() -> None:
        while (question := questions.get()) is not None:
            answers.put(ask_one(question))

    try:
        for _ in range(count):
            Thread(target=work, daemon=True).start()
        yield questions.put, answers.get
    finally:
        for _ in range(count):
            questions.put(None)
