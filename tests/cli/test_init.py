"""``init``: from nothing to settings that work, and the lines for every night."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from tautulli_import.cli.setup import config_text, cron_line, systemd_units
from tests.conftest import Cli
from tests.support.crosswatch import TOKEN, crosswatch
from tests.support.history import generate
from tests.support.tautulli import KEY, FakeTautulli
from tests.support.terminal import talk

SOURCE, WHOSE, WHERE, PATH = "Number [1]: ", "Number [1]: ", "Number [1]: ", "]: "


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a home directory with a database in one of the usual places."""
    (tmp_path / "tautulli").mkdir()
    generate(tmp_path / "tautulli" / "tautulli.db", plays=300, seed=7)
    return tmp_path


def names(home: Path, environment: dict[str, str]) -> dict[str, str]:
    """Return an environment of a person who has never used the program."""
    return {**environment, "HOME": str(home), "XDG_CONFIG_HOME": "", "XDG_STATE_HOME": ""}


def settings_in(home: Path) -> dict[str, object]:
    return tomllib.loads((home / ".config/tautulli-import/config.toml").read_text())


def test_a_database_is_found_and_the_commands_that_are_shown_work(
    home: Path, environment: dict[str, str], cli: Cli
) -> None:
    env = names(home, environment)
    answers = [(SOURCE, "1\n"), (WHOSE, "1\n"), (WHERE, "1\n"), ("crosswatch-tracker]: ", "\n")]

    code, shown = talk("init", cwd=home, environment=env, answers=answers)

    assert code == 0, shown
    path = home / ".config/tautulli-import/config.toml"
    assert path.stat().st_mode & 0o777 == 0o600
    settings = settings_in(home)
    assert settings["database"] == [str(home / "tautulli/tautulli.db")]
    assert settings["to"] == ["tracker"]
    assert settings["out"] == [str(home / "crosswatch-tracker")]
    assert "It can be read: 300 plays of" in shown
    assert cli("check", cwd=home, env=env).out.startswith(
        f"{home / 'tautulli/tautulli.db'}: 300 plays, "
    )
    assert not (home / "crosswatch-tracker").exists()  # it was a dry run

    (cron,) = re.findall(r"^  17 4 \* \* \* (.*?)\r?$", shown, re.MULTILINE)
    words = shlex.split(cron)
    start = words.index("db")
    answer = cli(*words[start:], "--json", cwd=home, env=env)
    assert answer.code == 0, answer.err
    new = json.loads(answer.out)["outputs"][0]["new"]
    assert f"{new} new" in " ".join(shown.split())
    again = cli("db", "--json", cwd=home, env=env)
    assert json.loads(again.out)["outputs"][0]["unchanged"] == new


def test_the_api_key_is_asked_for_and_never_shown(home: Path, environment: dict[str, str]) -> None:
    env = names(home, environment)
    with FakeTautulli(home / "tautulli" / "tautulli.db") as tautulli:
        answers = [
            (SOURCE, "2\n"),
            ("8181]: ", f"{tautulli.url}\n"),
            ("not shown): ", "0000wrong0000\n"),
            (SOURCE, "2\n"),
            (f"{tautulli.url}]: ", "\n"),
            ("not shown): ", f"{KEY}\n"),
            (WHOSE, "5\n"),
            (WHERE, "4\n"),
            ("history.jsonl]: ", "~/all.jsonl\n"),
        ]
        code, shown = talk(
            "init", "--config", "mine.toml", cwd=home, environment=env, answers=answers
        )
        asked = [one.cmd for one in tautulli.requests]
    assert code == 0, shown
    assert asked[:2] == ["get_users_table"] * 2
    assert KEY not in shown
    assert "The API key was not accepted" in shown or "API key" in shown
    counted = re.search(r"Tautulli lists 4 users with (\d+) plays\. The history may also", shown)
    assert counted is not None
    assert int(counted[1]) < 300  # the generated history has plays of a deleted user
    settings = tomllib.loads((home / "mine.toml").read_text())
    assert settings["api_key"] == KEY
    assert settings["out"] == [str(home / "all.jsonl")]
    assert (home / "mine.toml").stat().st_mode & 0o777 == 0o600
    assert f"tautulli-import api --config {home / 'mine.toml'}" in shown


def test_the_end_of_the_input_in_place_of_a_secret_is_no_answer(
    home: Path, environment: dict[str, str]
) -> None:
    answers = [(SOURCE, "2\n"), ("8181]: ", "\n"), ("not shown): ", "\x04")]
    env = names(home, environment)
    code, shown = talk("init", cwd=home, environment=env, answers=answers)
    assert code == 2, shown
    assert "There is no answer, so nothing was written." in shown


def test_a_path_below_the_home_of_nobody_is_asked_for_again(
    home: Path, environment: dict[str, str]
) -> None:
    answers = [
        (SOURCE, "3\n"),
        ("tautulli.db: ", "~nobody-here/tautulli.db\n"),
        ("tautulli.db: ", "~/tautulli/tautulli.db\n"),
        (WHOSE, "1\n"),
        (WHERE, "4\n"),
        ("history.jsonl]: ", "\n"),
    ]
    env = names(home, environment)
    code, shown = talk("init", cwd=home, environment=env, answers=answers)
    assert code == 0, shown
    assert "There is no home directory ~nobody-here" in shown
    assert settings_in(home)["database"] == [str(home / "tautulli/tautulli.db")]


