"""Render the HTML page of a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from importlib.resources import files
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from ... import __version__
from ...formatting import minute
from ..figures import LONGEST_LIST, Branch, Figures
from .drawing import Cell, bands, hours_of, months_of

__all__ = ["MARK", "About", "Purpose", "render"]

Purpose: TypeAlias = Literal["import", "dry run", "check"]

MARK: Final = b"<!DOCTYPE html>\n<!-- tautulli-import page -->"
"""The beginning of each page."""
_LARGEST: Final = 100_000
_MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


class About(Struct, frozen=True):
    """The facts about a run that are not figures."""

    purpose: Purpose
    made: int
    """The time of the run (epoch seconds, UTC)."""
    source: str
    """The name of the source, without a path or address."""
    users: Sequence[str] = ()
    """The names of the users that were chosen."""
    is_each_user: bool = False
    is_failed: bool = False


def render(figures: Figures, about: About) -> bytes:
    """Return the page in UTF-8. Shorten its lists until it has at most 100 kB."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"grouped": "{:,}".format}
    text = files(__package__).joinpath("page.html.jinja").read_text(encoding="utf-8")
    template = environment.from_string(text)
    months, branches = months_of(figures.months), figures.branches
    values = {
        "about": about,
        "figures": figures,
        "flow": list(zip(branches, bands([one.count for one in branches]), strict=True)),
        "made": minute(about.made),
        "version": __version__,
        "months": months,
        "years": [] if not months else range(min(figures.months)[0], max(figures.months)[0] + 1),
        "month_names": _MONTHS,
        "holes": list(_holes(months, min(figures.months, default=(0, 0))[0])),
        "hours": list(hours_of(figures.hours)),
        "day_names": _DAYS,
        "label": _label,
    }
    page = b""
    for longest in (LONGEST_LIST, 20, 10, 5, 0):
        page = template.render(values, longest=longest).encode()
        if len(page) <= _LARGEST:
            break
    return page


def _label(branch: Branch, about: About, *, is_by_viewing: bool) -> str:
    """Return an outcome in words that follow its number."""
    if branch.reason is not None:
        start = "left out" if branch.outcome == "filtered" else "rejected"
        return f"{start}: {branch.reason.sentence}"
    if branch.not_held:
        return f"left out: {branch.not_held}"
    if branch.outcome == "merged":
        of = "viewing" if is_by_viewing else "film or episode"
        return f"merged: another play of the same {of}"
    end = "imported" if about.purpose == "import" and not about.is_failed else "to import"
    several = "" if branch.count == 1 else "s"
    if is_by_viewing:
        return f"viewing{several} of {branch.outcome}s {end}"
    return f"{branch.outcome}{several} {end}"


def _holes(months: Iterable[Iterable[Cell | None]], first: int) -> Iterator[str]:
    """Yield the runs of months without plays between the first and the last play, in words."""
    begin = before = ""
    for row in months:
        for cell in row:
            if cell is None:
                continue
            name = f"{_MONTHS[cell.column]} {first + cell.row}"
            if cell.count:
                if begin:
                    yield begin if begin == before else f"{begin} to {before}"
                begin = ""
            else:
                begin = begin or name
            before = name
