"""`api` night after night: what it writes is what `db` writes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.nightly import DAY, NOW, Night, Nights, at_home
from tests.support.over_http import no_waiting
from tests.support.tautulli import FakeTautulli

ALL = 14


class Both:
    """One history, imported into a tracker by either of the two ways."""

    def __init__(self, nights: Nights, fake: FakeTautulli, key: Path) -> None:
        self.db = nights
        self._fake = fake
        self._key = key

    def api(self, *options: str | Path, days: float = 0) -> Night:
        """Run `api` so many days later."""
        report = self._key.with_name("api.json")
        report.unlink(missing_ok=True)
        self.db.now += int(days * 86_400)
        where = ("--url", self._fake.url, "--api-key-file", self._key, "--no-enrich")
        place = ("--to", "tracker", "--out", self.db.out / "api", "--report", report)
        state = ("--state-dir", self.db.state.with_name("state-api"), "--batch-size", "1")
        done = self.db.inside("api", *where, *place, *state, *options)
        assert done.code == 0, done.err
        return Night.of(done, report)

    def same(self, *options: str | Path, days: float = 1) -> Night:
        """Run both a day later; the trackers are the same, and so are the numbers."""
        theirs = self.db.run(*options, days=days)
        ours = self.api(*options)
        assert theirs.code == 0, theirs.err
        files = self.db.files()
        histories = {name for name in files if name.endswith("history.json")}
        for name in (one for one in histories if one.startswith("tracker/")):
            assert files[name] == files[name.replace("tracker/", "api/", 1)]
        for counted in ("plays", "items"):
            assert ours.told[counted] == theirs.told[counted]
        assert ours.changes == theirs.changes
        return ours


@pytest.fixture
def both(tmp_path: Path, environment: dict[str, str]) -> Iterator[Both]:
    """Yield a small history, and the Tautulli that has it."""
    with (
        at_home(tmp_path, environment) as nights,
        FakeTautulli(nights.path) as fake,
        no_waiting(),
    ):
        nights.years()
        key = tmp_path / "key"
        key.write_text(fake.key, "utf-8")
        yield Both(nights, fake, key)


def test_the_second_run_changes_nothing(both: Both) -> None:
    both.api()
    again = both.api()
    assert (again.read, again.changes) == (ALL, (0, 0, 0))


@pytest.mark.parametrize(
    "options",
    [(), ("--rewatches",), ("--each-user",), ("--user", "bob"), ("--library", "Shows")],
)
def test_many_nights_by_either_way_are_the_same(both: Both, options: tuple[str, ...]) -> None:
    both.same(*options, days=0)
    for day in (1, 9):
        both.db.film(-day, f"New {day}", user_id=1 + day % 2)
        both.db.episode(0.1 - day, day, user_id=2 - day % 2)
        both.db.film(0.2 - day, "Film 1", year=1991)
        both.same(*options, days=day - (both.db.now - NOW) / 86_400)


def test_a_title_that_was_mended_of_late_is_seen(both: Both) -> None:
    both.same(days=0)
    both.db.set("m.title", "Mended", 13)
    both.same()
    assert "Mended" in both.db.titles()


def test_old_plays_that_are_gone_or_came_in_between_are_seen(both: Both) -> None:
    both.same(days=0)
    both.db.delete(5)
    both.same()
    both.db.film(600, "Imported")
    both.same()
    assert "Imported" in both.db.titles()


def test_a_new_play_tells_the_id_of_old_ones(both: Both) -> None:
    both.db.film(100, "Unknown", year=2001, rating_key=77)
    both.same(days=0)
    guid = "com.plexapp.agents.imdb://tt0133093?lang=en"
    both.db.film(-0.5, "Unknown", year=2001, rating_key=77, guid=guid)
    both.same()
    assert [key for key, item in both.db.items().items() if item["title"] == "Unknown"] == [
        "imdb:tt0133093"
    ]


def test_corrections_replace_old_keys(both: Both, tmp_path: Path) -> None:
    both.db.film(100, "Unknown", year=2001, rating_key=77)
    both.same(days=0)
    both.db.film(-0.5, "Unknown", year=2001, rating_key=77)
    ids = tmp_path / "ids.csv"
    for number in (603, 604):
        ids.write_text(f"type,rating_key,tmdb\nmovie,77,{number}\n", "utf-8")
        both.same("--ids", ids)
        keys = [key for key, item in both.db.items().items() if item["title"] == "Unknown"]
        assert keys == [f"tmdb:{number}"]


def test_a_viewing_that_is_resumed_later_stands_once(both: Both) -> None:
    both.db.film(2, "Long", year=2003)
    both.same("--rewatches", days=0)
    both.db.rest(-0.5, "Long", year=2003)
    assert both.same("--rewatches").changes[2] == 1
    assert both.db.titles().count("Long") == 1


def test_a_viewing_with_a_long_pause_is_the_same_by_both_ways(both: Both) -> None:
    both.db.film(3, "Long", year=2003)
    pause = {"stopped": NOW - 2 * DAY + 360 + 7_000, "paused_counter": 7_000}
    both.db.rest(2, "Long", year=2003, **pause)
    both.same("--rewatches", days=0)
    assert both.db.titles().count("Long") == 1


def test_a_dry_run_tells_what_the_run_then_does(both: Both) -> None:
    both.api()
    both.db.film(-0.5, "Brand New")
    dry = both.api("--dry-run", days=1)
    real = both.api()
    assert dry.changes == real.changes == (1, 0, 0)
    assert dry.told["plays"] == real.told["plays"]


def test_a_restart_still_knows_what_was_published(both: Both, tmp_path: Path) -> None:
    both.db.film(100, "Unknown", year=2001, rating_key=77)
    ids = tmp_path / "ids.csv"
    ids.write_text("type,rating_key,tmdb\nmovie,77,603\n", "utf-8")
    both.api("--ids", ids)
    both.db.film(-0.5, "Unknown", year=2001, rating_key=77)
    ids.write_text("type,rating_key,tmdb\nmovie,77,604\n", "utf-8")
    both.api("--restart", "--ids", ids, days=1)
    both.db.run("--ids", ids)
    api, db = both.db.items("../api"), both.db.items()
    assert api == db
