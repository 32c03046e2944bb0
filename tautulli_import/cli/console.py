"""Print messages, tables and progress for a person. Only this module imports rich.

Titles are data and may contain anything. No markup is read from them. What a terminal would
execute (escapes, bells, carriage returns, reversed text) is printed as a question mark.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, TextIO

from rich.cells import cell_len
from rich.console import Console, JustifyMethod
from rich.live import Live
from rich.padding import Padding
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress as Bars,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from ..errors import TautulliImportError
from ..formatting import harmless, many
from ..imports.report import Delivery, Report
from ..model.items import Record
from ..model.rejections import Reason
from ..progress import UNITS, Phase
from ..sources.base import Library, User
from .formatting import SHOWN, EventsSeen, changes_of, names_of, option_for, years_of

__all__ = ["Screen"]

_BAR: Final = 30
_LABELS: Final[Mapping[Phase, str]] = {
    "downloading": "Downloading, MB",
    "reading": "Reading plays",
    "asking for ids": "Asking Tautulli for ids",
    "consuming": "Reading messages",
}
_STEPS: Final[Mapping[Phase, int]] = {"reading": 5_000, "consuming": 5_000}
"""The phases that show a rate, and the number of plays or messages between two updates."""
_UNCUT: Final = 1_000_000
_DAY: Final = 10


def harmless_lines(lines: Iterable[str]) -> str:
    """Join lines, and make each harmless to a terminal."""
    return "\n".join(harmless(line) for line in lines)


class Screen:
    """Prints messages on standard error, and tables on standard output."""

    def __init__(
        self,
        *,
        quiet: bool = False,
        verbose: bool = False,
        color: bool = True,
        err: TextIO | None = None,
        out: TextIO | None = None,
    ) -> None:
        self.quiet = quiet
        self.verbose = verbose
        self._err = _console(err or sys.stderr, color=color)
        self._out = _console(out or sys.stdout, color=color)

    def note(self, text: str) -> None:
        """Print a message, unless ``quiet``."""
        if not self.quiet:
            self._err.print(Text(harmless(text)))

    def detail(self, text: str) -> None:
        """Print a message if ``verbose``."""
        if self.verbose and not self.quiet:
            self._err.print(Text(harmless(text), style="dim"))

    def warn(self, text: str) -> None:
        """Print a warning, also if ``quiet``."""
        self._err.print(Text("Warning: ", style="yellow bold") + Text(harmless(text), style=""))

    @property
    def can_ask(self) -> bool:
        """Return true if a person can read a question and answer it."""
        is_heard = sys.stdin is not None and sys.stdin.isatty()
        return is_heard and self._err.is_terminal and not self.quiet

    def ask(self, question: str) -> str | None:
        """Print a question, and return the answer; ``None`` at the end of the input."""
        self._err.print(Text(harmless(question)), end="")
        return sys.stdin.readline() or None

    def ask_secret(self, question: str) -> str:
        """Print a question, and return the answer, which is not shown."""
        from getpass import getpass

        return getpass(harmless(question), sys.stderr)

    def choices(self, rows: Iterable[tuple[str, ...]]) -> None:
        """Print the possible answers to a question."""
        table = Table(box=None, show_header=False)
        for row in rows:
            _row(table, *row)
        self._err.print(table)

    def page(self, text: str) -> None:
        """Print a page of the manual on standard output: formatted on a terminal, else as it is."""
        if self._out.is_terminal:
            from rich.markdown import Markdown

            self._out.print(Markdown(text))
        else:
            sys.stdout.write(text)

    def error(self, error: TautulliImportError) -> None:
        """Print an error and its hint."""
        self._err.print(Text("Error: ", style="red bold") + Text(harmless(str(error)), style=""))
        if error.hint:
            self._err.print(Text("  " + harmless(error.hint)))

    @contextmanager
    def progress(self, *, hidden: bool = False) -> Iterator[Bar | None]:
        """Show a progress bar on a terminal, unless ``hidden`` or ``quiet``."""
        if self.quiet or hidden or not self._err.is_terminal:
            yield None
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
        )
        with Bars(*columns, console=self._err, transient=True) as bars:
            yield Bar(bars)

    @contextmanager
    def live(self) -> Iterator[Callable[[Sequence[str]], None]]:
        """Print lines on standard output that replace the lines before them."""
        with Live(console=self._out, auto_refresh=False) as live:
            yield lambda lines: live.update(Text(harmless_lines(lines)), refresh=True)

    def listing(self, rows: Sequence[User] | Sequence[Library]) -> None:
        """Print a table of users or of libraries on standard output."""
        if any(isinstance(row, Library) for row in rows):
            table = _table("Id", "Name", "Type", "Plays", "")
        else:
            table = _table("Id", "Username", "Friendly name", "Plays", "")
        for row in rows:
            if isinstance(row, User):
                number = "" if row.user_id is None else str(row.user_id)
                gone = "no longer known to Tautulli" if row.deleted else ""
                note = gone if number else "plays without a user id"
                _row(table, number, row.username, row.friendly_name, f"{row.plays:,}", note)
            else:
                gone = "deleted" if row.deleted else ""
                _row(table, row.section_id, row.name, row.section_type, f"{row.plays:,}", gone)
        self._out.print(table)

    def paragraph(self, text: str, *, indent: int = 0, bold: bool = False) -> None:
        """Print a text on standard output, on a terminal wrapped and indented."""
        lines = Text(harmless(text), style="bold" if bold else "", overflow="fold")
        self._out.print(Padding.indent(lines, indent))

    def facts(self, rows: Iterable[tuple[str, str]], *, indent: int = 0) -> None:
        """Print names and values on standard output. Nothing is cut."""
        pairs = list(rows)
        width = max((cell_len(name) for name, _ in pairs), default=0)
        for pair in pairs:
            table = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
            table.add_column(width=width)
            table.add_column(overflow="fold")
            _row(table, *pair)
            self._out.print(Padding.indent(table, indent))

    def entries(
        self, headings: Sequence[str], rows: Iterable[tuple[Sequence[str], Sequence[str]]]
    ) -> None:
        """Print a table on standard output with paragraphs below each row. Nothing is cut.

        The first column is as wide as it may be, the others as wide as their headings or a day.
        """
        entries = list(rows)
        width = max((cell_len(cells[0]) for cells, _ in entries), default=0)
        widths = [max(len(heading), _DAY if "play" in heading else 0) for heading in headings[1:]]
        others = sum(widths) + 2 * len(widths)
        width = max(len(headings[0]), min(width, self._out.width - others))

        def line(cells: Sequence[str], style: str = "") -> None:
            table = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
            table.add_column(width=width, overflow="fold")
            for heading, least in zip(headings[1:], widths, strict=True):
                justify: JustifyMethod = "right" if heading == "Plays" else "left"
                table.add_column(width=least, justify=justify)
            table.add_row(*(Text(harmless(cell)) for cell in cells), style=style)
            self._out.print(table)

        line(headings, "bold")
        for cells, paragraphs in entries:
            line(cells)
            for text in paragraphs:
                self.paragraph(text, indent=2)

    def pairs(self, rows: Iterable[tuple[str, ...]], *headings: str) -> None:
        """Print a plain table on standard output."""
        table = _table(*headings) if headings else Table(box=None, show_header=False)
        for row in rows:
            _row(table, *row)
        self._out.print(table)

    def dry_run(self, records: Sequence[Record], user: str | None) -> None:
        """Print what an import would write: counts per year, and the newest items."""
        owner = f" of {harmless(user)}" if user else ""
        self._out.print(Text(f"{many(len(records), 'item')}{owner}", style="bold"))
        if not records:
            return
        self._out.print(_per_year(years_of(records)))
        newest = list(reversed(records[-SHOWN:]))
        table = Table(box=None, pad_edge=False, header_style="bold", expand=self._out.is_terminal)
        for heading in ("Watched (UTC)", "Title", "", "Year", "Key"):
            # On a narrow terminal only the title is shortened.
            ratio = 1 if heading == "Title" else None
            table.add_column(heading, no_wrap=True, overflow="ellipsis", ratio=ratio)
        for record in newest:
            title, numbers = names_of(record)
            when = record.item.watched_at.replace("T", " ").removesuffix("Z")[:16]
            _row(table, when, title, numbers, record.item.year or "", record.key)
        self._out.print(table)
        if len(records) > len(newest):
            self._out.print(
                Text(f"… and {len(records) - len(newest):,} older ones: --format jsonl lists all.")
            )

    def events(self, seen: EventsSeen) -> None:
        """Print which events there would be: counts per year, and the newest events."""
        self._out.print(Text(many(seen.count, "event"), style="bold"))
        if not seen.count:
            return
        self._out.print(_per_year(seen.years))
        table = Table(box=None, pad_edge=False, header_style="bold", expand=self._out.is_terminal)
        for heading in ("Started (UTC)", "User", "", "Title", "Done"):
            ratio = 1 if heading == "Title" else None
            table.add_column(heading, no_wrap=True, overflow="ellipsis", ratio=ratio)
        for event in reversed(seen.newest):
            when = event.started_at.replace("T", " ")[:16]
            title = ": ".join(filter(None, (event.grandparent_title, event.title)))
            done = "" if event.percent_complete is None else f"{event.percent_complete} %"
            _row(table, when, event.friendly_name or "", event.media_type, title, done)
        self._out.print(table)
        if seen.count > len(seen.newest):
            more = seen.count - len(seen.newest)
            self._out.print(Text(f"… and {more:,} others: --format jsonl lists all."))

    def changes(self, report: Report) -> None:
        """Print what an import would change in each target."""
        for output in report.outputs:
            owner = f", {output.user}" if output.user else ""
            self.note(
                f"Would change in {output.sink}{owner} ({output.target}): {changes_of(output)}"
            )

    def summary(self, report: Report) -> None:
        """Print the counts of a run."""
        plays = report.plays
        of_events = report.view == "events"
        done = "would be imported" if report.dry_run else "imported"
        merged = "" if of_events else f"{plays.merged:,} merged into newer ones, "
        self.note(
            f"{many(plays.read, 'play')} read: {plays.emitted:,} {done}, {merged}"
            f"{sum(plays.filtered.values()):,} left out, "
            f"{sum(plays.rejected.values()):,} rejected."
        )
        for name, count in plays.filtered.items():
            self.note(f"  left out  {count:>9,}  {Reason(name).sentence}{option_for(name)}")
        for name, count in plays.rejected.items():
            self.note(f"  rejected  {count:>9,}  {Reason(name).sentence}")
        if plays.rejected and not report.rejected_rows:
            self.note("  --report FILE lists every rejected row.")
        items = report.items
        per_viewing = plays.emitted and report.view == "viewings"
        glue = ", " if of_events else " and "
        kinds = f"{many(items.movies, 'film')}{glue}{many(items.episodes, 'episode')}"
        if of_events:
            kinds += f" and {many(items.tracks, 'track')}, watched or not: an event for every play"
        if plays.emitted or not of_events:
            self.note(f"{kinds}, every viewing counted." if per_viewing else f"{kinds}.")
        if items.without_external_id:
            self.note(
                f"  {items.without_external_id:,} have no external id and keep their number in "
                "Plex. Add ids with --ids FILE."
            )
        for name, count in items.ids_from.items():
            if count:
                self.detail(f"  ids from {name}: {count:,}")
        self.detail(f"  {report.elapsed_seconds} s, {report.plays_per_second:,} plays/s")

    def outputs(self, report: Report, deliveries: Sequence[Delivery]) -> None:
        """Print what was written where, and the next steps in CrossWatch."""
        for output, delivery in zip(report.outputs, deliveries, strict=True):
            owner = f" ({output.user})" if output.user else ""
            if output.written:
                self.note(f"{output.sink}{owner}: {changes_of(output)}")
                for path in output.written:
                    self.note(f"  wrote {path}")
                for path in output.copies:
                    self.note(f"  kept what was there in {path}")
            elif not delivery.is_on_stdout:
                self.note(f"{output.sink}{owner}: nothing new in {output.target}.")
        sinks: set[str] = set()
        steps: dict[str, None] = {}
        for delivery in deliveries:
            if delivery.receipt.written and delivery.sink not in sinks:
                sinks.add(delivery.sink)  # with one output per user, the first is an example
                steps |= dict.fromkeys(delivery.receipt.next_steps)
        if steps:
            self.note("Next:")
        for step in steps:
            self.note(f"  {step}")


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Raise the error of a closed pipe. rich itself would exit with code 1."""
        raise BrokenPipeError


