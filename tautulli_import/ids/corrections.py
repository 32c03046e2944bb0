"""Read and apply ``--ids FILE``: a person's corrections, a CSV with one film or show a line.

=============  ====================================================================
``type``       ``movie`` or ``show``
``rating_key`` the item's number in Plex (the show's, not an episode's), or
``guid``       the GUID as Tautulli has it, or
``title``      the exact title; a film also needs ``year``
the ids        ``tmdb``, ``imdb``, ``tvdb``, ``anidb`` …: a line without any is ignored, so
               that a list of missing ids can be filled in bit by bit
=============  ====================================================================

Other columns are ignored. Commas, semicolons or tabs separate the columns.

A spreadsheet runs a cell that begins with ``=``, ``+``, ``-`` or ``@`` as a formula, and a title
can begin with anything. So ``harmless_cell`` puts an apostrophe before it, and ``parse`` removes
it.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from itertools import combinations
from typing import Final

from msgspec import Struct

from ..errors import ConfigurationError
from ..model.guids import clean_id
from ..model.items import EXTERNAL, Kind, Origin
from .dates import may_be_one
from .titles import folded
from .works import Known, Work

__all__ = ["COLUMNS", "Correction", "apply", "harmless_cell", "parse"]

_MATCH: Final = ("rating_key", "guid", "title", "year")
COLUMNS: Final = ("type", *_MATCH, "tmdb", "imdb", "tvdb")
# With the settings of many countries, a spreadsheet also splits cells at semicolons.
_FORMULA: Final = re.compile(r"(?:^|(?<=[;\t]))(?='*[=+\-@\t\r])")
_NO_FORMULA: Final = re.compile(r"(?:^|(?<=[;\t]))'(?='*[=+\-@\t\r])")
_FOREVER: Final = 1 << 62  # newer than any play, so that a correction wins


class Correction(Struct, frozen=True):
    """One line of the file."""

    line: int
    kind: Kind
    rating_key: int | None
    guid: str
    title: str
    year: int | None
    ids: Mapping[str, str]

    def fits(self, work: Work) -> bool:
        """Return true if the work has everything that the line names."""
        if work.kind != self.kind:
            return False
        # A rating key alone means the item that has it now. With a title or GUID it may be one
        # that had it before.
        keys = work.rating_keys if self.guid or self.title else work.own_keys
        if self.rating_key is not None and self.rating_key not in keys:
            return False
        if self.guid and not any(_bare(guid) == self.guid for guid in work.guids):
            return False
        if not self.title:
            return True
        if folded(self.title) not in work.titles:
            return False
        return self.kind == "show" or self.year is None or work.year == self.year

    def by_title_alone(self, work: Work) -> bool:
        """Return true if the line names this show by its title only."""
        alone = self.rating_key is None and not self.guid and self.kind == "show"
        return alone and self.fits(work)


def parse(text: str, shown: str) -> Sequence[Correction]:
    """Return the corrections in the text of a CSV file called ``shown``.

    Raises:
        ConfigurationError: a line is wrong. The message names it.
    """
    text = text.lstrip("\ufeff")
    if "\n" not in text:
        text = text.replace("\r", "\n")
    head, _, _ = text.partition("\n")
    delimiter = max(",;\t", key=head.count)
    reader = csv.DictReader(io.StringIO(text), delimiter=delimiter, strict=True)
    try:
        names = [name.strip().lower() for name in reader.fieldnames or ()]
        _check_header(names, shown)
        reader.fieldnames = names
        found = []
        for row in reader:
            correction = _parse_line(row, f"{shown}, line {reader.line_num}", reader.line_num)
            if correction is not None:
                found.append(correction)
    except csv.Error as error:
        raise ConfigurationError(
            f"{shown}, line {reader.reader.line_num}: {error}.",
            hint="Save the file as CSV in UTF-8.",
        ) from error
    _check_contradictions(found, shown)
    return found


def apply(corrections: Sequence[Correction], works: Iterable[Work]) -> Sequence[Correction]:
    """Replace the ids of works with those of the corrections; return the lines that match none.

    A correction replaces all ids that were found, because the others may come from the same
    wrong match.

    Raises:
        ConfigurationError: two lines mean the same work and give different ids, or one line
            means several shows.
    """
    unused = set(range(len(corrections)))
    works = list(works) if corrections else []
    for correction in corrections:
        _check_is_one(correction, [work for work in works if correction.by_title_alone(work)])
    for work in works:
        first: Correction | None = None
        for number, correction in enumerate(corrections):
            if correction.fits(work):
                if first is not None and first.ids != correction.ids:
                    raise ConfigurationError(
                        f"Lines {first.line} and {correction.line} of the corrections give "
                        f"different ids for {work.title!r}.",
                        hint="Keep one of the two lines.",
                    )
                first = correction
                unused.discard(number)
                play_id = work.newest.newest_id
                work.ids = {
                    namespace: Known(value, Origin.CORRECTIONS, _FOREVER, play_id)
                    for namespace, value in correction.ids.items()
                }
    return [corrections[number] for number in sorted(unused)]


def _check_is_one(correction: Correction, works: Sequence[Work]) -> None:
    """Refuse a line whose title fits several shows: their ids would become the same.

    Raises:
        ConfigurationError: it fits several shows.
    """
    known = {tuple(sorted((ns, k.value) for ns, k in work.ids.items())) for work in works}
    apart = any(not may_be_one(one, other) for one, other in combinations(works, 2))
    if len(works) > 1 and (len(known) > 1 or apart):
        keys = ", ".join(str(work.own_keys[0]) for work in works if work.own_keys)
        raise ConfigurationError(
            f"Line {correction.line} of the corrections fits {len(works)} shows called "
            f"{correction.title!r}.",
            hint=f"Add the rating_key of the one you mean: {keys}.",
        )


def harmless_cell(text: str) -> str:
    """Return the text of a cell that no spreadsheet runs as a formula. ``parse`` undoes it."""
    return _FORMULA.sub("'", text)


def _check_header(names: Sequence[str], shown: str) -> None:
    hint = f"The first line must name the columns: {','.join(COLUMNS)}"
    if "type" not in names:
        raise ConfigurationError(f"{shown}, line 1: the column 'type' is missing.", hint=hint)
    if not set(names) & {"rating_key", "guid", "title"}:
        raise ConfigurationError(
            f"{shown}, line 1: no column says which film or show a line means.",
            hint="Add a column rating_key, guid or title.",
        )
    if not set(names) & set(EXTERNAL):
        raise ConfigurationError(
            f"{shown}, line 1: no column has ids.",
            hint=f"Add at least one of {', '.join(EXTERNAL)}.",
        )
    for name in set(names) - set(EXTERNAL) - {"type", *_MATCH}:
        close = get_close_matches(name, (*EXTERNAL, "type", *_MATCH), n=1, cutoff=0.7)
        if close:
            raise ConfigurationError(
                f"{shown}, line 1: unknown column {name!r}.", hint=f"Did you mean {close[0]}?"
            )
    if len(set(names)) != len(names):
        raise ConfigurationError(f"{shown}, line 1: a column appears twice.", hint=hint)


def _parse_line(row: Mapping[str | None, object], where: str, line: int) -> Correction | None:
    if None in row:
        raise ConfigurationError(
            f"{where}: there are more values than columns.",
            hint="Put a title that contains a comma in double quotes.",
        )
    cells = {
        str(name): _NO_FORMULA.sub("", str(value or "").strip()).strip()
        for name, value in row.items()
    }
    if not any(cells.values()):
        return None
    ids: dict[str, str] = {}
    for namespace in EXTERNAL:
        written = cells.get(namespace, "")
        if not written:
            continue
        cleaned = clean_id(namespace, written)
        if cleaned is None or not written.isascii():
            raise ConfigurationError(
                f"{where}: {written!r} is not a valid {namespace} id.",
                hint="An imdb id looks like tt0133093. All other ids are whole numbers.",
            )
        if cleaned != written.lower():
            raise ConfigurationError(
                f"{where}: {written!r} is not a valid {namespace} id.",
                hint="Write only the id: tt0133093, or a whole number.",
            )
        ids[namespace] = cleaned
    if not ids:
        return None
    kind = cells["type"].lower()
    if kind not in ("movie", "show"):
        raise ConfigurationError(
            f"{where}: type must be movie or show, not {cells['type']!r}.",
            hint="Ids of single episodes are not used.",
        )
    correction = Correction(
        line,
        "movie" if kind == "movie" else "show",
        _whole(cells.get("rating_key", ""), "rating_key", where),
        _bare(cells.get("guid")),
        cells.get("title", ""),
        _whole(cells.get("year", ""), "year", where),
        ids,
    )
    if correction.rating_key is None and not correction.guid:
        if not correction.title:
            raise ConfigurationError(
                f"{where}: the line does not say which film or show it means.",
                hint="Fill in rating_key, guid or title.",
            )
        if correction.kind == "movie" and correction.year is None:
            raise ConfigurationError(
                f"{where}: several films can have this title.", hint="Fill in its year."
            )
    return correction


def _check_contradictions(corrections: Sequence[Correction], shown: str) -> None:
    seen: dict[tuple[object, ...], Correction] = {}
    for one in corrections:
        meant = (one.kind, one.rating_key, one.guid, folded(one.title), one.year)
        other = seen.setdefault(meant, one)
        if other.ids != one.ids:
            raise ConfigurationError(
                f"{shown}, line {one.line}: gives other ids than line {other.line} "
                f"for the same {one.kind}.",
                hint="Keep one of the two lines.",
            )


def _whole(text: str, column: str, where: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise ConfigurationError(
            f"{where}: {text!r} is not a valid {column}.", hint="Write a whole number."
        )
    return int(text)


def _bare(guid: str | None) -> str:
    return (guid or "").strip().partition("?")[0]
