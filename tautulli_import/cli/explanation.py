"""Print what ``why`` found, for a person."""

from __future__ import annotations

from collections.abc import Iterator

from ..counting import Plays
from ..formatting import many
from ..imports.why import Explanation, PlayFacts, TitleFacts, TitleSpan
from ..model.rejections import Reason
from .console import Screen

__all__ = ["show"]

_NAMES = {"movie": "film", "show": "show"}


def show(found: Explanation, screen: Screen) -> None:
    """Print films and shows with their plays, and rows of neither, on standard output."""
    if found.is_row_and_title:
        screen.note(f"{found.asked} is both a row number and a title.")
    plays = [*(play for facts in found.titles for play in facts.plays), *found.rows]
    has_several_files = len({play.source for play in plays}) > 1
    for number, facts in enumerate(found.titles):
        if number:
            screen.paragraph("")
        _show_title(facts, screen, name_files=has_several_files)
    for play in found.rows:
        _show_play(play, screen, indent=0, name_file=has_several_files)
    if found.other_titles:
        others = ", ".join(found.other_titles[:10])
        more = len(found.other_titles) - 10
        rest = f" and {more:,} others" if more > 0 else ""
        screen.note(f"More titles contain this: {others}{rest}. --verbose shows all.")


def _show_title(facts: TitleFacts, screen: Screen, *, name_files: bool) -> None:
    year = f", {facts.year}" if facts.year else ""
    screen.paragraph(f"{facts.title or 'Without a title'} ({_NAMES[facts.type]}{year})", bold=True)
    screen.facts(_pairs(facts), indent=2)
    for sentence in facts.sentences:
        screen.paragraph(sentence, indent=2)
    for play in facts.plays:
        _show_play(play, screen, indent=2, name_file=name_files)
    if facts.other_plays:
        screen.paragraph(f"… and {many(facts.other_plays, 'other play')}.", indent=2)


def _pairs(facts: TitleFacts) -> Iterator[tuple[str, str]]:
    yield "Plays", _counted(facts.counts)
    if facts.rating_keys:
        name = "Rating key" if len(facts.rating_keys) == 1 else "Rating keys"
        yield name, ", ".join(map(str, facts.rating_keys))
    if len(facts.titles) > 1:
        for number, span in enumerate(facts.titles):
            yield "" if number else "Titles", _spanned(span)
    for number, one in enumerate(facts.ids):
        yield "" if number else "Ids", one.sentence
    for conflict in facts.conflicts:
        used = f"{conflict.namespace} {conflict.kept} is used, not {conflict.dropped}"
        rows = " and ".join(f"row {row}" for row in conflict.plays)
        yield "Conflict", f"{used} (from {rows})"
    for suggestion in facts.suggestions:
        ids = ", ".join(f"{site} {value}" for site, value in suggestion.ids.items())
        yield "Suggestion", f"{ids}: {suggestion.reason}"


def _counted(counts: Plays) -> str:
    parts = [f"{counts.read:,}: {counts.emitted:,} imported"]
    if counts.merged:
        parts.append(f"{counts.merged:,} merged into newer ones")
    parts += [
        f"{count:,} {done} ({Reason(name).sentence})"
        for done, reasons in (("left out", counts.filtered), ("rejected", counts.rejected))
        for name, count in reasons.items()
    ]
    return ", ".join(parts)


def _spanned(span: TitleSpan) -> str:
    if not span.first or not span.last:
        return span.title
    first, last = span.first[:10], span.last[:10]
    return f"{span.title}, {first}" if first == last else f"{span.title}, {first} to {last}"


def _show_play(play: PlayFacts, screen: Screen, *, indent: int, name_file: bool) -> None:
    when = f"{play.time[:10]} {play.time[11:16]} UTC" if play.time else "Without a time"
    title = play.title
    if play.season is not None and play.episode is not None:
        title = f"S{play.season:02d}E{play.episode:02d} {title}"
    row = f"row {play.row} of {play.source}" if name_file else f"row {play.row}"
    parts = [when, row, title, play.user]
    screen.paragraph("  ".join(filter(None, parts)), indent=indent, bold=True)
    screen.paragraph(" ".join(play.sentences), indent=indent + 2)
