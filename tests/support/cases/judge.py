"""What is wrong with what came of a case."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from unicodedata import normalize

from tests.support.cases.case import Case

__all__ = ["Outcome", "compare", "judge"]


@dataclass
class Outcome:
    """What came of one case through one door."""

    items: Sequence[Mapping[str, Any]] = ()
    report: Mapping[str, Any] = field(default_factory=dict)
    asked: int = 0
    troubles: list[str] = field(default_factory=list)

    @property
    def lines(self) -> list[str]:
        """The items as a case writes them."""
        return [_shown(item) for item in self.items]


def judge(case: Case, outcome: Outcome) -> list[str]:
    """Return what is wrong."""
    found = outcome.lines
    wrong = [] if case.want is None else compare(case.want, found)
    wrong += [
        f"must not be: {item}" for line in case.must_not for item in found if _matches(line, item)
    ]
    for pattern, ids in case.want_ids:
        wrong += _check_ids(pattern.strip(), ids.split(), outcome.items)
    plays, items = outcome.report.get("plays", {}), outcome.report.get("items", {})
    for name, number in case.want_counts.items():
        value = plays.get(name, items.get(name))
        value = sum(value.values()) if isinstance(value, dict) else value
        if value != number:
            wrong.append(f"{name}: {value}, want {number}")
    rows = sorted(row.get("id") for row in outcome.report.get("rejected_rows", []))
    if case.want_rejected is not None and rows != sorted(case.want_rejected):
        wrong.append(f"rejected rows {rows}, want {sorted(case.want_rejected)}")
    if case.most_asked is not None and outcome.asked > case.most_asked:
        wrong.append(f"{outcome.asked} questions for metadata, want {case.most_asked} at most")
    return wrong


def compare(want: Sequence[str], found: Sequence[str]) -> list[str]:
    """Hold the wanted items against those that came, each exactly once; `*` is anything."""
    left, open_ = [*found], []
    for line in want:  # what is plainly there first, then patterns
        same = normalize("NFC", line)
        if same in left:
            left.remove(same)
        else:
            open_.append(line)
    pairs = _paired(open_, left)
    missing = [line for place, line in enumerate(open_) if place not in pairs]
    extra = [item for place, item in enumerate(left) if place not in pairs.values()]
    return [f"missing: {line}" for line in missing] + [f"extra: {item}" for item in extra]


def _shown(item: Mapping[str, Any]) -> str:
    """Return `KEY | TITLE | WATCHED_AT`."""
    key, at = str(item["key"]), str(item.get("watched_at") or "")
    title = str(item.get("title") or "")
    if item.get("series_title") is not None:
        title = f"{item['series_title']} - {title}"
    with suppress(ValueError):
        when = datetime.strptime(at, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        key = key.removesuffix(f"@{int(when.timestamp())}")  # the key of one viewing
        at = f"{when:%Y-%m-%d %H:%M:%S}".removesuffix(":00")
    return normalize("NFC", f"{key} | {title} | {at}")


def _paired(want: Sequence[str], found: Sequence[str]) -> dict[int, int]:
    """Return as many pairs as can be made, by place in the two lists."""
    holder: dict[int, int] = {}

    def place_of(one: int, seen: set[int]) -> bool:
        for other, item in enumerate(found):
            if other not in seen and _matches(want[one], item):
                seen.add(other)
                if other not in holder or place_of(holder[other], seen):
                    holder[other] = one
                    return True
        return False

    for one in range(len(want)):
        place_of(one, set())
    return {one: other for other, one in holder.items()}


def _matches(pattern: str, item: str) -> bool:
    parts = normalize("NFC", pattern).split("*")
    return re.fullmatch(".*".join(map(re.escape, parts)), item, re.DOTALL) is not None


def _check_ids(
    pattern: str, wanted: Sequence[str], items: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Look at the ids of items: `imdb=tt1` has to be there, `!tvdb` must not."""
    meant = {key: item for item in items if _matches(pattern, key := _shown(item).split(" | ")[0])}
    wrong = [] if meant else [f"no item {pattern}, to look at its ids"]
    for key, item in meant.items():
        for ids in (item["ids"], item.get("show_ids", item["ids"])):
            for want in wanted:
                name, _, value = want.lstrip("!").partition("=")
                is_there = str(ids.get(name)) == value if value else name in ids
                if is_there == want.startswith("!"):
                    wrong.append(f"ids of {key}: {json.dumps(ids)}, want {want}")
    return wrong
