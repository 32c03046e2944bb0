"""A CrossWatch of ours, and a history for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.pushing import Pushes, pushing

#: A sync pair that writes into the tracker.
INTO_THE_TRACKER = {
    "source": "TRAKT",
    "target": "CROSSWATCH",
    "mode": "one-way",
    "enabled": True,
    "features": {"history": {"enable": True, "rewatches": True}},
}


@pytest.fixture
def pushes(tmp_path: Path, environment: dict[str, str]) -> Iterator[Pushes]:
    """Yield a household with a small history, and an empty CrossWatch."""
    with pushing(tmp_path, environment) as made:
        yield made


@pytest.fixture
def by_import(pushes: Pushes) -> Pushes:
    """Return the same, where the token is not an administrator's: all goes through the import."""
    pushes.fake.is_admin = False
    return pushes


@pytest.fixture
def synced(pushes: Pushes) -> Pushes:
    """Return the same, where a sync pair writes into the tracker."""
    pushes.fake.pairs = [INTO_THE_TRACKER]
    return pushes
