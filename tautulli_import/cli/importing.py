"""What ``api`` and ``db`` do, step by step: settings, source, job, output, exit code."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from ..console import Screen
from ..errors import ConfigurationError
from ..job import Job, Outcome, Target, run
from ..report import Report, Summary, many
from ..settings import Settings
from ..sinks.files import identity, write_whole
from ..sinks.jsonl import lines
from . import prepare
from .opening import Command, opened

__all__ = ["import_history"]


def import_history(
    command: Command, flags: Mapping[str, object], *, as_json: bool, restart: bool = False
) -> None:
    """Carry out ``tautulli-import api`` or ``db``.

    Raises:
        TautulliImportError: anything that a person has to know; see ``errors``.
    """
    loaded = prepare.settings_from(flags)
    settings = loaded.settings
    now = int(time.time())
    screen = Screen(quiet=settings.quiet, verbose=settings.verbose, color=settings.color)
    targets = prepare.targets(settings)
    _check_stdout(settings, targets, as_json=as_json)
    prepare.check_report_path(settings.report)
    prepare.check_not_read(settings, "--report", settings.report)
    corrections = prepare.corrections(settings)
    began = time.perf_counter()
    with opened(command, loaded, screen, now=now, restart=restart) as found:
        source = found.source
        job = Job(
            command=command,
            targets=targets,
            selection=prepare.selection(settings, source, now=now),
            corrections=corrections,
            dry_run=settings.dry_run,
            rewatches=settings.rewatches,
            each_user=settings.each_user,
            merge_with=settings.merge_with,
            detailed=settings.report is not None,
            taken=_taken(settings),
            enrich=found.enricher,
            asked=found.asked,
        )
        prepare.announce(source, settings, screen)
        for rule in source.rules():
            screen.detail(
                f"Watched means {rule.movie_percent} % of a film and {rule.tv_percent} % of an "
                f"episode, marker mode {rule.marker} ({rule.origin})."
            )
        with screen.progress() as bar:
            outcome = run(source, job, stdout=sys.stdout.buffer, now=now, observer=bar, began=began)
    _show(outcome, settings, screen, as_json=as_json)
    if outcome.failure is not None:
        raise outcome.failure
    prepare.judge_rejected(outcome.report.plays.rejected, source, settings)


def _taken(settings: Settings) -> Mapping[object, str]:
    """Files that no sink may write, by identity."""
    taken = dict(prepare.files_read(settings))
    if settings.report is not None and settings.report != Path("-"):
        taken[identity(settings.report)] = "where --report is to go"
    return taken


def _show(outcome: Outcome, settings: Settings, screen: Screen, *, as_json: bool) -> None:
    report = outcome.report
    if settings.report == Path("-"):
        sys.stdout.buffer.write(msgspec.json.encode(report) + b"\n")
    elif settings.report is not None:
        write_whole(settings.report, [msgspec.json.encode(report) + b"\n"], option="--report")
    if settings.dry_run:
        _show_items(outcome, settings, screen)
    if as_json:
        sys.stdout.buffer.write(msgspec.json.encode(_summary(report)) + b"\n")
    changed = [o for o in report.outputs if o.new or o.updated or o.removed or o.written]
    if settings.dry_run or changed or outcome.failure:
        # Not when nothing is new: a nightly run would repeat what is long known.
        for alarm in outcome.alarms:
            screen.warn(alarm)
    elif report.plays.emitted:
        places = ", ".join(dict.fromkeys(output.target for output in report.outputs))
        read = many(report.plays.read, "play")
        screen.note(f"Nothing new: {read} read, {places} is up to date.")
        return
    if not as_json:
        screen.summary(report)
    if settings.dry_run:
        screen.changes(report)
    else:
        screen.outputs(report, outcome.deliveries)


def _show_items(outcome: Outcome, settings: Settings, screen: Screen) -> None:
    """The items of a dry run; the first sink's: the others' would be the same plays again."""
    as_table = settings.format == "table" or (settings.format is None and sys.stdout.isatty())
    for delivery in outcome.deliveries:
        if delivery.sink != outcome.deliveries[0].sink:
            continue
        if as_table:
            screen.dry_run(delivery)
        else:
            sys.stdout.buffer.writelines(lines(delivery.records))
    sys.stdout.flush()


def _summary(report: Report) -> Summary:
    values = {name: getattr(report, name) for name in Summary.__struct_fields__}
    return Summary(**values)


def _check_stdout(settings: Settings, targets: Sequence[Target], *, as_json: bool) -> None:
    """Standard output carries records, or the summary, or nothing; never two of them."""
    taken = settings.dry_run or any(prepare.writes_to_stdout(t.name, t.out) for t in targets)
    wanted = [
        name
        for name, is_wanted in (("--json", as_json), ("--report -", settings.report == Path("-")))
        if is_wanted
    ]
    if len(wanted) + taken > 1:
        raise ConfigurationError(
            f"{' and '.join([*wanted, *(['the items'] if taken else [])])} cannot all go to "
            "standard output.",
            hint="Use --report FILE for the summary"
            + ("." if settings.dry_run else ", or --out FILE for the items."),
        )
