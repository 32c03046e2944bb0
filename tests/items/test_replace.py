"""What one run put into an output, another takes back: `--replace`."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.history import add_user
from tests.support.nightly import Night, Nights
from tests.support.products import crossed

FOREIGN: dict[str, dict[str, Any]] = {
    "trakt:1": {
        "type": "movie",
        "title": "Foreign",
        "year": 1999,
        "ids": {"trakt": "1"},
        "watched_at": "2020-01-02T03:04:05Z",
    }
}


@pytest.fixture
def nights(nights: Nights) -> Nights:
    """Return a history of four people. Some have seen what others have seen."""
    with nights.conn:
        add_user(nights.conn, 3, "carol", "Carol")
        add_user(nights.conn, 4, "dave", "Dave")
    for user, first in ((1, 300), (2, 200), (3, 150), (4, 120)):
        nights.film(first, "Seen By All", year=1990, user_id=user)
        for number in range(3):
            nights.film(first - number, f"Film {user} {number}", year=2000 + user, user_id=user)
        nights.episode(first - 5, user, user_id=user)
    nights.film(10, "Half", year=2010, view_offset=900_000)
    nights.film(9, "Film 1 0", year=2001)  # again
    return nights


def editor(nights: Nights, user: str = "") -> dict[str, dict[str, Any]]:
    """Return the rows of the Editor file, by key."""
    name = f"editor-{user}-history.json" if user else "editor-history.json"
    dataset = json.loads((nights.out / name).read_bytes())
    return {row["key"]: row for row in dataset["items"]}


def copies(nights: Nights) -> list[Path]:
    """Return the copies of outputs, oldest first."""
    return sorted((nights.state / "previous").glob("*"))


def fresh(nights: Nights, *options: str) -> dict[str, Any]:
    """Return what the tracker holds if these options were the first that anybody used."""
    items: dict[str, Any] = json.loads(
        nights.fresh(*options)["tracker/history.json"].decode("utf-8")
    )["items"]
    return items


def lines(done: Night, word: str) -> list[str]:
    """Return the lines with a word."""
    return [line for line in done.err.splitlines() if word in line]


def replace_item(nights: Nights, key: str, **fields: object) -> dict[str, Any]:
    """Change an entry of the tracker as somebody else does, and return it."""
    items = nights.items()
    items[key] |= fields
    nights.write_items(items)
    return items[key]


# The commonest mistake: the plays of four people in one tracker, and only Alice's were wanted.


def test_the_mistake_is_made_and_taken_back(nights: Nights) -> None:
    nights.run()
    everybody = nights.items()
    said = nights.run("--user", "alice")
    (warning,) = lines(said, "Warning")
    assert "13 entries of earlier runs" in warning
    assert "Dave (5), Bob (4), Carol (4)" in warning
    assert "--replace" in warning
    assert nights.items() == everybody

    done = nights.run("--user", "alice", "--replace")
    assert done.code == 0
    assert "13 entries of earlier runs" in done.err
    assert "This run will remove 12, and update 1 that this selection has" in done.err
    assert "Dave (5), Bob (4), Carol (4)" in done.err
    assert done.changes == (0, 1, 12)
    assert nights.items() == fresh(nights, "--user", "alice")
    (copy,) = copies(nights)
    assert f"The content before this run is in {copy}" in done.err
    assert json.loads(copy.read_bytes())["items"] == everybody
    assert done.told["outputs"][0]["copies"] == [str(copy)]


def test_a_second_time_nothing_changes(nights: Nights) -> None:
    nights.run()
    nights.run("--user", "alice", "--replace")
    before = nights.files()
    for options in (("--user", "alice", "--replace"), ("--user", "alice")):
        done = nights.night(*options)
        assert done.changes == (0, 0, 0)
        assert done.err.count("\n") == 1
        assert done.err.endswith("is up to date.\n")
    assert nights.files() == before
    assert len(copies(nights)) == 1


def test_a_dry_run_shows_what_would_be_removed(nights: Nights) -> None:
    nights.run()
    before = nights.files()
    done = nights.run("--user", "alice", "--replace", "--dry-run")
    assert "13 entries of earlier runs" in done.err
    assert "This run would remove 12, and update 1 that this selection has" in done.err
    assert done.told["outputs"][0]["removed"] == 12
    assert (nights.files(), copies(nights)) == (before, [])
    said = nights.run("--user", "alice", "--dry-run")
    assert "13 entries" in said.err
    assert "would stay" in said.err


def test_a_new_selection_is_told_once_and_counted_every_night(nights: Nights) -> None:
    nights.run()
    assert lines(nights.night("--user", "alice"), "Warning")
    again = nights.night("--user", "alice")
    assert again.err.count("\n") == 1
    assert "13 entries of earlier runs there are not in this selection" in again.err
    assert nights.night("--user", "alice", "--quiet").err == ""


def test_a_quiet_run_tells_of_a_new_selection(nights: Nights) -> None:
    nights.run()
    assert "13 entries" in nights.run("--user", "alice", "--quiet").err


def test_two_people_in_one_place_are_taken_apart(nights: Nights) -> None:
    nights.run("--user", "alice")
    said = nights.run("--user", "bob")
    assert "Alice (4)" in said.err
    nights.run("--user", "bob", "--replace")
    assert nights.items() == fresh(nights, "--user", "bob")


@pytest.mark.parametrize(
    ("options", "target"),
    crossed(
        [
            ("--include-partial",),
            ("--rewatches",),
            ("--min-percent", "5"),
            ("--library", "Films"),
            ("--since", "2025-01-01"),
            ("--since", "150d"),
            ("--watched-at", "started"),
            ("--watched-at", "started", "--rewatches"),
            ("--media-type", "episode"),
        ],
        [(), ("--user", "alice"), ("--rewatches",)],
    ),
)
def test_every_selection_is_taken_back(
    nights: Nights, options: tuple[str, ...], target: tuple[str, ...]
) -> None:
    nights.run(*options)
    done = nights.run(*target, "--replace")
    assert done.code == 0, done.err
    assert nights.items() == fresh(nights, *target)
    is_other_form = ("--rewatches" in options) is not ("--rewatches" in target)
    if not is_other_form and "--watched-at" not in options:  # then all entries get another time
        assert announced(done) == done.changes[1:]


def announced(done: Night) -> tuple[int, int]:
    """Return how many entries it says beforehand that it will update, and how many remove."""
    said = " ".join(done.err.split())
    counts = {
        word: int(found[1]) if (found := re.search(rf"{word} (\d+)", said)) else 0
        for word in ("update", "remove")
    }
    if everything := re.search(r"(\d+) entr.+ will remove (?:them|it)\.", said):
        counts["remove"] = int(everything[1])
    return counts["update"], counts["remove"]


def test_an_output_of_each_user_is_taken_back(nights: Nights) -> None:
    nights.run("--each-user", "--include-partial", "--since", "2025-02-20")
    assert "Half" in nights.titles("Alice")
    nights.run("--each-user", "--since", "2025-02-20", "--replace")
    assert "Half" not in nights.titles("Alice")
    assert len(nights.items("Alice")) == 1
    assert len(nights.items("Dave")) == 1


def test_an_output_of_a_user_who_has_nothing_left_is_emptied(nights: Nights) -> None:
    nights.run("--each-user")
    assert nights.items("Bob")
    nights.run("--each-user", "--since", "2025-03-01", "--replace")
    assert nights.items("Bob") == {}
    assert nights.titles("Alice") == ["Film 1 0"]


def test_each_user_takes_back_what_was_one_history(nights: Nights) -> None:
    nights.write_items(FOREIGN)
    nights.run("--all-users")
    everybody = nights.items()
    apart = nights.run("--each-user", to="tracker")
    (told,) = lines(apart, "without --each-user")
    assert f"history.json ({len(everybody) - 1} entries), which stays" in told
    assert nights.items() == everybody

    done = nights.run("--each-user", "--replace")
    assert nights.items() == FOREIGN
    assert announced(done) == done.changes[1:] == (0, len(everybody) - 1)
    assert everybody in [json.loads(copy.read_bytes())["items"] for copy in copies(nights)]
    assert len(nights.items("Dave")) == 5
    for options in (("--each-user",), ("--each-user", "--replace")):
        done = nights.night(*options)
        assert (done.changes, done.err.count("\n")) == ((0, 0, 0), 1)


def test_one_history_keeps_the_plays_of_users_who_are_not_chosen(nights: Nights) -> None:
    nights.run("--all-users")
    everybody = nights.items()
    done = nights.run("--each-user", "--user", "alice", "--replace")
    (told,) = lines(done, "without --each-user")
    assert "use --each-user --replace without --user" in told
    assert nights.items() == everybody
    assert nights.items("Alice")


# What is not ours, or no longer.


def test_foreign_entries_stay(nights: Nights) -> None:
    nights.write_items(FOREIGN)
    nights.run()
    nights.run("--user", "alice", "--replace")
    assert nights.items() == FOREIGN | fresh(nights, "--user", "alice")


def test_an_entry_that_somebody_watched_again_stays(nights: Nights) -> None:
    nights.run()
    key = next(key for key, item in nights.items().items() if item["title"] == "Film 2 0")
    theirs = replace_item(nights, key, watched_at="2025-06-10T20:00:00Z")
    nights.run("--user", "alice", "--replace")
    assert nights.items() == fresh(nights, "--user", "alice") | {key: theirs}
    assert nights.night("--user", "alice", "--replace").changes == (0, 0, 0)


def test_an_entry_whose_play_is_gone_stays_and_is_told(nights: Nights) -> None:
    """Nobody can tell whose it was. It may be the only trace of something that Alice watched."""
    (gone,) = nights.conn.execute(
        "SELECT id FROM session_history_metadata WHERE title = 'Film 2 0'"
    ).fetchone()
    nights.run()
    nights.delete(gone)
    done = nights.run("--user", "alice", "--replace")
    assert lines(done, "1 entry of earlier runs")
    assert "no longer in the history" in done.err
    assert "Film 2 0" in nights.titles()
    assert len(nights.items()) == len(fresh(nights, "--user", "alice")) + 1


def test_keys_that_a_pair_with_rewatches_rewrote_are_found(nights: Nights) -> None:
    nights.run()
    nights.write_items(
        {f"{key}@{_epoch(item['watched_at'])}": item for key, item in nights.items().items()}
    )
    nights.run("--user", "alice", "--replace")
    assert sorted(nights.titles()) == sorted(
        item["title"] for item in fresh(nights, "--user", "alice").values()
    )


def _epoch(watched_at: str) -> int:
    return int(datetime.fromisoformat(watched_at).timestamp())


# Editor files.


def test_an_editor_file_is_taken_back(nights: Nights) -> None:
    nights.run(to="editor")
    nights.run("--user", "alice", "--replace", to="editor")
    rows = editor(nights)
    assert rows
    assert {row["title"] for row in rows.values()} == {
        "Seen By All",
        "Film 1 0",
        "Film 1 1",
        "Film 1 2",
        "Episode 1",
    }
    assert len(copies(nights)) == 1


# After a lost state file.


def lose_state(nights: Nights) -> None:
    """Remove all that is remembered."""
    for path in nights.state.glob("*.db*"):
        path.unlink()


@pytest.mark.parametrize("options", [(), ("--include-partial",), ("--watched-at", "started")])
@pytest.mark.parametrize("rewatches", [(), ("--rewatches",)])
def test_without_the_record_keys_and_times_tell(
    nights: Nights, options: tuple[str, ...], rewatches: tuple[str, ...]
) -> None:
    nights.write_items(FOREIGN)
    nights.run(*options, *rewatches)
    lose_state(nights)
    nights.run("--user", "alice", *rewatches)
    done = nights.run("--user", "alice", *rewatches, "--replace")
    assert nights.items() == FOREIGN | fresh(nights, "--user", "alice", *rewatches)
    assert "1 entry in" in done.err
    assert "nothing tells whether an earlier run wrote" in done.err
    assert nights.run("--user", "alice", *rewatches, "--replace").changes == (0, 0, 0)


def test_without_the_record_an_editor_file_is_taken_back(nights: Nights) -> None:
    nights.run("--include-partial", to="editor")
    lose_state(nights)
    nights.run("--user", "alice", "--replace", to="editor")
    assert {row["title"] for row in editor(nights).values()} >= {"Film 1 0", "Episode 1"}
    assert "Half" not in {row["title"] for row in editor(nights).values()}
    assert "Film 2 0" not in {row["title"] for row in editor(nights).values()}


# Copies.


def test_what_was_there_is_kept_before_the_first_change(nights: Nights) -> None:
    nights.write_items(FOREIGN)
    content = (nights.out / "tracker" / "history.json").read_bytes()
    done = nights.run()
    (copy,) = copies(nights)
    assert copy.read_bytes() == content
    assert copy.stat().st_mode & 0o777 == 0o600
    assert copy.parent.stat().st_mode & 0o777 == 0o700
    assert f"The content before this run is in {copy}" in done.err
    nights.film(1, "New", year=2020)
    nights.night()
    assert copies(nights) == [copy]


def test_of_an_output_that_was_not_there_nothing_is_kept(nights: Nights) -> None:
    nights.run()
    assert copies(nights) == []


def test_three_copies_of_an_output_are_kept(nights: Nights) -> None:
    nights.run()
    kept: list[Path] = []
    for user in ("alice", "bob", "carol", "dave"):
        done = nights.night("--user", user, "--replace")
        kept += [Path(path) for path in done.told["outputs"][0]["copies"]]
    assert len(kept) == 4
    assert copies(nights) == kept[1:]


def test_a_copy_that_cannot_be_made_stops_the_run(nights: Nights) -> None:
    nights.run()
    before = nights.files()
    (nights.state / "previous").write_text("in the way", "utf-8")
    done = nights.run("--user", "alice", "--replace")
    assert done.code == 8
    assert "could not be written" in done.err
    assert "--state-dir" in done.err
    assert nights.files() == before


# Options that do not fit.


def test_only_an_output_that_keeps_entries_can_be_replaced(nights: Nights) -> None:
    done = nights.run("--replace", to="jsonl")
    assert done.code == 2
    assert "None of these sinks can use --replace." in done.err


def test_without_saved_state_nothing_is_replaced(nights: Nights) -> None:
    nights.run()
    before = nights.files()
    done = nights.inside(
        *("db", "-", "--to", "tracker", "--out", nights.out / "tracker", "--no-enrich"),
        *("--user", "alice", "--replace", "--state-dir", nights.state),
        stdin=nights.path.read_bytes(),
    )
    assert done.code == 2
    assert "there is no saved state" in done.err
    assert nights.files() == before


# Conflicting ids.


def test_conflicting_ids_are_told_once(nights: Nights) -> None:
    guid = "com.plexapp.agents.themoviedb://{}?lang=en"
    for number, days in ((603, 50), (604, 40)):
        nights.film(days, "Torn", year=1999, rating_key=77, guid=guid.format(number))
    word = "conflicting ids"
    first = nights.night()
    assert len(lines(first, word)) == 1
    nights.film(1, "New", year=2020)
    second = nights.night()
    assert second.changes == (1, 0, 0)
    assert lines(second, word) == []
    assert [one for one in second.told["warnings"] if word in one]
    for number, days in ((605, 50), (606, 40)):
        nights.film(days, "Other", year=1999, rating_key=78, guid=guid.format(number))
    (line,) = lines(nights.night(), word)
    assert "1 title has conflicting ids (Other)" in line
    assert lines(nights.run("--dry-run"), word) == []
    for number, days in ((607, 50), (608, 40)):
        nights.film(days, "Third", year=1999, rating_key=79, guid=guid.format(number))
    (line,) = lines(nights.run("--quiet"), word)
    assert "1 title has conflicting ids (Third)" in line
