"""Print messages, tables and progress for a person.

Only this module, ``bar`` and ``terminal`` import rich.

Titles are data and may contain anything. No markup is read from them. What a terminal would
execute (escapes, bells, carriage returns, reversed text) is printed as a question mark.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TextIO

from rich.cells import cell_len
from rich.console import JustifyMethod
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..errors import TautulliImportError
from ..formatting import harmless, many
from ..interrupts import Stopped
from ..model.items import Record
from ..sources.base import Library, User
from .formatting import SHOWN, EventsSeen, names_of, years_of
from .hiding import without_secrets
from .terminal import console_of, hanging

if TYPE_CHECKING:
    from .bar import Bar

__all__ = ["Screen"]

_BAR: Final = 30
_AFTERWARDS: Final = 10
"""The rows of a terminal that a dry run needs below its table."""
_ROOMY: Final = 100
"""The columns of a terminal on which titles seldom need shortening."""
_WIDE: Final = 78
"""The columns of a terminal that has room for a bar, its numbers and its speed."""
_LEVELS: Final = " ▁▂▃▄▅▆▇█"
_ASCII_LEVELS: Final = " .:-=+*#@"
_DAY: Final = 10
_NUMERIC: Final = ("Plays", "Films", "Episodes", "Tracks")


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
        self._err = console_of(err or sys.stderr, color=color)
        self._out = console_of(out or sys.stdout, color=color)
        self._bar: Bar | None = None
        if self._err.is_terminal and not quiet:
            from .bar import Bar

            self._bar = Bar(self._err)
        self.warnings: list[str] = []
        """All warnings of this run."""
        self.asked_seconds = 0.0
        """The time that a person took to answer questions."""
        self._waits = False
        self._known: Collection[str] = ()

    def note(self, text: str) -> None:
        """Print a message, unless ``quiet``."""
        if not self.quiet:
            self._print(text)

    def detail(self, text: str) -> None:
        """Print a message if ``verbose``."""
        if self.verbose and not self.quiet:
            self._print(text, style="dim")

    def warn(self, text: str) -> None:
        """Print a warning, also if ``quiet``, except one that an earlier run has printed."""
        self.warnings.append(text)
        if not self._waits and text not in self._known:
            line = Text("Warning: ", style="yellow bold") + Text(harmless(text), style="")
            self._err.print(line)

    @contextmanager
    def hold_warnings(self) -> Iterator[None]:
        """Hold warnings back if ``quiet``, until it is known which ones an earlier run printed."""
        self._waits = self.quiet
        try:
            yield
        finally:
            self.release_warnings(())

    def release_warnings(self, known: Collection[str]) -> None:
        """Print the warnings that were held back, and if ``quiet`` none of the ``known`` ones."""
        if self._waits:
            self._waits, self._known = False, known
            held, self.warnings = self.warnings, []
            for text in held:
                self.warn(text)

    @property
    def is_read(self) -> bool:
        """Return true if messages go to a terminal, not into a log."""
        return self._err.is_terminal

    @property
    def can_ask(self) -> bool:
        """Return true if a person can read a question and answer it."""
        is_heard = sys.stdin is not None and sys.stdin.isatty()
        return is_heard and self._err.is_terminal and not self.quiet

    def ask(self, question: str) -> str | None:
        """Print a question, and return the answer; ``None`` at the end of the input."""
        is_terminal = sys.stdin.isatty()
        self._err.print(Text(harmless(question)), end="")
        began = time.perf_counter()
        try:
            answer = sys.stdin.readline()
            is_closed = not answer and is_terminal and not sys.stdin.isatty()
        except OSError:
            is_closed = True
        if is_closed:  # of a closed terminal Linux gives an error or the end, as it happens
            raise Stopped(signal.SIGHUP)
        self.asked_seconds += time.perf_counter() - began
        return answer or None

    def ask_secret(self, question: str) -> str | None:
        """Return the answer to a question, or ``None`` as ``ask``. The answer is not shown."""
        from getpass import getpass

        try:
            return getpass(harmless(question), sys.stderr)
        except EOFError:
            return None

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
        """Print an error and its hint. A server can quote what it was sent."""
        said = harmless(without_secrets(str(error)))
        self._err.print(Text("Error: ", style="red bold") + Text(said, style=""))
        if error.hint:
            self._print("  " + without_secrets(error.hint))
        for line in error.choices:
            self._print("    " + line)

    def _print(self, text: str, *, style: str = "") -> None:
        """Print a line. If a terminal wraps it, its parts stand below each other."""
        line = harmless(text)
        content = line.lstrip(" ")
        indent = len(line) - len(content)
        self._err.print(Padding.indent(hanging(content, style, self._err), indent))

    @contextmanager
    def progress(
        self, *, hidden: bool = False, shows_writing: bool = False
    ) -> Iterator[Bar | None]:
        """Show a progress bar for each phase on a terminal, unless ``hidden`` or ``quiet``.

        Without ``shows_writing`` the phase of writing has none, because it may print items.
        """
        if self._bar:
            self._bar.shows_writing = shows_writing
        try:
            yield None if hidden else self._bar
        finally:
            if self._bar:
                self._bar.end()

    @contextmanager
    def live(self) -> Iterator[Callable[[Sequence[str]], None]]:
        """Print lines on standard output that replace the lines before them."""
        from rich.live import Live

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

    def sparkline(self, counts: Sequence[int]) -> str:
        """Return one character for each number, as high as the number is."""
        levels = _ASCII_LEVELS if self._out.options.ascii_only else _LEVELS
        most = max(counts, default=0)
        return "".join(
            levels[-(-count * (len(levels) - 1) // most)] if count else levels[0]
            for count in counts
        )

    def paragraph(self, text: str, *, indent: int = 0, bold: bool = False) -> None:
        """Print a text on standard output, on a terminal wrapped and indented."""
        lines = Text(harmless(text), style="bold" if bold else "", overflow="fold")
        self._out.print(Padding.indent(lines, indent))

    def counted(self, count: int, what: str) -> None:
        """Print a number and what it counts on standard output, below a heading."""
        line = f"{count:>7,}  {what}"
        self._out.print(Padding.indent(hanging(line, "", self._out), 2))

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

        The first column is as wide as it may be, the others as wide as what is in them.
        """
        entries = list(rows)
        width = max((cell_len(cells[0]) for cells, _ in entries), default=0)
        columns = zip(headings, *(cells for cells, _ in entries), strict=True)
        widths = [max(map(cell_len, column)) for column in columns][1:]
        others = sum(widths) + 2 * len(headings)  # rich 13.7 also pads the last column
        width = max(len(headings[0]), min(width, self._out.width - others))

        def line(cells: Sequence[str], style: str = "") -> None:
            table = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
            table.add_column(width=width, overflow="fold")
            for heading, least in zip(headings[1:], widths, strict=True):
                justify: JustifyMethod = "right" if heading == "Plays" else "left"
                table.add_column(width=least, justify=justify, overflow="fold")
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
        self._out.print(self._per_year(years_of(records)))
        newest = list(reversed(records[-self._fitting :]))
        rows: list[tuple[object, ...]] = []
        for record in newest:
            title, numbers = names_of(record)
            when = record.item.watched_at.replace("T", " ").removesuffix("Z")
            rows.append((when, title, numbers, record.item.year or "", record.key))
        self._print_newest(("Watched (UTC)", "Title", "", "Year", "Key"), rows)
        if len(records) > len(newest):
            self._out.print(
                Text(f"… and {len(records) - len(newest):,} older ones: --format jsonl lists all.")
            )

    def events(self, seen: EventsSeen) -> None:
        """Print which events there would be: counts per year, and the newest events."""
        self._out.print(Text(many(seen.count, "event"), style="bold"))
        if not seen.count:
            return
        self._out.print(self._per_year(seen.years))
        rows: list[tuple[object, ...]] = []
        for event in list(reversed(seen.newest))[: self._fitting]:
            when = event.started_at.replace("T", " ")
            title = ": ".join(filter(None, (event.grandparent_title, event.title)))
            done = "" if event.percent_complete is None else f"{event.percent_complete} %"
            rows.append((when, title, event.media_type, done, event.friendly_name or ""))
        self._print_newest(("Started (UTC)", "Title", "", "Done", "User"), rows)
        if more := seen.count - len(rows):
            self._out.print(Text(f"… and {more:,} others: --format jsonl lists all."))

    @property
    def _fitting(self) -> int:
        """Return how many rows of a table fit on the screen with what comes after them."""
        fitting = max(5, self._out.height - _AFTERWARDS)
        return min(SHOWN, fitting) if self._out.is_terminal else SHOWN

    def _print_newest(self, headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Print a table of which only the title is shortened.

        A narrow terminal gets no time of day, and a very narrow one not the last column.
        """
        is_terminal = self._out.is_terminal
        is_narrow = is_terminal and self._out.width < _ROOMY
        count = len(headings) - (is_terminal and self._out.width < _WIDE)
        table = Table(box=None, pad_edge=False, header_style="bold", expand=is_terminal)
        for heading in headings[:count]:
            ratio = 1 if heading == "Title" else None
            table.add_column(heading, no_wrap=True, overflow="ellipsis", ratio=ratio)
        for when, *cells in rows:
            _row(table, str(when)[: _DAY if is_narrow else 16], *cells[: count - 1])
        self._out.print(table)

    def _per_year(self, counts: Mapping[tuple[str, str], int]) -> Table:
        """Return a table with a row per year, and a column and a colour per kind of item."""
        kinds = [kind for kind in _KINDS if kind != "track" or any(k == kind for _, k in counts)]
        block = "#" if self._out.options.ascii_only else "█"
        years = sorted({year for year, _ in counts})
        most = max(sum(counts.get((year, kind), 0) for kind in kinds) for year in years)
        table = _table("Year", *(_KINDS[kind][0] for kind in kinds), "")
        for year in years:
            numbers = [(kind, counts.get((year, kind), 0)) for kind in kinds]
            bar = Text()
            for kind, number in numbers:
                bar.append(block * _length(number, most), style=_KINDS[kind][1])
            cells = [Text(f"{number:,}", justify="right") for _, number in numbers]
            table.add_row(Text(year), *cells, bar)
        return table


_KINDS: Final = {
    "movie": ("Films", "cyan"),
    "episode": ("Episodes", "magenta"),
    "track": ("Tracks", "green"),
}


def _length(count: int, most: int) -> int:
    return max(1, round(count / most * _BAR)) if count else 0


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(
            heading,
            justify="right" if heading in _NUMERIC else "left",
            overflow="fold",
            no_wrap=heading in (*_NUMERIC, "Id", "Year", "Type"),
        )
    return table


def _row(table: Table, *cells: object) -> None:
    table.add_row(*(Text(harmless(str(cell))) for cell in cells))
