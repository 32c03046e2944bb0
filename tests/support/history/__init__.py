"""Invented Tautulli histories for tests and benchmarks, and the truth about them.

`schema` makes databases and writes single plays by hand; `generator` makes a believable history
of any length and tells, by construction, what an importer has to find in it. Nothing here
imports the importer: what checks it must not share its mistakes.
"""

from tests.support.history.generator import generate
from tests.support.history.schema import (
    OLDEST_PLEXPY,
    add_library,
    add_people,
    add_play,
    add_user,
    create,
    create_plexpy_2015,
)
from tests.support.history.truth import Play, Totals, Truth, Work

__all__ = [
    "OLDEST_PLEXPY",
    "Play",
    "Totals",
    "Truth",
    "Work",
    "add_library",
    "add_people",
    "add_play",
    "add_user",
    "create",
    "create_plexpy_2015",
    "generate",
]
