"""Show the outcome of an import: the result first, then how every row is accounted for."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ..formatting import many, shown
from ..imports.report import Delivery, Output, Report
from ..imports.run import ImportResult
from ..model.rejections import Reason
from ..settings.fields import Settings
from ..state.outputs import OutputStore
from .console import Screen
from .formatting import not_held, option_for

__all__ = ["show_outcome"]

_MOST_PATHS: Final = 3
_SELECTING: Final = (
    "user",
    "library",
    "media_type",
    "since",
    "until",
    "min_percent",
    "include_partial",
    "ids",
    "salvage",
)
"""The settings that choose titles for ``unresolved`` as for an import."""


def show_outcome(
    outcome: ImportResult,
    settings: Settings,
    screen: Screen,
    store: OutputStore | None,
    *,
    reason: str,
    written: Sequence[Path],
    as_json: bool,
) -> None:
    """Show the outcome of an import, and save in ``store`` which warnings were printed.

    If nothing is new, one line says so. After a failure, show only what was written. ``reason``
    is a sentence about the choice of users. ``written`` are the report and the page. With
    ``as_json`` the numbers are printed elsewhere.
    """
    report = outcome.report
    known = store.warnings() if store else frozenset[str]()
    changed = [one for one in report.outputs if _has_changed(one)]
    # Most warnings too are only printed if something is new: a nightly run would repeat them.
    is_empty = not report.plays.read
    is_bare = is_empty or any(map(_is_bare, report.outputs))
    told = settings.dry_run or changed or outcome.failure or is_bare
    is_news = bool(told or not report.plays.emitted)
    if is_news:
        for output, delivery in zip(report.outputs, outcome.deliveries, strict=True):
            _show_output(output, delivery, screen, dry_run=settings.dry_run)
        if not as_json and (outcome.deliveries or not outcome.failure):
            _show_accounting(report, settings, screen)
            for sentence in outcome.found:
                screen.note(sentence)
    else:
        _show_nothing_new(outcome, screen)
        if screen.verbose:
            _show_accounting(report, settings, screen)
    for alarm in outcome.alarms:
        # A wrong clock or an older backup may be why nothing is new. Once is enough.
        is_loss = alarm in outcome.losses and not settings.dry_run
        if alarm not in known if is_loss else told:
            screen.warn(alarm)
    if is_news and not settings.dry_run:
        _show_next_steps(outcome.deliveries, screen)
    for path in written if is_news else ():
        screen.note(f"Wrote {shown(path)}.")
    for notice in [*outcome.notices, *([reason] if is_news and reason else [])]:
        screen.note(notice)
    if store:
        store.save_warnings([*screen.warnings, *known.intersection(outcome.alarms)])
        if is_news:
            store.save_conflicts(report.conflicts)


def _has_changed(output: Output) -> bool:
    return bool(output.new or output.updated or output.removed or output.written)


def _is_bare(output: Output) -> bool:
    """Return true if an output has nothing, because it can hold none of the items."""
    return bool(output.left_out) and not output.total


def _show_nothing_new(outcome: ImportResult, screen: Screen) -> None:
    outputs = outcome.report.outputs
    places = ", ".join(dict.fromkeys(output.target for output in outputs))
    verb = "are" if ", " in places else "is"
    known = sum(output.duplicates or 0 for output in outputs)
    again = f" {many(known, 'event')} delivered again and already known there." if known else ""
    count = sum(len(one.leftovers.times) for one in outcome.deliveries)
    stay = (
        f" {count:,} entries of earlier runs there are not in this selection. --replace corrects "
        "that."
    )
    read = many(outcome.report.plays.read, "play")
    screen.note(
        f"Nothing new: {read} read, {places} {verb} up to date.{again}{stay if count else ''}"
    )


def _show_output(output: Output, delivery: Delivery, screen: Screen, *, dry_run: bool) -> None:
    """Print what is now in an output, or would be."""
    owner = f" of {output.user}" if output.user else ""
    held = output.emitted - sum(output.left_out.values())
    what = many(held, "viewing") if output.left_out else _emitted(delivery)
    subject = f"{what}{owner}"
    if delivery.is_on_stdout:
        verb = "would be" if dry_run else "were"
        screen.note(f"{subject} {verb} written to standard output.")
        return
    there = "are" if _is_bare(output) else "are now" if _has_changed(output) else "are already"
    verb = "would be" if dry_run else there
    screen.note(f"{subject} {verb} in {output.target} ({output.sink}): {_changes(output)}.")
    for reason, count in output.left_out.items():
        screen.note(f"  left out  {count:>9,}  {reason}")
    for path in output.written:
        screen.detail(f"  wrote {path}")
    for path in output.copies:
        screen.note(f"  The content before this run is in {path}")


def _emitted(delivery: Delivery) -> str:
    """Return the number of films and episodes, of viewings, or of events."""
    if delivery.records is None:
        return many(delivery.emitted, "event")
    kinds: Counter[str] = Counter()
    for (kind, _), count in delivery.records.origins_of_keys().items():
        kinds["film" if kind == "movie" else "episode"] += count
    films, episodes = kinds["film"], kinds["episode"]
    if delivery.every_viewing:
        return f"{many(films, 'viewing')} of films and {episodes:,} of episodes"
    return f"{many(films, 'film')} and {many(episodes, 'episode')}"


def _changes(output: Output) -> str:
    """Return the numbers of changed entries in words."""
    parts = [
        (output.new, "new"),
        (output.duplicates or 0, "already known"),
        (output.updated, "updated"),
        (0 if output.duplicates is not None else output.unchanged, "unchanged"),
        (output.removed, "removed"),
        (output.kept, "kept because they were changed since"),
    ]
    said = ", ".join(f"{count:,} {what}" for count, what in parts if count) or "nothing new"
    # A sink of another package may not count what it has.
    return f"{said}; {output.total:,} in all" if output.total > output.emitted else said


def _show_accounting(report: Report, settings: Settings, screen: Screen) -> None:
    """Print what became of the rows: one line. Each reason needs ``verbose``, or no result."""
    plays, items = report.plays, report.items
    of_events = report.view == "events"
    done = "would be imported" if report.dry_run else "imported"
    merged = "" if of_events else f"{plays.merged:,} merged into newer ones, "
    cannot = not_held(report)
    merged += f"{cannot:,} that {report.sinks[0]} cannot hold, " if cannot else ""
    is_whole = screen.verbose or not plays.emitted  # somebody will ask why there is nothing
    tell = screen.note if is_whole else screen.detail
    is_short = (plays.filtered or plays.rejected) and not is_whole
    screen.note(
        f"{many(plays.read, 'play')} read: {plays.emitted - cannot:,} {done}, {merged}"
        f"{sum(plays.filtered.values()):,} left out, "
        f"{sum(plays.rejected.values()):,} rejected.{' Details: --verbose' if is_short else ''}"
    )
    for name, count in plays.filtered.items():
        tell(f"  left out  {count:>9,}  {Reason(name).sentence}{option_for(name)}")
    for name, count in plays.rejected.items():
        tell(f"  rejected  {count:>9,}  {Reason(name).sentence}")
    if plays.rejected and not report.rejected_rows:
        tell("  --report FILE lists every rejected row.")
    if of_events and plays.emitted:
        screen.detail(
            f"  {many(items.movies, 'film')}, {many(items.episodes, 'episode')} and "
            f"{many(items.tracks, 'track')}, watched or not: an event for every play"
        )
    if items.without_external_id and not cannot:
        screen.note(
            f"{items.without_external_id:,} have no external id and keep their number in Plex. "
            "To list them:"
        )
        screen.note(f"  tautulli-import unresolved {_same_plays(report, settings)}")
    for name, count in items.ids_from.items():
        if count:
            screen.detail(f"  ids from {name.replace('_', ' ')}: {count:,}")
    screen.detail(f"  {report.elapsed_seconds} s, {report.plays_per_second:,} plays/s")


def _same_plays(report: Report, settings: Settings) -> str:
    """Return the source and the selection as arguments to type."""
    paths = [shown(path) for path in settings.database]
    options: list[str] = []
    for name in _SELECTING:
        value = getattr(settings, name)
        if value == Settings.model_fields[name].get_default(call_default_factory=True):
            continue
        option = f"--{name.replace('_', '-')}"
        for one in value if isinstance(value, tuple | list) else (value,):
            options += [option] if one is True else [option, str(one)]
    if report.command == "api":
        return shlex.join(["api", *options])
    if 0 < len(paths) <= _MOST_PATHS and "-" not in paths:
        return shlex.join([*paths, *options])
    return " ".join(["DATABASE...", *map(shlex.quote, options)])


def _show_next_steps(deliveries: Sequence[Delivery], screen: Screen) -> None:
    """Print the next steps, of one output per user for the first and which ones are like it."""
    by_sink: dict[str, list[Delivery]] = {}
    for delivery in deliveries:
        if delivery.receipt.written and delivery.receipt.next_steps:
            by_sink.setdefault(delivery.sink, []).append(delivery)
    steps: dict[str, None] = {}
    for first, *others in by_sink.values():
        steps |= dict.fromkeys(first.receipt.next_steps)
        if others:
            targets = ", ".join(other.receipt.target for other in others)
            steps[
                f"These steps are for {first.user}. Repeat them for each other user, in a profile "
                f"or account of their own: {targets}."
            ] = None
    if steps and screen.is_read:  # a log has no use for them
        screen.note("Next:")
        for step in steps:
            screen.note(f"  {step}")
