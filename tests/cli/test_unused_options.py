"""An option that none of the chosen outputs uses is refused on the command line, and only there."""

from __future__ import annotations

import pytest

from tests.support.inside import Inside


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        (("--crosswatch-url", "http://127.0.0.1:9"), "--to crosswatch"),
        (("--profile", "CW-P01"), "--to crosswatch"),
        (("--replace", "--drop-synced"), "--to crosswatch"),
        (("--timezone", "Europe/Berlin"), "UTC"),
    ],
)
@pytest.mark.parametrize("sink", ["tracker", "nats"])
def test_an_option_that_no_output_uses_is_refused(
    inside: Inside, sink: str, options: tuple[str, ...], hint: str
) -> None:
    done = inside("db", "tautulli.db", "--to", sink, *options)
    flag = next(word for word in options if word.startswith("--") and word != "--replace")
    assert done.code == 2
    assert f"{flag} cannot be used with {sink}." in done.err
    assert hint in done.err


def test_the_configuration_is_for_other_runs_too(
    inside: Inside, environment: dict[str, str]
) -> None:
    environment |= {"CW_URL": "http://127.0.0.1:9"}
    environment |= {f"TAUTULLI_IMPORT_{n}": v for n, v in (("PROFILE", "x"), ("TIMEZONE", "UTC"))}
    done = inside("db", "tautulli.db", "--to", "tracker")
    assert done.code == 5
    assert "cannot be used" not in done.err
