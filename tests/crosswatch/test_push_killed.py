"""A push that is killed at any request, and begun again, leaves everything once."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.crosswatch.test_replace import FOREIGN
from tests.support.crosswatch import Answer, Call, FakeCrossWatch
from tests.support.pushing import Pushes
from tests.support.running import Program, Programs
from tests.support.waiting import SOON

#: Requests of a push through the import: four checks, two previews, a commit, and seven times the
#: two that tell of a sync.
REQUESTS = 22
#: Those of a replacement.
REPLACING = 20


@pytest.fixture
def command(pushes: Pushes) -> list[str | Path]:
    """Return the command."""
    nights = pushes.nights
    return ["db", nights.path, "--to", "crosswatch", "--no-enrich", "--all-users", "--rewatches"]


class Killer:
    """Kills a program at one of its requests, before or after that is carried out."""

    def __init__(self, fake: FakeCrossWatch, number: int, *, carried_out: bool) -> None:
        self.fake = fake
        self.number = number
        self.carried_out = carried_out
        self.program: Program | None = None
        self.count = 0
        fake.faults.append(self)

    def __call__(self, call: Call) -> Answer | None:
        """Let all requests but one pass."""
        self.count += 1
        if self.count != self.number or self.program is None:
            return None
        if self.carried_out:
            self.fake._answer(call)  # noqa: SLF001 - it is carried out, and never answered
        os.kill(self.program.pid, signal.SIGKILL)
        return 0, b""


@pytest.mark.sampled(4)
@pytest.mark.parametrize("carried_out", [False, True])
@pytest.mark.parametrize("number", range(1, REQUESTS))
@pytest.mark.parametrize("is_admin", [False, True])
def test_killed_at_any_request(
    pushes: Pushes,
    running: Programs,
    command: list[str | Path],
    number: int,
    *,
    is_admin: bool,
    carried_out: bool,
) -> None:
    pushes.fake.is_admin = is_admin
    killer = Killer(pushes.fake, number, carried_out=carried_out)
    killer.program = running.start(*command)
    first = killer.program.ended()
    assert first.code in (0, -signal.SIGKILL), first.err
    pushes.fake.faults.clear()
    again = running.start(*command).ended()
    assert again.code == 0, again.err
    expected = pushes.expected("--rewatches")
    found = pushes.fake.items()
    assert found.keys() == expected.keys()
    assert all(found[key]["watched_at"] == item["watched_at"] for key, item in expected.items())
    third = running.start(*command).ended()
    assert "Nothing new" in third.err


@pytest.mark.sampled(4)
@pytest.mark.parametrize("carried_out", [False, True])
@pytest.mark.parametrize("number", range(1, REPLACING))
def test_a_replacement_that_is_killed_at_any_request(
    pushes: Pushes, running: Programs, command: list[str | Path], number: int, *, carried_out: bool
) -> None:
    assert running.start(*command).ended().code == 0
    pushes.fake.items()["tmdb:9"] = dict(FOREIGN)
    wanted = [*command[:-2], "--rewatches", "--user", "alice", "--replace"]
    killer = Killer(pushes.fake, number, carried_out=carried_out)
    killer.program = running.start(*wanted)
    first = killer.program.ended()
    assert first.code in (0, -signal.SIGKILL), first.err
    pushes.fake.faults.clear()
    again = running.start(*wanted).ended()
    assert again.code == 0, again.err
    expected = pushes.expected("--user", "alice", "--rewatches")
    assert pushes.fake.items().keys() == {*expected, "tmdb:9"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("name", ["health", "preview", "commit"])
def test_a_signal_stops_it_while_crosswatch_is_silent(
    pushes: Pushes, running: Programs, command: list[str | Path], name: str, number: signal.Signals
) -> None:
    pushes.fake.is_admin = False
    pushes.fake.silent_at = name
    program = running.start(*command)
    program.until(lambda: pushes.fake.asked(name))
    program.ask(number)
    done = program.ended(SOON)
    pushes.fake.silent_at = ""
    assert done.code == 128 + number
    assert "To go on: tautulli-import db" in done.err
    assert ("stays there" in done.err) == (name != "health")
    assert running.start(*command).ended().code == 0
    assert pushes.fake.items().keys() == pushes.expected("--rewatches").keys()
