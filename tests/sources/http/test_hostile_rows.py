"""Rows that look like rows and are none: every field of them, with whatever can stand in JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.hostile import ROWS, World
from tests.support.inside import Inside
from tests.support.products import crossed
from tests.support.tautulli import Change, FakeTautulli, on, with_rows, without

#: What a row cannot be placed without.
PLACE: Final = ("row_id", "id", "started", "state", "group_count")
#: What is taken of a row, and can be missing or odd in a database that has seen much.
READ: Final = (
    *("reference_id", "stopped", "user_id", "user", "media_type", "live", "rating_key"),
    *("grandparent_rating_key", "title", "full_title", "grandparent_title", "parent_media_index"),
    *("media_index", "year", "guid", "percent_complete", "watched_status", "friendly_name"),
    *("parent_title", "paused_counter", "platform", "player", "product", "machine_id"),
    *("ip_address", "location", "transcode_decision", "secure", "relayed"),
    *("originally_available_at", "parent_rating_key"),
)
#: What nobody looks at.
UNREAD: Final = (
    *("date", "duration", "play_duration", "original_title"),
    *("thumb", "user_thumb", "group_ids", "session_key"),
)
#: What a column can hold, where something else belongs.
ODD: Final = (
    *(None, "", "word", "12", "²", -1, 0, 1, 0.5, 1e300, 10**30, True),
    *("x" * 1000, "\0\x1b[31m", "\ud800", "&lt;b&gt;", " 7 "),
)


@pytest.fixture(scope="module")
def clean(hostile_history: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("clean")
    with pytest.MonkeyPatch.context() as patch, FakeTautulli(hostile_history) as tautulli:
        world = World(tautulli, Inside(folder, {"HOME": str(folder)}, patch), folder)
        assert world.imports("--state-dir", str(folder)).code == 0
        return world.items


def accounted(world: World) -> int:
    """Import, and hold the numbers of the summary against each other; returns the exit code."""
    result = world.imports("--json")
    if result.code == 0:
        plays = json.loads(result.out)["plays"]
        left = sum(plays["filtered"].values()) + sum(plays["rejected"].values())
        assert plays["read"] == ROWS == left + plays["merged"] + plays["emitted"]
        assert all(json.loads(line)["key"] for line in world.items.splitlines())
    return result.code


def spoilt(value: object, first: int) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """In every row another field holds this value, from that field on."""

    def change(data: dict[str, Any]) -> dict[str, Any]:
        rows = [
            row | {READ[(first + int(row["row_id"])) % len(READ)]: value} for row in data["data"]
        ]
        return data | {"data": rows}

    return change


def test_these_are_the_fields_of_a_row(world: World) -> None:
    seen: list[dict[str, Any]] = []

    def look(data: dict[str, Any]) -> dict[str, Any]:
        seen.extend(data["data"])
        return data

    world.tautulli.faults[:] = [on("get_history", Change(look))]
    world.imports()
    assert set(seen[0]) == {*PLACE, *READ, *UNREAD}


@pytest.mark.parametrize(("value", "first"), crossed(ODD, range(0, len(READ), ROWS)), ids=ascii)
def test_an_odd_value_costs_no_other_row(value: object, first: int, world: World) -> None:
    world.tautulli.faults[:] = [on("get_history", Change(spoilt(value, first)))]
    assert accounted(world) == 0


@pytest.mark.parametrize(("field", "value"), crossed(PLACE, ODD[::2]), ids=ascii)
def test_a_row_without_its_place_is_an_error_or_accounted_for(
    field: str, value: object, world: World
) -> None:
    world.tautulli.faults[:] = [on("get_history", with_rows(**{field: value}))]
    accounted(world)


@pytest.mark.sampled(4)
@pytest.mark.parametrize("field", [*PLACE, *READ])
def test_a_server_may_not_know_a_field(field: str, world: World) -> None:
    world.tautulli.faults[:] = [on("get_history", without(field))]
    accounted(world)


@pytest.mark.parametrize("value", [["x"], {"a": 1}], ids=repr)
def test_what_nobody_reads_can_be_anything(value: object, world: World, clean: bytes) -> None:
    world.tautulli.faults[:] = [on("get_history", with_rows(**dict.fromkeys(UNREAD, value)))]
    assert world.imports().code == 0
    assert world.items == clean


@pytest.mark.sampled(6)
@pytest.mark.parametrize(("field", "value"), crossed([*PLACE, *READ], [["x"], {}]), ids=repr)
def test_what_no_column_can_hold_is_never_taken(
    field: str, value: object, world: World, clean: bytes
) -> None:
    world.tautulli.faults[:] = [on("get_history", with_rows(**{field: value}))]

    result = world.imports()

    assert world.items == (b"" if result.code else clean)
    world.tautulli.faults.clear()
    world.imports()
    assert world.items == clean
