"""Rows that CrossWatch does not take are counted, listed, and never taken for verified."""

from __future__ import annotations

from collections.abc import Callable
from unittest.mock import patch

import pytest

from tests.support.crosswatch import Answer, Call, FakeCrossWatch
from tests.support.nightly import said
from tests.support.pushing import Pushes

PUSH = "tautulli_import.crosswatch.push"


def refuse(
    fake: FakeCrossWatch, titles: set[str], **changes: object
) -> Callable[[Call], Answer | None]:
    """Have the rows with these titles refused."""

    def invalid(call: Call) -> Answer | None:
        if call.name != "preview":
            return None
        _, answer = fake._answer(call)  # noqa: SLF001 - the real answer, a little changed
        assert isinstance(answer, dict)
        summary = answer["summary"]
        for row in fake.previews[answer["import_id"]]["rows"]:
            if row["title"] in titles:
                summary["by_status"][row["status"]] -= 1
                summary["by_status"]["invalid"] += 1
                row.update({"status": "invalid", "reason": "missing_watched_at"} | changes)
        for name in ("ready", "exists"):
            summary[name] = summary["by_status"][name]
        return 200, answer

    fake.faults.append(invalid)
    return invalid


def test_refused_rows_are_named_and_listed(by_import: Pushes) -> None:
    refuse(by_import.fake, {"Film 3"})
    done = by_import.run()
    assert "left out 1 of our entries: Film 3 (missing_watched_at)." in said(done)
    assert "left out 1 refused by CrossWatch (missing_watched_at)" in said(done)
    count = len(by_import.expected()) - 1
    output = done.told["outputs"][0]
    assert len(by_import.fake.items()) == count == output["total"] == output["new"]
    assert output["left_out"] == {"refused by CrossWatch (missing_watched_at)": 1}
    assert [one["title"] for one in done.told["left_out"]] == ["Film 3"]
    assert f"{count:,} imported" in said(done)


@pytest.mark.parametrize("changes", [{}, {"key": ""}, {"key": "", "watched_at": None}])
def test_refused_rows_are_tried_again(by_import: Pushes, changes: dict[str, object]) -> None:
    refuse(by_import.fake, {"Film 3", "Film 4"}, **changes)
    by_import.run("--rewatches")
    by_import.fake.faults.clear()
    by_import.forget_calls()
    done = by_import.run("--rewatches", days=1)
    assert done.changes == (2, 0, 0)
    assert {row["title"] for rows in by_import.sent()[-2:] for row in rows} == {"Film 3", "Film 4"}
    assert len(by_import.fake.items()) == len(by_import.expected("--rewatches"))


def test_more_are_refused_than_crosswatch_names(by_import: Pushes) -> None:
    titles = {"Film 3", "Film 4", "Film 5", "Film 6"}
    refuse(by_import.fake, titles)
    with patch(f"{PUSH}.MOST_ROWS", 1), patch(f"{PUSH}._FEWEST", 1):
        done = by_import.run()
    count = len(by_import.expected()) - len(titles)
    assert done.changes == (count, 0, 0)
    assert {one["title"] for one in done.told["left_out"]} == titles
    assert "left out 4 of our entries" in said(done)


def test_rows_that_nothing_names_are_counted_and_tried_again(by_import: Pushes) -> None:
    refuse(by_import.fake, {"Film 3", "Film 4"}, key="", title="", watched_at=None)
    done = by_import.run()
    everything = len(by_import.expected())
    output = done.told["outputs"][0]
    assert (output["new"], output["total"]) == (everything - 2, everything - 2)
    assert "left out 2 of our entries" in said(done)
    by_import.fake.faults.clear()
    by_import.run(days=1)
    assert len(by_import.fake.items()) == everything


def test_a_request_for_refused_rows_that_fails_doubles_nothing(by_import: Pushes) -> None:
    refuse(by_import.fake, {"Film 3"})
    failures = iter([(502, b"")])

    def failing(call: Call) -> Answer | None:
        return next(failures, None) if "/preview/" in call.path else None

    by_import.fake.faults.insert(0, failing)
    with patch(f"{PUSH}._FEWEST", 1):
        done = by_import.run()
    count = len(by_import.expected()) - 1
    assert done.changes == (count, 0, 0)
    assert done.told["outputs"][0]["total"] == count


def test_nothing_is_up_to_date_if_everything_is_refused(by_import: Pushes) -> None:
    by_import.nights.execute("DELETE FROM session_history WHERE media_type != 'movie'")
    refuse(by_import.fake, {f"Film {number}" for number in range(7)})
    for _ in range(2):
        done = by_import.run()
        assert by_import.fake.items() == {}
        assert "up to date" not in said(done)
        assert "0 viewings are in" in said(done)
        assert "left out 7 of our entries" in said(done)
        assert done.told["outputs"][0]["total"] == 0
