"""``--ids FILE``: a person's own corrections, a CSV with one film or show a line.

=============  ====================================================================
``type``       ``movie`` or ``show``
``rating_key`` the item's number in Plex (a show's own, not an episode's), or
``guid``       the GUID as Tautulli has it, or
``title``      the exact title; of a film together with ``year``
the ids        ``tmdb``, ``imdb``, ``tvdb``, ``anidb`` …: at least one, or the line does
               nothing yet (so that a list of what is missing can be filled in bit by bit)
=============  ====================================================================

Other columns are left alone. Semicolons and tabs serve as well as commas.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from itertools import combinations
from typing import Final, TextIO

from msgspec import Struct

from ..errors import ConfigurationError
from ..guids import clean_id
from ..models import EXTERNAL, Kind, Origin
from .namesakes import may_be_one
from .works import Known, Work, folded

__all__ = ["COLUMNS", "Correction", "apply", "parse", "write_missing"]

_MATCH: Final = ("rating_key", "guid", "title", "year")
COLUMNS: Final = ("type", *_MATCH, "tmdb", "imdb", "tvdb")
_FOREVER: Final = 1 << 62  # newer than any play: a person's word is the last one


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
        """Whether the line means this work; everything it names has to be true of it."""
        if work.kind != self.kind:
            return False
        # A number alone means what has it now; with a title or GUID, whatever had it.
        keys = work.rating_keys if self.guid or self.title else work.own_keys
        if self.rating_key is not None and self.rating_key not in keys:
            return False
        if self.guid and not any(_bare(play.guid) == self.guid for play in work.plays):
            return False
        if not self.title:
            return True
        if folded(self.title) not in work.titles:
            return False
        return self.kind == "show" or self.year is None or work.year == self.year

    def by_title_alone(self, work: Work) -> bool:
        """Whether the line means this show by nothing but its title."""
        alone = self.rating_key is None and not self.guid and self.kind == "show"
        return alone and self.fits(work)


def parse(text: str, shown: str) -> Sequence[Correction]:
    """The corrections in the text of a CSV file called ``shown``.

    Raises:
        ConfigurationError: a line is wrong; it is named, and nothing is used.
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
            f"{shown}, line {reader.reader.line_num}: {error}.", hint="Save it as CSV, UTF-8."
        ) from error
    _check_contradictions(found, shown)
    return found


def apply(corrections: Sequence[Correction], works: Iterable[Work]) -> Sequence[Correction]:
    """Give the works the ids that a person wrote down; returns the lines that fit nothing.

    The given ids replace all that was found: whoever corrects a wrong match does not want
    the rest of that match.

    Raises:
        ConfigurationError: two lines mean the same work and say different things.
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
                        f"The corrections in lines {first.line} and {correction.line} both mean "
                        f"{work.title!r} and say different things.",
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
    """Two shows of one name are two shows; a line that names both would make them one."""
    known = {tuple(sorted((ns, k.value) for ns, k in work.ids.items())) for work in works}
    apart = any(not may_be_one(one, other) for one, other in combinations(works, 2))
    if len(works) > 1 and (len(known) > 1 or apart):
        keys = ", ".join(str(work.own_keys[0]) for work in works if work.own_keys)
        raise ConfigurationError(
            f"The correction in line {correction.line} fits {len(works)} shows called "
            f"{correction.title!r}.",
            hint=f"Name the one you mean by its rating_key: {keys}.",
        )


def write_missing(works: Iterable[Work], file: TextIO) -> int:
    """Write the works without external ids as a file to fill in; returns how many."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    count = 0
    for work in sorted(works, key=lambda work: (work.kind, folded(work.title), work.year or 0)):
        if work.ids:
            continue
        key = work.own_keys[0] if work.own_keys else ""
        guid = "" if key else next(filter(None, (play.guid for play in work.plays)), "")
        writer.writerow([work.kind, key, guid, work.title, work.year or "", "", "", ""])
        count += 1
    return count


def _check_header(names: Sequence[str], shown: str) -> None:
    hint = f"The first line names the columns: {','.join(COLUMNS)}"
    if "type" not in names:
        raise ConfigurationError(f"{shown}, line 1: there is no column 'type'.", hint=hint)
    if not set(names) & {"rating_key", "guid", "title"}:
        raise ConfigurationError(
            f"{shown}, line 1: nothing tells which item is meant.",
            hint="Add a column rating_key, guid or title.",
        )
    if not set(names) & set(EXTERNAL):
        raise ConfigurationError(
            f"{shown}, line 1: there is no column with ids.",
            hint=f"Known are: {', '.join(EXTERNAL)}.",
        )
    for name in set(names) - set(EXTERNAL) - {"type", *_MATCH}:
        close = get_close_matches(name, (*EXTERNAL, "type", *_MATCH), n=1, cutoff=0.7)
        if close:
            raise ConfigurationError(
                f"{shown}, line 1: there is no column {name!r}.", hint=f"Did you mean {close[0]}?"
            )
    if len(set(names)) != len(names):
        raise ConfigurationError(f"{shown}, line 1: a column stands there twice.", hint=hint)


def _parse_line(row: Mapping[str | None, object], where: str, line: int) -> Correction | None:
    if None in row:
        raise ConfigurationError(
            f"{where}: there are more values than columns.",
            hint="Put a title with a comma in it in double quotes.",
        )
    cells = {str(name): str(value or "").strip() for name, value in row.items()}
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
                f"{where}: {written!r} is no {namespace} id.",
                hint="An imdb id looks like tt0133093, every other one is a number.",
            )
        if cleaned != written.lower():
            raise ConfigurationError(
                f"{where}: {written!r} is no {namespace} id.",
                hint="Write the id alone: tt0133093, or a whole number without anything around it.",
            )
        ids[namespace] = cleaned
    if not ids:
        return None
    kind = cells["type"].lower()
    if kind not in ("movie", "show"):
        raise ConfigurationError(
            f"{where}: the type is {cells['type']!r}.",
            hint="It is movie or show; ids of single episodes are not used.",
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
                f"{where}: nothing tells which item is meant.",
                hint="Fill in rating_key, guid or title.",
            )
        if correction.kind == "movie" and correction.year is None:
            raise ConfigurationError(
                f"{where}: a film's title alone can mean several films.", hint="Add its year."
            )
    return correction


def _check_contradictions(corrections: Sequence[Correction], shown: str) -> None:
    seen: dict[tuple[object, ...], Correction] = {}
    for one in corrections:
        meant = (one.kind, one.rating_key, one.guid, folded(one.title), one.year)
        other = seen.setdefault(meant, one)
        if other.ids != one.ids:
            raise ConfigurationError(
                f"{shown}, line {one.line}: says something else than line {other.line} "
                "of the same item.",
                hint="Keep one of the two lines.",
            )


def _whole(text: str, column: str, where: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise ConfigurationError(
            f"{where}: {text!r} is no {column}.", hint=f"{column} is a whole number."
        )
    return int(text)


def _bare(guid: str | None) -> str:
    return (guid or "").strip().partition("?")[0]
