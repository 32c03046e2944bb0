"""``completions/`` holds what the program itself would write."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest

from tests.completions import NAMES, script
from tests.conftest import Cli
from tests.support.history import add_library, add_play, add_user, create, generate
from tests.support.tautulli import FakeTautulli

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize("shell", sorted(NAMES))
def test_the_completion_script_is_current(shell: str) -> None:
    kept = (ROOT / "completions" / NAMES[shell]).read_text(encoding="utf-8")
    assert kept == script(shell), "run 'make completions'"


def complete(
    cli: Cli, words: str, count: int, environment: Mapping[str, str] | None = None
) -> list[str]:
    asked = {"COMP_WORDS": words, "COMP_CWORD": str(count)}
    env = {**(environment or {}), **asked, "_TAUTULLI_IMPORT_COMPLETE": "complete_bash"}
    answer = cli(env=env)
    assert answer.code == 0, answer.err
    return answer.out.split()


def test_commands_and_sinks_are_completed(cli: Cli) -> None:
    assert complete(cli, "tautulli-import li", 1) == ["libraries"]
    assert complete(cli, "tautulli-import db --to tr", 3) == ["tracker", "trakt-export"]
    assert complete(cli, "tautulli-import db --media-type ", 3) == [
        "movie",
        "episode",
        "track",
        "live",
    ]


def test_bash_offers_what_the_script_asks_the_program_for(tmp_path: Path) -> None:
    bash = shutil.which("bash")
    assert bash
    program = tmp_path / "tautulli-import"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tautulli_import "$@"\n')
    program.chmod(0o755)
    commands = (
        f'source "{ROOT / "completions" / NAMES["bash"]}"; '
        'COMP_WORDS=(tautulli-import ch); COMP_CWORD=1; COMP_LINE="tautulli-import ch"; '
        '_tautulli_import_completion tautulli-import; echo "${COMPREPLY[@]}"'
    )
    answer = subprocess.run(
        [bash, "-c", commands],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )
    assert answer.stdout.split() == ["check", "checkpoint"]


def test_users_libraries_and_checkpoints_are_completed(tmp_path: Path, cli: Cli) -> None:
    database = tmp_path / "a.db"
    with closing(create(database)) as conn:
        add_user(conn, 1, "alice", "Alice Smith")
        add_user(conn, 2, "the kids", "Kids")
        add_library(conn, 1, "Movies", "movie")
        add_library(conn, 2, "TV Shows", "show")
        add_play(conn, user_id=1)
        add_play(conn, user_id=2, section_id=2)
    cli("db", database, "--to", "jsonl", "--out", "a.jsonl", "--all-users")
    (checkpoint,) = json.loads(cli("checkpoint", "list", "--json").out)["checkpoints"]

    def completed(words: str) -> list[str]:
        return complete(cli, words, words.count(" "))

    assert completed(f"tautulli-import db {database} --user ") == ["alice", "2"]
    assert completed(f"tautulli-import check {database} --library M") == ["Movies"]
    assert completed(f"tautulli-import check {database} --library ") == ["Movies", "2"]
    assert completed("tautulli-import checkpoint show ") == [checkpoint["id"]]


def test_users_of_a_server_are_completed_from_what_is_remembered(tmp_path: Path, cli: Cli) -> None:
    generate(tmp_path / "a.db", plays=100, seed=7)
    with FakeTautulli(tmp_path / "a.db") as server:
        cli("api", "--dry-run", env=server.environment)
        cli("api", "--to", "jsonl", "--out", "a.jsonl", "--all-users", env=server.environment)
        asked = len(server.requests)
        found = complete(cli, "tautulli-import api --user a", 3, server.environment)
        assert found == ["alice"]
        assert len(server.requests) == asked


def test_a_completion_that_cannot_be_made_is_silent(tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "no.db").write_bytes(b"nothing")
    assert complete(cli, f"tautulli-import db {tmp_path}/no.db --user ", 4) == []
    assert complete(cli, f"tautulli-import db {tmp_path}/gone.db --user ", 4) == []


@pytest.mark.parametrize("shell", sorted(NAMES))
def test_completion_is_set_up_for_the_shell_that_is_named(
    shell: str, cli: Cli, environment: dict[str, str]
) -> None:
    home = Path(environment["HOME"])
    env = {**environment, "SHELL": "/bin/sh", "XDG_CONFIG_HOME": "", "XDG_DATA_HOME": ""}
    (home / ".zshrc").write_text("alias x=y\n")
    first = cli("--install-completion", shell, env=env)
    assert first.code == 0, first.err
    (path,) = re.findall(rf"completion script for {shell} is in (.*)\.\n", first.out)
    assert Path(path).read_text() == script(shell)
    rc = {"bash": ".bashrc", "zsh": ".zshrc"}.get(shell)
    if rc:
        assert f"lines were added to {home / rc}" in first.out
        text = (home / rc).read_text()
        assert str(Path(path).parent) in text
        assert cli("--install-completion", shell, env=env).code == 0
        assert (home / rc).read_text() == text
    assert "alias x=y\n" in (home / ".zshrc").read_text()


def test_another_shell_is_refused(cli: Cli, environment: dict[str, str]) -> None:
    answer = cli("--install-completion", "ksh", env=environment)
    assert answer.code == 2
    assert "There is no completion for ksh." in answer.err


def test_a_shell_that_asks_what_can_follow_changes_nothing(
    cli: Cli, environment: dict[str, str]
) -> None:
    home = Path(environment["HOME"])
    env = {**environment, "SHELL": "/bin/bash", "XDG_DATA_HOME": ""}
    for flag in ("--install-completion", "--show-completion", "--version", "--help"):
        assert "db" in complete(cli, f"tautulli-import {flag} ", 2, env)
    assert not (home / ".bashrc").exists()


def test_topics_of_the_manual_are_completed(cli: Cli) -> None:
    assert complete(cli, "tautulli-import help nig", 2) == ["nightly"]
    assert {"db", "ids"} <= {*complete(cli, "tautulli-import help ", 2)}
