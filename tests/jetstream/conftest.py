"""A NATS server of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tautulli_import import interrupts
from tests.support.nats import NatsServer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    with NatsServer(tmp_path / "nats") as running:
        yield running


@pytest.fixture
def forgets() -> Iterator[None]:
    """Forget the stop that a test asked for, before the next."""
    yield
    interrupts.forget()