def test_a_wrong_answer_is_explained_and_only_that_question_is_asked_again(
    home: Path, environment: dict[str, str]
) -> None:
    env = names(home, environment)
    for made in ("crosswatch/.cw_state", "crosswatch/.cw_provider"):
        (home / made).mkdir(parents=True)
    (home / "crosswatch/config.json").write_text("{}")
    with FakeTautulli(home / "tautulli" / "tautulli.db") as tautulli:
        answers = [
            (SOURCE, f"{tautulli.url}\n"),
            (SOURCE, "2\n"),
            ("8181]: ", f"{tautulli.url}\n"),
            ("not shown): ", f"{KEY[:8]} {KEY[8:]}\n"),
            ("not shown): ", f"{KEY}\n"),
            (WHOSE, "5\n"),
            (WHERE, "1\n"),
            ("crosswatch-tracker]: ", "~/tautulli/tautulli.db\n"),
            ("crosswatch-tracker]: ", "~/crosswatch\n"),
            ("crosswatch-tracker]: ", "~/crosswatch/.cw_provider\n"),
        ]
        code, shown = talk("init", cwd=home, environment=env, answers=answers)
    assert code == 0, shown
    assert "Type a number from 1 to 3." in shown
    assert "That is not an API key: it must be one word of letters and digits." in shown
    assert KEY[8:] not in shown
    assert f"{home / 'tautulli/tautulli.db'} is not a directory" in shown
    assert f"{home / 'crosswatch'} is CrossWatch's configuration directory." in shown
    assert settings_in(home)["out"] == [str(home / "crosswatch/.cw_provider")]


def test_a_database_whose_path_is_not_unicode_is_not_offered(
    home: Path, environment: dict[str, str]
) -> None:
    folder = home / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    generate(folder / "tautulli.db", plays=3, seed=1)
    answers = [(SOURCE, "1\n"), (WHOSE, "1\n"), (WHERE, "1\n"), ("]: ", "\n")]
    env = names(home, environment)
    code, shown = talk("init", cwd=folder, environment=env, answers=answers)
    assert code == 0, shown
    assert settings_in(home)["database"] == [str(home / "tautulli/tautulli.db")]


def test_a_running_crosswatch_is_set_up_with_a_token_that_is_not_shown(
    home: Path, environment: dict[str, str], cli: Cli
) -> None:
    env = names(home, environment)
    with crosswatch() as fake:
        answers = [
            (SOURCE, "1\n"),
            (WHOSE, "1\n"),
            (WHERE, "2\n"),
            ("8787]: ", f"{fake.url}\n"),
            ("not shown): ", f"{TOKEN}\n"),
        ]
        code, shown = talk("init", cwd=home, environment=env, answers=answers)
        assert code == 0, shown
        assert TOKEN not in shown
        assert settings_in(home)["crosswatch_token"] == TOKEN
        answer = cli("db", "--json", cwd=home, env=env)
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["outputs"][0]["new"] > 10


def test_settings_that_are_there_are_kept_unless_a_person_agrees(
    home: Path, environment: dict[str, str]
) -> None:
    env = names(home, environment)
    path = home / ".config/tautulli-import/config.toml"
    path.parent.mkdir(parents=True)
    path.write_text("rewatches = true\n")

    code, shown = talk("init", cwd=home, environment=env, answers=[("[y/N] ", "\n")])
    assert code == 2, shown
    assert path.read_text() == "rewatches = true\n"

    answers = [("[y/N] ", "y\n"), (SOURCE, "\n"), (WHOSE, "\n"), (WHERE, "\n"), (PATH, "\n")]
    code, shown = talk("init", cwd=home, environment=env, answers=answers)
    assert code == 0, shown
    assert path.with_name("config.toml.old").read_text() == "rewatches = true\n"
    assert "rewatches" not in settings_in(home)


def test_the_end_of_the_answers_writes_nothing(home: Path, environment: dict[str, str]) -> None:
    env = names(home, environment)
    code, shown = talk(
        "init", cwd=home, environment=env, answers=[(SOURCE, "1\n"), (WHOSE, "\x04")]
    )
    assert code == 2, shown
    assert not (home / ".config").exists()


def test_init_needs_a_terminal(cli: Cli) -> None:
    answer = cli("init")
    assert answer.code == 2
    assert "needs a terminal" in answer.err


@given(st.text(), st.lists(st.text()))
def test_every_value_is_read_back_as_it_was(url: str, database: list[str]) -> None:
    values = {"url": url, "database": database, "each_user": True}
    if any("\ud800" <= one <= "\udfff" for one in url + "".join(database)):
        return
    assert tomllib.loads(config_text(values)) == values


def test_cron_and_systemd_get_the_words_as_they_are() -> None:
    words = ["/opt/a b/tautulli-import", "db", "--config", "/x/50%$HOME.toml"]
    line = cron_line(words)
    assert line.startswith("17 4 * * * ")
    command = line.removeprefix("17 4 * * * ").replace(r"\%", "%")  # as cron does
    done = subprocess.run(
        ["/bin/sh", "-c", f"printf '%s\\n' {command}"], check=True, capture_output=True, text=True
    )
    assert done.stdout.splitlines() == words
    service = systemd_units(words)["tautulli-import.service"]
    assert 'ExecStart="/opt/a b/tautulli-import" db --config "/x/50%%$$HOME.toml"' in service