def _console(file: TextIO, *, color: bool) -> Console:
    """Return a console that prints text as it is. Only a terminal limits its width."""
    return _Console(
        file=file,
        no_color=None if color else True,
        width=None if file.isatty() else _UNCUT,
        soft_wrap=not file.isatty(),
        markup=False,
        highlight=False,
        emoji=False,
    )


class Bar:
    """Shows the progress of a run as a bar, with its speed and the time that remains."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._task: TaskID | None = None
        self._phase: Phase = "reading"
        self._done = 0
        self._shown = 0

    def begin(self, phase: Phase, total: int, done: int = 0) -> None:
        """Show a bar for this phase in place of the one before."""
        if phase == "writing":  # items may be printed on the same terminal
            self._bars.stop()
            return
        if self._task is not None:
            self._bars.update(self._task, visible=False)
        self._phase = phase
        self._done = self._shown = done
        self._task = self._bars.add_task(
            _LABELS[phase], total=total or None, completed=done, rate=""
        )

    def reached(self, done: int) -> None:
        """Set how much is done. Not every page of a few hundred plays updates the bar."""
        self._done = done
        if done - self._shown >= _STEPS.get(self._phase, 0):
            self.idle()

    def idle(self) -> None:
        """Show everything that is done."""
        if self._task is None:
            return
        self._bars.update(self._task, completed=self._done)
        self._shown = self._done
        speed = self._bars.tasks[-1].speed
        if speed and self._phase in _STEPS:
            self._bars.update(self._task, rate=f"{speed:,.0f} {UNITS[self._phase]}/s")


_KINDS: Final = {
    "movie": ("Films", "cyan"),
    "episode": ("Episodes", "magenta"),
    "track": ("Tracks", "green"),
}


def _per_year(counts: Mapping[tuple[str, str], int]) -> Table:
    """Return a table with a row per year, and a column and a colour per kind of item."""
    kinds = [kind for kind in _KINDS if kind != "track" or any(k == kind for _, k in counts)]
    years = sorted({year for year, _ in counts})
    most = max(sum(counts.get((year, kind), 0) for kind in kinds) for year in years)
    table = _table("Year", *(_KINDS[kind][0] for kind in kinds), "")
    for year in years:
        numbers = [(kind, counts.get((year, kind), 0)) for kind in kinds]
        bars = [
            Text("█" * _length(number, most), style=_KINDS[kind][1]) for kind, number in numbers
        ]
        cells = [Text(f"{number:,}", justify="right") for _, number in numbers]
        table.add_row(Text(year), *cells, Text("").join(bars))
    return table


def _length(count: int, most: int) -> int:
    return max(1, round(count / most * _BAR)) if count else 0


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        numeric = heading in ("Plays", "Films", "Episodes", "Tracks", "Rows")
        table.add_column(
            heading, justify="right" if numeric else "left", overflow="ellipsis", no_wrap=True
        )
    return table


def _row(table: Table, *cells: object) -> None:
    table.add_row(*(Text(harmless(str(cell))) for cell in cells))
