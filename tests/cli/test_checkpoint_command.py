"""`checkpoint list`, `show` and `clear`: what is remembered, and forgetting it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tautulli_import.state.lock import Holder
from tautulli_import.state.runs import lock_of
from tests.conftest import Cli, Result
from tests.support.nightly import NOW, Nights, said
from tests.support.over_http import no_waiting
from tests.support.tautulli import FakeTautulli

ALL = 14


@pytest.fixture
def nights(nights: Nights) -> Nights:
    """Return a small history, imported into a tracker, and in part into an Editor dataset."""
    nights.years()
    nights.run("--user", "alice")
    nights.cut_short("--rewatches", after=5, to="editor")
    return nights


def checkpoint(nights: Nights, *args: str) -> Result:
    """Run the command on the state directory of the test."""
    return nights.inside("checkpoint", *args, "--state-dir", nights.state)


def listed(nights: Nights) -> dict[str, dict[str, Any]]:
    """Return what `list` tells, by the sink it is about."""
    done = checkpoint(nights, "list", "--json")
    assert (done.code, done.err) == (0, "")
    told = json.loads(done.out)
    assert told["schema"] == 1
    return {one["sinks"][0].partition("=")[0]: one for one in told["checkpoints"]}


# What is there.


def test_it_lists_every_import_in_words(nights: Nights) -> None:
    done = checkpoint(nights, "list")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    jobs = {into.strip(): job for job, into in zip(lines[::2], lines[1::2], strict=True)}
    source = f"{nights.path} → "
    (tracker,) = [into for into in jobs if into.startswith(f"{source}tracker={nights.out}/")]
    (editor,) = [into for into in jobs if into.startswith(f"{source}editor=")]
    when = r"20\d\d-\d\d-\d\d \d\d:\d\d UTC"
    assert re.fullmatch(rf"[0-9a-f]{{12}}  completed {when}, 14 plays", jobs[tracker])
    assert re.fullmatch(rf"[0-9a-f]{{12}}  unfinished {when}, 0 plays", jobs[editor])


def test_it_lists_every_import_as_json(nights: Nights) -> None:
    told = listed(nights)
    assert told["tracker"].keys() == {
        *("id", "status", "source", "command", "sinks", "selection", "options", "plays"),
        *("updated", "first_landmark", "last_landmark", "bytes"),
    }
    assert told["tracker"]["status"] == "completed"
    assert told["tracker"]["plays"] == ALL
    assert told["tracker"]["source"] == f"file://{nights.path}"
    assert told["tracker"]["command"] == "db"
    assert told["tracker"]["selection"]["users"] == [1]
    assert told["tracker"]["options"] == {"rewatches": False, "each_user": False}
    assert told["tracker"]["first_landmark"] == [1, NOW - 400 * 86_400, 1]
    assert told["tracker"]["last_landmark"] == [14, NOW - 2 * 86_400, 1]
    assert told["tracker"]["bytes"] == 0
    assert told["editor"]["status"] == "unfinished"
    assert told["editor"]["options"]["rewatches"] is True
    assert told["editor"]["plays"] == 0


def test_it_tells_how_far_events_are_delivered(nights: Nights) -> None:
    nights.run("--events", "--to", "jsonl", "--out", nights.out / "events.jsonl", to=None)
    one = listed(nights)["jsonl"]
    assert (one["status"], one["plays"], one["bytes"] > 100) == ("completed", ALL, True)
    nights.film(-0.5, "Brand New")
    nights.run("--user", "alice", days=1)
    assert listed(nights)["tracker"]["plays"] == ALL + 1
    assert listed(nights)["jsonl"]["plays"] == ALL


def test_the_last_one_comes_first(nights: Nights) -> None:
    with_times = {one["id"]: one["updated"] for one in listed(nights).values()}
    assert list(with_times.values()) == sorted(with_times.values(), reverse=True)


def test_it_shows_one_of_them(nights: Nights) -> None:
    one = listed(nights)["tracker"]
    done = checkpoint(nights, "show", one["id"])
    assert (done.code, done.err) == (0, "")
    for words in (one["id"], "completed", f"file://{nights.path}", "state file", str(nights.state)):
        assert words in done.out
    told = json.loads(checkpoint(nights, "show", one["id"], "--json").out)
    (path,) = nights.state.glob("*.db")
    assert told == {"schema": 1, **one, "state_file": str(path)}


def test_the_beginning_of_an_id_is_enough(nights: Nights) -> None:
    one = listed(nights)["editor"]
    told = json.loads(checkpoint(nights, "show", one["id"][:7], "--json").out)
    assert told["id"] == one["id"]


def test_every_source_is_listed(nights: Nights, tmp_path: Path) -> None:
    with FakeTautulli(nights.path) as fake, no_waiting():
        env = fake.environment
        place = ("--to", "tracker", "--out", tmp_path / "other", "--state-dir", nights.state)
        assert nights.inside("api", *place, "--no-enrich", env=env).code == 0
        done = checkpoint(nights, "list", "--json")
        told = json.loads(done.out)
        assert {one["source"] for one in told["checkpoints"]} == {f"file://{nights.path}", fake.url}
        (copy,) = told["copies"]
        assert (copy["source"], copy["plays"], copy["complete"]) == (fake.url, ALL, True)
        assert copy["oldest_day"] is None
        lines = checkpoint(nights, "list").out.splitlines()
        assert lines[-1].startswith(f"{fake.url}: all 14 plays were read, last at 20")
        assert fake.key not in done.out + checkpoint(nights, "list").out


def test_nothing_remembered_is_said(nights: Nights, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    done = nights.inside("checkpoint", "list", "--state-dir", nowhere)
    assert (done.code, done.out) == (0, "")
    assert "There are no checkpoints." in done.err
    as_json = nights.inside("checkpoint", "list", "--json", "--state-dir", nowhere)
    assert json.loads(as_json.out) == {"schema": 1, "checkpoints": [], "copies": []}
    assert not nowhere.exists()


def test_who_looks_leaves_no_trace(nights: Nights) -> None:
    before = nights.files(nights.state)
    for args in (("list",), ("list", "--json"), ("show", listed(nights)["tracker"]["id"])):
        checkpoint(nights, *args)
    assert nights.files(nights.state) == before


@pytest.mark.parametrize("content", [b"", b"no database at all" * 500])
def test_a_damaged_state_file_hides_no_other(nights: Nights, content: bytes) -> None:
    (nights.state / "broken.db").write_bytes(content)
    assert len(listed(nights)) == 2
    assert (nights.state / "broken.db").read_bytes() == content


def test_a_file_of_a_newer_version_hides_no_other(nights: Nights) -> None:
    (path,) = nights.state.glob("*.db")
    kept = path.read_bytes()
    nights.ask("PRAGMA user_version = 99")
    path.rename(path.with_name("newer.db"))
    path.write_bytes(kept)
    assert len(listed(nights)) == 2


def test_titles_and_places_cannot_move_the_cursor(nights: Nights) -> None:
    odd = nights.out / "od\x1b[31md"
    nights.run("--to", "tracker", "--out", odd, to=None)
    assert "\x1b" not in checkpoint(nights, "list").out
    assert "\x1b" not in checkpoint(nights, "show", _id_of(nights, "31m")).out


def _id_of(nights: Nights, words: str) -> str:
    told = json.loads(checkpoint(nights, "list", "--json").out)
    (found,) = [one["id"] for one in told["checkpoints"] if words in one["sinks"][0]]
    return str(found)


@pytest.mark.parametrize("command", ["show", "clear"])
@pytest.mark.parametrize("name", ["ffffffffffffffff", "zzz", "%", "_"])
def test_an_unknown_id_is_not_found(nights: Nights, command: str, name: str) -> None:
    done = checkpoint(nights, command, name)
    assert done.code == 5
    assert f"No checkpoint begins with {name}." in done.err
    assert "checkpoint list" in done.err
    assert len(listed(nights)) == 2


def test_an_id_that_several_begin_with_is_none(nights: Nights) -> None:
    done = checkpoint(nights, "show", "")
    assert done.code == 5
    assert "Several checkpoints begin with" in done.err


# Forgetting.


def test_one_is_forgotten_and_the_other_stays(nights: Nights) -> None:
    told = listed(nights)
    done = checkpoint(nights, "clear", told["tracker"]["id"])
    assert (done.code, done.out) == (0, "")
    assert "Forgotten: 1 checkpoint." in done.err
    assert listed(nights).keys() == {"editor"}
    assert nights.ask("SELECT count(*) FROM published") == [(0,)]
    assert nights.run("--user", "alice").code == 0
    assert listed(nights).keys() == {"tracker", "editor"}


def test_it_is_forgotten_by_the_beginning_of_its_id(nights: Nights) -> None:
    assert checkpoint(nights, "clear", listed(nights)["editor"]["id"][:6]).code == 0
    assert listed(nights).keys() == {"tracker"}


def test_several_are_forgotten_at_once(nights: Nights) -> None:
    names = [one["id"] for one in listed(nights).values()]
    done = checkpoint(nights, "clear", *names)
    assert "Forgotten: 2 checkpoints." in done.err
    assert listed(nights) == {}


def test_one_by_two_names_is_one(nights: Nights) -> None:
    name = listed(nights)["tracker"]["id"]
    done = checkpoint(nights, "clear", name, name[:8])
    assert (done.code, "Forgotten: 1 checkpoint." in done.err) == (0, True)


def test_with_one_name_that_is_unknown_nothing_is_forgotten(nights: Nights) -> None:
    done = checkpoint(nights, "clear", listed(nights)["tracker"]["id"], "zzz")
    assert done.code == 5
    assert len(listed(nights)) == 2


def test_everything_is_forgotten(nights: Nights) -> None:
    before = nights.files()
    done = checkpoint(nights, "clear", "--all")
    told = "Forgotten: 2 checkpoints, the last runs of 1 source."
    assert (done.code, told in done.err) == (0, True)
    assert listed(nights) == {}
    assert nights.files() == before
    tables = ("jobs", "published", "about", "runs")
    assert [nights.ask(f"SELECT count(*) FROM {one}") for one in tables] == [[(0,)]] * 4  # noqa: S608 - our own names
    assert "There is nothing to forget." in checkpoint(nights, "clear", "--all").err


def test_nothing_of_what_is_forgotten_stands_in_the_file_any_more(nights: Nights) -> None:
    (path,) = nights.state.glob("*.db")
    key = next(iter(nights.items())).encode()
    assert key in path.read_bytes()
    checkpoint(nights, "clear", "--all")
    assert key not in path.read_bytes()


def test_a_file_that_was_emptied_is_gone_on_with(nights: Nights) -> None:
    checkpoint(nights, "clear", "--all")
    assert nights.run("--user", "alice").changes == (0, 0, 0)
    assert listed(nights).keys() == {"tracker"}


def test_clear_wants_to_know_which(nights: Nights) -> None:
    done = checkpoint(nights, "clear")
    assert done.code == 2
    assert "--all" in done.err
    assert len(listed(nights)) == 2


def test_clearing_another_database_of_the_same_place_lets_it_be_read(nights: Nights) -> None:
    nights.execute("UPDATE session_history SET started = started + 77")
    assert nights.run("--user", "alice").code == 2
    checkpoint(nights, "clear", listed(nights)["tracker"]["id"])
    assert nights.run("--user", "alice").code == 0


@pytest.mark.parametrize("what", ["one", "--all"])
def test_nothing_is_forgotten_while_an_import_runs(nights: Nights, what: str) -> None:
    (path,) = nights.state.glob("*.db")
    told = listed(nights)
    lock = lock_of(path)
    assert lock.take()
    lock.note(Holder(1, bytes(path), 1, "tautulli-import db"))
    try:
        done = checkpoint(nights, "clear", told["tracker"]["id"] if what == "one" else what)
        assert done.code == 6
        assert f"An import is using {path}" in done.err
        assert "tautulli-import stop" in done.err
        assert listed(nights) == told
    finally:
        lock.release()
    assert checkpoint(nights, "clear", "--all").code == 0


def test_the_program_itself_lists_shows_and_clears(cli: Cli, nights: Nights) -> None:
    """As a process of its own, in the directory that is the default."""
    env = {"TAUTULLI_IMPORT_STATE_DIR": str(nights.state)}
    told = json.loads(cli("checkpoint", "list", "--json", env=env).out)["checkpoints"]
    assert len(told) == 2
    assert cli("checkpoint", "show", told[0]["id"], env=env).out.split()[1] == told[0]["id"]
    assert "Forgotten: 2 checkpoints, the last" in cli("checkpoint", "clear", "--all", env=env).err
    done = cli("checkpoint", "list", env=env)
    assert (done.code, said(done)) == (0, "There are no checkpoints.")
