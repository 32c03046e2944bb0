"""Run ``api`` and ``db``: settings, source, job, output, exit code."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ..errors import (
    ConfigurationError,
    DamagedHistoryError,
    SinkError,
    TautulliImportError,
)
from ..events.build import Naming
from ..files import identity, refuse_other_kind, write_whole
from ..formatting import many, shown
from ..ids.corrections import Correction
from ..imports.figures import SeenRows
from ..imports.job import REPORT_MARK, Job, Target, check_targets
from ..imports.locking import hold_locks
from ..imports.report import Report, Summary
from ..imports.run import ImportResult, run
from ..interrupts import Stopped
from ..progress import ProgressGroup
from ..settings.fields import Settings
from ..settings.loaded import Loaded
from ..sinks.base import StreamSink
from ..sources.database.source import Source
from ..state.file import StateFile
from . import inputs
from .console import Screen
from .dry_run import Shower, prints_items, show_items
from .formatting import print_json
from .jobs import RememberedJobs, begin_log, record_early_failure, wish_of
from .judging import judge_rejected
from .outcome import show_outcome
from .page import check_page, chosen_users, write_page
from .redact import typed_again
from .results import keep_result
from .session import Command, Record, Request, open_session
from .targets import RunOptions, targets
from .whose import announce_leftovers, ask_whose, choose_whose

if TYPE_CHECKING:
    from .bar import Bar

__all__ = ["import_history"]


def import_history(
    command: Command,
    flags: Mapping[str, object],
    *,
    as_json: bool,
    restart: bool = False,
    replace: bool = False,
    drop_synced: bool = False,
) -> None:
    """Run ``tautulli-import api`` or ``db``.

    Raises:
        TautulliImportError: the import failed; see ``errors``.
    """
    loaded = inputs.settings_from(flags)
    settings = loaded.settings
    now = int(time.time())
    inputs.check_no_address(settings, "tautulli-import api")
    screen = Screen(quiet=settings.quiet, verbose=settings.verbose, color=settings.color)
    line = typed_again(sys.argv[1:], settings)
    with ExitStack() as stack:
        stack.enter_context(screen.hold_warnings())
        outputs = targets(loaded, screen, RunOptions(restart, replace, drop_synced), now=now)
        streams = [isinstance(target.sink, StreamSink) for target in outputs]
        _check_files(command, loaded, outputs, as_json=as_json, replace=replace)
        stack.enter_context(_offer_to_go_on(line))
        corrections = _corrections(settings, screen)
        began = time.perf_counter()
        remembered = RememberedJobs(command, settings, outputs)
        begin = None
        if not settings.dry_run:
            places = [place for place in remembered.places.values() if place]
            held = stack.enter_context(
                hold_locks(remembered.path, places, screen.note, wait=settings.wait, line=line)
            )
            begin = partial(begin_log, remembered, held, line)
            stack.enter_context(record_early_failure(remembered, held, line))
        taken = _check_outputs(settings, outputs, replace=replace)
        session = stack.enter_context(
            open_session(
                command,
                loaded,
                screen,
                Request(ids=not all(streams), outputs=True, restart=restart),
                now=now,
                record=Record(remembered.folder, begin),
                choose=lambda state, users: ask_whose(
                    settings, outputs, remembered.outputs(state), screen, users
                ),
            )
        )
        source = session.source
        is_shown = streams[0] and prints_items(settings, as_json=as_json)
        shower = Shower(settings, screen) if is_shown else None
        known = remembered.outputs(session.state)
        screen.release_warnings(known.warnings() if known and not settings.dry_run else ())
        _describe_source(source, screen)
        settings, reason = choose_whose(
            session.settings, source, outputs, known, screen, replace=replace
        )
        began += screen.asked_seconds
        selection = inputs.selection(settings, source, now=now)
        job = Job(
            command=command,
            targets=outputs,
            selection=selection,
            corrections=corrections,
            dry_run=settings.dry_run,
            each_user=settings.each_user,
            report=settings.report,
            seen=SeenRows(selection.users) if settings.page else None,
            taken=taken,
            plex=session.plex,
            asked=session.asked,
            naming=Naming(settings.event_source, settings.server_id),
            tee=shower,
            wish=wish_of(settings, selection, replace=replace),
            announce=partial(announce_leftovers, screen=screen, dry_run=settings.dry_run),
        )
        memory = remembered.memory(session.state, source, job, restart=restart)
        if replace and memory.outputs is None and not settings.dry_run:
            raise _nowhere_to_copy(session.state)
        for notice in session.state.notices if session.state and command == "db" else ():
            screen.note(notice)
        with _progress(screen, outputs, shower) as bar:
            outcome = run(
                source, job, memory, progress=ProgressGroup(bar, session.log), began=began
            )
        page = partial(
            write_page,
            outcome.figures,
            settings,
            command,
            "dry run" if settings.dry_run else "import",
            now=now,
            users=chosen_users(source, selection),
            is_failed=outcome.failure is not None,
        )
        written, unwritten = _write_files(outcome, settings, page)
        failures = [*filter(None, [_failure_of(outcome, source, settings, screen)]), *unwritten]
        _print_errors(failures, screen)
        _print_results(outcome, settings, screen, shower, as_json=as_json)
        show_outcome(
            outcome, settings, screen, known, reason=reason, written=written, as_json=as_json
        )
        if failures:
            raise failures[0]
        if session.log:
            session.log.ended(_in_a_sentence(outcome.report))


def _corrections(settings: Settings, screen: Screen) -> Sequence[Correction]:
    """Return the corrections of ``--ids``. A file that nobody has filled in yet is a mistake."""
    found = inputs.corrections(settings)
    if settings.ids and not found:
        screen.warn(f"No line of {shown(settings.ids)} has an id, so the file changes nothing.")
    return found


def _progress(
    screen: Screen, outputs: Sequence[Target], shower: Shower | None
) -> AbstractContextManager[Bar | None]:
    """Show progress while nothing else is printed on standard output.

    Events are printed while they are read. A pipe may end on the same terminal.
    """
    on_stdout = [target.sink for target in outputs if target.sink.is_on_stdout]
    hidden = any(isinstance(sink, StreamSink) for sink in on_stdout)
    hidden = hidden or (shower is not None and not shower.as_table)
    return screen.progress(hidden=hidden, shows_writing=not on_stdout)


def _describe_source(source: Source, screen: Screen) -> None:
    """Print how the source is read, and with ``verbose`` its thresholds."""
    for notice in source.notices:
        screen.note(notice)
    for rule in source.rules():
        screen.detail(
            f"Watched means {rule.movie_percent} % of a film and {rule.tv_percent} % of an "
            f"episode, marker mode {rule.marker} ({rule.origin})."
        )


def _check_files(
    command: Command, loaded: Loaded, outputs: Sequence[Target], *, as_json: bool, replace: bool
) -> None:
    """Check standard output, that the databases exist, and the places of the report and the page.

    Raises:
        ConfigurationError: plays that a damaged database has lost would be taken back.
        TautulliImportError: see ``_check_stdout`` and the errors of ``inputs``.
    """
    settings = loaded.settings
    _check_stdout(loaded, outputs, as_json=as_json)
    if command == "db" and replace and settings.salvage:
        raise ConfigurationError(
            "--replace and --salvage cannot be used together. --replace would remove the plays "
            "that a damaged database has lost.",
            hint="Use --salvage without --replace, or read a whole backup with --replace.",
        )
    inputs.check_report_path(settings.report)
    inputs.check_not_read(settings, "--report", settings.report)
    has_items = not all(isinstance(target.sink, StreamSink) for target in outputs)
    check_page(settings, settings.report, "--report", has_items=has_items)
    if command == "db":
        inputs.check_databases(settings)


def _check_outputs(
    settings: Settings, outputs: Sequence[Target], *, replace: bool
) -> Mapping[object, str]:
    """Check the outputs, and return the files that none of them may write, by identity.

    Raises:
        TautulliImportError: an output cannot be written; see ``check_targets``.
    """
    taken = _taken(settings)
    check_targets(
        outputs,
        taken,
        each_user=settings.each_user,
        dry_run=settings.dry_run,
        replace=replace,
        report=settings.report,
    )
    return taken


def _nowhere_to_copy(state: StateFile | None) -> TautulliImportError:
    """Return the error to raise when ``--replace`` could keep no copy of the output."""
    if state is not None:
        return SinkError(
            f"--replace keeps a copy of the output. {' '.join(state.notices)}",
            hint="Nothing was changed. Make room, or choose another directory with --state-dir.",
        )
    return ConfigurationError(
        "--replace keeps a copy of the output with the saved state, and there is no saved state "
        "for a database from standard input.",
        hint="Name the file of the database.",
    )


@contextmanager
def _offer_to_go_on(line: str) -> Iterator[None]:
    """Add to a stop the command that resumes the import, and to damage the one that salvages."""
    try:
        yield
    except Stopped as stopped:
        stopped.line = line
        raise
    except DamagedHistoryError as error:
        if error.more:
            error.hint += f" The command: {line} {shlex.join(error.more)}"
        raise


def _in_a_sentence(report: Report) -> str:
    items, read = report.items, many(report.plays.read, "play")
    removed = sum(output.removed for output in report.outputs)
    said = f", and {removed:,} removed from the output" if removed else ""
    if not (items.new or items.updated):
        return f"nothing new among {read}{said}"
    return f"{items.new:,} new and {items.updated:,} updated of {read}{said}"


def _taken(settings: Settings) -> Mapping[object, str]:
    """Return the files that no sink may write, by identity."""
    taken = dict(inputs.files_read(settings))
    if settings.report is not None and settings.report != Path("-"):
        taken[identity(settings.report)] = "the file of --report"
    if settings.page is not None:
        taken[identity(settings.page)] = "the file of --page"
    return taken


def _print_errors(errors: Sequence[TautulliImportError], screen: Screen) -> None:
    for error in errors:
        screen.error(error)
        error.was_printed = True


def _write_files(
    outcome: ImportResult, settings: Settings, write_page: Callable[[], None]
) -> tuple[Sequence[Path], Sequence[SinkError]]:
    """Write the page and the report. Return those that were written, and the errors of others.

    The outputs are finished before, so an error must not hide what became of them.
    """

    def write_report() -> None:
        if settings.report is not None:
            # An output can have written a further file by that name.
            refuse_other_kind(settings.report, REPORT_MARK, "a report", "--report")
            text = msgspec.json.encode(outcome.report) + b"\n"
            write_whole(settings.report, [text], option="--report")

    written: list[Path] = []
    errors: list[SinkError] = []
    files = (("--report", settings.report, write_report), ("--page", settings.page, write_page))
    for option, path, write in files:
        if path is None or path == Path("-"):
            continue
        try:
            write()
            written.append(path)
        except SinkError as error:
            error.hint = f"The outputs are not affected. Choose another file with {option}."
            errors.append(error)
    return written, errors


def _print_results(
    outcome: ImportResult,
    settings: Settings,
    screen: Screen,
    shower: Shower | None,
    *,
    as_json: bool,
) -> None:
    """Print on standard output what belongs there."""
    if settings.report == Path("-"):
        print_json(outcome.report)
    if as_json:
        keep_result(_summary(outcome.report))
    if shower:
        shower.show()
    elif prints_items(settings, as_json=as_json):
        show_items(outcome, settings, screen)
    elif settings.dry_run:
        what = "events" if settings.events else "items"
        option = "--json" if as_json else "--report -"
        screen.note(f"The {what} are not printed, because standard output is for {option}.")


def _failure_of(
    outcome: ImportResult, source: Source, settings: Settings, screen: Screen
) -> TautulliImportError | None:
    """Return the error of a finished run: of a sink, or of rows that could not be used."""
    damaged = outcome.report.damaged
    are_events = any(one.events is not None for one in outcome.deliveries)
    try:
        judge_rejected(outcome.rejected, source, settings, screen, damaged, are_events=are_events)
    except TautulliImportError as error:
        if outcome.failure is None:
            return error
        screen.warn(str(error))
    return outcome.failure


def _summary(report: Report) -> Summary:
    values = {name: getattr(report, name) for name in Summary.__struct_fields__}
    return Summary(**values)


def _check_stdout(loaded: Loaded, outputs: Sequence[Target], *, as_json: bool) -> None:
    """Refuse to print both records and the summary on standard output.

    In a dry run the summary takes the place of the records, unless they were asked for.

    Raises:
        ConfigurationError: more than one of them would go there.
    """
    settings = loaded.settings
    what = "the events" if settings.events else "the items"
    wanted = [
        name
        for name, is_wanted in (
            ("--json", as_json),
            ("--report -", settings.report == Path("-")),
            ("--format", settings.dry_run and loaded.origins["format"] == "option"),
            (what, not settings.dry_run and any(target.sink.is_on_stdout for target in outputs)),
        )
        if is_wanted
    ]
    if len(wanted) > 1:
        raise ConfigurationError(
            f"Only one of {' and '.join(wanted)} can go to standard output.",
            hint="Use --report FILE for the summary"
            + ("." if settings.dry_run else f", or --out FILE for {what}."),
        )
