"""An option that none of the chosen outputs uses is refused on the command line, and only there."""

from __future__ import annotations

from pathlib import Path

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


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("users",), ""),
        (("libraries",), ""),
        (("check",), "since comes from"),
        (("unresolved",), "since comes from"),
        (("db", "--dry-run"), "since, to and out come from"),
    ],
    ids=lambda one: one[0] if isinstance(one, tuple) else "",
)
def test_settings_for_another_source_are_named_where_they_are_used(
    inside: Inside, history: Path, environment: dict[str, str], command: tuple[str, ...], said: str
) -> None:
    file = Path(environment["XDG_CONFIG_HOME"]) / "tautulli-import" / "config.toml"
    file.parent.mkdir()
    file.write_text('since = "2020"\nto = ["jsonl"]\nout = ["x.jsonl"]\n')
    done = inside(*command, history)
    assert done.code == 0, done.err
    found = [line for line in done.err.splitlines() if line.endswith(f" from {file}.")]
    assert found == ([f"{said} {file}."] if said else [])


def test_a_choice_of_users_that_is_overridden_is_not_named(
    inside: Inside, history: Path, environment: dict[str, str]
) -> None:
    file = Path(environment["XDG_CONFIG_HOME"]) / "tautulli-import" / "config.toml"
    file.parent.mkdir()
    file.write_text('user = ["alice"]\n')
    assert "user comes from" in inside("db", history, "--dry-run").err
    assert "comes from" not in inside("db", history, "--dry-run", "--all-users").err
