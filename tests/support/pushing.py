"""A history that is pushed into a CrossWatch of ours, night by night."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.support.crosswatch import TOKEN, Call, FakeCrossWatch, crosswatch
from tests.support.nightly import Night, Nights, at_home, said

__all__ = ["Pushes", "pushing", "rows_of"]


class Pushes:
    """A household, and the CrossWatch that its history goes to."""

    def __init__(self, nights: Nights, fake: FakeCrossWatch) -> None:
        self.nights = nights
        self.fake = fake

    def run(self, *options: str | Path, days: float = 0, code: int = 0) -> Night:
        """Push, so many days later. It has to end with this code."""
        done = self.nights.run("--to", "crosswatch", *options, to=None, days=days)
        assert done.code == code, done.err
        return done

    def fails(self, code: int, *options: str | Path) -> str:
        """Push in vain, and return what was said."""
        return said(self.run(*options, code=code))

    def expected(self, *options: str) -> dict[str, dict[str, Any]]:
        """Return what a tracker directory would get, under the keys of viewings."""
        files = self.nights.fresh(*options)
        items = json.loads(files["tracker/history.json"])["items"]
        return {_viewing(key, item): item for key, item in items.items()}

    def sent(self, name: str = "preview") -> list[list[dict[str, Any]]]:
        """Return the rows of each preview."""
        return [rows_of(call) for call in self.fake.asked(name)]

    def forget_calls(self) -> None:
        """Forget what was asked so far."""
        self.fake.calls.clear()


def rows_of(call: Call) -> list[dict[str, Any]]:
    """Return the rows in the ZIP of a preview."""
    _, _, content = call.form()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return [row for name in archive.namelist() for row in json.loads(archive.read(name))]


def _viewing(key: str, item: Mapping[str, Any]) -> str:
    suffix = f"@{int(datetime.fromisoformat(item['watched_at']).timestamp())}"
    return key if key.endswith(suffix) else key + suffix


@contextmanager
def pushing(folder: Path, environment: dict[str, str]) -> Iterator[Pushes]:
    """Yield a household with a small history, and an empty CrossWatch."""
    with crosswatch() as fake:
        environment |= {"CW_URL": fake.url, "CW_TOKEN": TOKEN}
        with at_home(folder, environment) as nights:
            nights.years()
            yield Pushes(nights, fake)
