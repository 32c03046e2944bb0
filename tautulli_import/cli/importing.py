"""What ``api`` and ``db`` do, step by step: settings, source, job, output, exit code."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import msgspec

from ..checkpoint.journal import About, Journal
from ..checkpoint.runs import RunLog
from ..checkpoint.state import StateFile, database_source, state_file
from ..client.address import parse_address
from ..console import Screen
from ..errors import ConfigurationError
from ..job import Job, Outcome, Target, run
from ..report import Report, Summary, many
from ..resume import Ledger
from ..settings import Settings
from ..sinks.base import SinkOptions, make_sink, sink_class
from ..sinks.files import identity, shown, write_whole
from ..sinks.jsonl import lines
from ..sources.base import Source
from ..stopping import Stopped
from . import prepare
from .holding import Held, holding
from .line import typed_again
from .opening import Command, Watchers, opened

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
    if command == "db":
        prepare.check_databases(settings)
    line = typed_again(sys.argv[1:], settings)
    with ExitStack() as stack:
        stack.enter_context(_goes_on_with(line))
        corrections = prepare.corrections(settings)
        began = time.perf_counter()
        remembered = _Remembered(command, settings, targets)
        begun = None
        if not settings.dry_run:
            places = [place for place in remembered.places.values() if place]
            held = stack.enter_context(
                holding(remembered.path, places, screen, wait=settings.wait, line=line)
            )
            begun = partial(_begin, remembered, held, line)
        found = stack.enter_context(
            opened(
                command,
                loaded,
                screen,
                now=now,
                restart=restart,
                state_of=remembered.folder,
                begun=begun,
            )
        )
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
        ledger = remembered.ledger(found.state, source, job, now=now, restart=restart)
        journal = ledger.journal if ledger and not settings.dry_run else None
        prepare.announce(source, settings, screen, journal)
        for notice in found.state.notices if found.state and command == "db" else ():
            screen.note(notice)
        for rule in source.rules():
            screen.detail(
                f"Watched means {rule.movie_percent} % of a film and {rule.tv_percent} % of an "
                f"episode, marker mode {rule.marker} ({rule.origin})."
            )
        with screen.progress() as bar:
            outcome = run(
                source,
                job,
                stdout=sys.stdout.buffer,
                now=now,
                observer=Watchers(bar, found.log),
                began=began,
                ledger=ledger,
            )
        for notice in ledger.notices if ledger else ():
            screen.note(notice)
        _show(outcome, settings, screen, as_json=as_json)
        if outcome.failure is not None:
            raise outcome.failure
        prepare.judge_rejected(outcome.report.plays.rejected, source, settings)
        if found.log:
            found.log.ended(_in_a_sentence(outcome.report))


class _Remembered:
    """What a job is called in the state file, and where that is."""

    def __init__(self, command: Command, settings: Settings, targets: Sequence[Target]) -> None:
        self._command = command
        self._settings = settings
        is_piped = command == "db" and Path("-") in settings.database
        self.folder = None if is_piped else settings.state_folder
        self.places = {target.name: _place(target) for target in targets}
        self.sinks = tuple(
            f"{name}={shown(Path(os.path.realpath(place))) if place else '-'}"
            for name, place in self.places.items()
        )
        self.source = ""
        if command == "api" and settings.url:
            self.source = parse_address(settings.url).base
        elif command == "db" and settings.database and self.folder:
            self.source = database_source(settings.database)
        self.path = state_file(self.folder, self.source) if self.folder and self.source else None
        if settings.dry_run and command == "db" and not (self.path and self.path.exists()):
            self.folder = None  # nothing to be looked up, and nothing may be written

    def ledger(
        self, state: StateFile | None, source: Source, job: Job, *, now: int, restart: bool
    ) -> Ledger | None:
        """The checkpoint of this job; ``None`` where nothing is remembered."""
        settings = self._settings
        if state is None or state.path is None:
            return None
        if any(_is_relative(when) for when in (settings.since, settings.until)):
            return None  # "30d" means other plays tomorrow
        selection = msgspec.to_builtins(job.selection)
        selection = {
            name: sorted(value) if isinstance(value, list) else value
            for name, value in selection.items()
        }
        about = About(
            source=self.source,
            command=self._command if settings.via == "history" else f"{self._command} via file",
            sinks=self.sinks,
            selection=selection,
            options={"rewatches": settings.rewatches, "each_user": settings.each_user},
        )
        journal = Journal(state, about, writes=not settings.dry_run)
        return Ledger(journal, source, now=now, restart=restart)


def _begin(remembered: _Remembered, held: Held, line: str, state: StateFile) -> RunLog:
    log = RunLog(state, line, remembered.source, remembered.sinks)
    held.note(log.holder)
    return log


@contextmanager
def _goes_on_with(line: str) -> Iterator[None]:
    """Whoever is stopped is told the command that goes on."""
    try:
        yield
    except Stopped as stopped:
        stopped.line = line
        raise


def _place(target: Target) -> Path | None:
    """What the target's sink is going to write."""
    options = SinkOptions(out=target.out, stdout=sys.stdout.buffer, now=0)
    return make_sink(sink_class(target.name), target.name, options).place()


def _is_relative(when: str | None) -> bool:
    return when is not None and when.strip().lower().endswith("d")


def _in_a_sentence(report: Report) -> str:
    items = report.items
    if not (items.new or items.updated):
        return f"nothing new among {many(report.plays.read, 'play')}"
    return f"{items.new:,} new and {items.updated:,} updated of {many(report.plays.read, 'play')}"


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
