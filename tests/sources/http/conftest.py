"""A small Tautulli for clients to ask, and clients that wait for nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tautulli_import.sources.http.access import Access, parse_address
from tautulli_import.sources.http.client import Tautulli
from tests.support.history import add_play, create
from tests.support.hostile import World, gentle, make_history
from tests.support.inside import Inside
from tests.support.over_http import no_waiting
from tests.support.tautulli import KEY, FakeTautulli

Connect = Callable[..., Tautulli]


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("history") / "tautulli.db"
    with closing(create(path)) as conn:
        for number in range(5):
            add_play(conn, title=f"Film {number}")
    return path


@pytest.fixture
def server(history: Path) -> Iterator[FakeTautulli]:
    with FakeTautulli(history) as tautulli:
        yield tautulli


@pytest.fixture(scope="module")
def hostile_history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_history(tmp_path_factory.mktemp("hostile"))


@pytest.fixture
def world(
    hostile_history: Path,
    tmp_path: Path,
    inside: Inside,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Iterator[World]:
    """Yield the program, and a Tautulli that is about to lie."""
    # Patience is short only where it comes to its end.
    is_silent = any(name in request.node.name for name in ("silence", "a drip"))
    gentle(monkeypatch, timeout=1.0 if is_silent else 60.0)
    monkeypatch.setattr("tautulli_import.sources.http.client.PATIENCE", 1)
    with FakeTautulli(hostile_history) as tautulli, no_waiting():
        yield World(tautulli, inside, tmp_path)


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Make clients, and close them in the end."""
    clients: list[Tautulli] = []

    def make(
        url: str, key: str = KEY, on_wait: Callable[[str], None] | None = None, **given: Any
    ) -> Tautulli:
        access = Access(parse_address(url), key, **{"timeout": 60.0, **given})
        clients.append(Tautulli(access, on_wait=on_wait))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def _no_waiting() -> Iterator[None]:
    with no_waiting():
        yield


def history_of(client: Tautulli, search: str = "") -> dict[str, Any]:
    """All rows, ungrouped."""
    kind = dict[str, Any]
    return client.ask("get_history", kind, about="2020", grouping=0, length=100, search=search)
