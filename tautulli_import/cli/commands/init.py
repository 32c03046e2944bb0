"""``tautulli-import init``: ask for the source, the users and the place, and write the settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import typer

from ..options import Flags

if TYPE_CHECKING:
    from ...sources.base import User
    from ..console import Screen
    from ..session import Command

__all__ = ["init"]

_Values: TypeAlias = dict[str, object]
_ADDRESS: Final = "http://127.0.0.1:8181"
_CROSSWATCH: Final = "http://127.0.0.1:8787"
_SINKS: Final[Sequence[tuple[str, str, str]]] = (
    ("tracker", "CrossWatch, by a file to upload or in its tracker directory", "a directory"),
    ("crosswatch", "A running CrossWatch, over HTTP (v0.11.3 or newer)", ""),
    ("editor", "CrossWatch's Editor, to clean up by hand first", "a file"),
    ("jsonl", "JSON lines, for programs of your own", "a file"),
)
_DEFAULTS: Final[Mapping[str, str]] = {
    "tracker": "crosswatch-tracker",
    "editor": "tautulli-history.json",
    "jsonl": "tautulli-history.jsonl",
}


def init(flags: Flags) -> None:
    """Set up an import: asks, tests the answers, and writes a file of settings.

    At the end it shows what would be imported, the command to import it, and the lines for a
    nightly run by cron or systemd.

    For example:
      tautulli-import init
      tautulli-import init --config ~/alice.toml
    """
    from ...errors import ConfigurationError
    from ...settings.layers import config_path
    from ..console import Screen
    from ..importing import import_history
    from ..setup import config_text

    screen = Screen()
    if not screen.can_ask:
        raise ConfigurationError(
            "init asks questions, so it needs a terminal.",
            hint="Write the settings yourself. They are explained in: tautulli-import help options",
        )
    path = config_path(flags).absolute()
    _confirm_replacing(path, screen)
    command, values, people = _ask_source(screen)
    values |= _ask_whose(screen, people)
    values |= _ask_place(screen, is_apart="each_user" in values)
    copy = _write(path, config_text(values))
    screen.note("")
    screen.note(f"The settings are in {path}." + (f" The old ones: {copy}." if copy else ""))
    screen.note("This is what would be imported:")
    import_history(command, {"config": path, "dry_run": True}, as_json=False)
    # The lines are to be copied, so they must not be wrapped.
    typer.echo("\n".join(_next_steps(command, path, is_default=path == config_path())))


def _confirm_replacing(path: Path, screen: Screen) -> None:
    """Ask before settings are replaced.

    Raises:
        ConfigurationError: the person wants to keep them.
    """
    from ...errors import ConfigurationError

    if path.exists() and not _is_yes(screen, f"There are settings in {path}. Write new ones?"):
        raise ConfigurationError(
            f"{path} is unchanged.", hint="Use --config FILE to write the new ones elsewhere."
        )


def _is_yes(screen: Screen, question: str) -> bool:
    return _ask(screen, f"{question} [y/N] ").lower() in ("y", "yes")


def _ask(screen: Screen, question: str, default: str = "", *, is_secret: bool = False) -> str:
    """Return the answer to a question, or the default if it is empty. A secret is not shown.

    Raises:
        ConfigurationError: the input has ended.
    """
    from ...errors import ConfigurationError

    answer = screen.ask_secret(question) if is_secret else screen.ask(question)
    if answer is None:
        raise ConfigurationError(
            "There is no answer, so nothing was written.", hint="Start again: tautulli-import init"
        )
    return answer.strip() or default


def _ask_path(screen: Screen, question: str, default: str = "") -> str:
    """Return an absolute path. Ask again if there is no such home directory."""
    from ...errors import ConfigurationError
    from ...files import expand_home

    while True:
        answer = _ask(screen, question, default)
        try:
            return str(expand_home(Path(answer)).absolute())
        except ConfigurationError as error:
            screen.error(error)


def _choose(screen: Screen, question: str, rows: Sequence[str]) -> int:
    """Return the place of the row that a person chooses. The first one is the default."""
    screen.note("")
    screen.note(question)
    for number, row in enumerate(rows, 1):
        screen.note(f"  {number}  {row}")
    while True:
        answer = _ask(screen, "Number [1]: ", "1")
        if answer.isascii() and answer.isdecimal() and 1 <= int(answer) <= len(rows):
            return int(answer) - 1
        screen.note(f"Type a number from 1 to {len(rows)}.")


def _ask_source(screen: Screen) -> tuple[Command, _Values, Sequence[User]]:
    """Ask where the history is until it can be read. Return its users, too."""
    from ...errors import TautulliImportError
    from ..setup import found_databases

    found = found_databases()
    rows = [str(path) for path in found]
    rows += ["A running Tautulli, over HTTP", f"{'Another' if found else 'A'} database file"]
    url = _ADDRESS
    while True:
        place = _choose(screen, "Where is the history?", rows)
        command: Command = "api" if place == len(found) else "db"
        if command == "api":
            values: _Values = _ask_server(screen, url)
            url = str(values["url"])
        elif place < len(found):
            values = {"database": [str(found[place])]}
        else:
            values = {"database": [_ask_path(screen, "Path of tautulli.db: ")]}
        try:
            return command, values, _users(command, values, screen)
        except TautulliImportError as error:
            screen.error(error)


def _ask_server(screen: Screen, before: str) -> _Values:
    url = _ask(screen, f"Address of Tautulli, as in a browser [{before}]: ", before)
    screen.note("The API key is in Tautulli under Settings > Web Interface > API.")
    return {"url": url, "api_key": _ask_word(screen, "API key (it is not shown): ", "an API key")}


def _ask_word(screen: Screen, question: str, what: str) -> str:
    """Return a secret of one word. Ask again if it is none."""
    from ...errors import ConfigurationError
    from ..secrets import clean

    while True:
        answer = _ask(screen, question, is_secret=True)
        try:
            return clean(answer, what, "The answer", word=True)
        except ConfigurationError:
            screen.note(f"That is not {what}: it must be one word of letters and digits.")


def _users(command: Command, values: Mapping[str, object], screen: Screen) -> Sequence[User]:
    """Return the users with plays. This is the test of a source.

    Over HTTP the history is not fetched for that, because it can take long.

    Raises:
        TautulliImportError: it cannot be read.
    """
    import time
    from contextlib import closing

    from ...files import write_whole
    from ...formatting import many
    from ...settings.loaded import load
    from ...sources.http.sync import ask_users
    from ...temp_folder import PrivateFolder
    from ..connect import connect
    from ..session import Request, open_session
    from ..setup import config_text

    request = Request(users=True, selection=False, ids=False)
    folder = PrivateFolder()
    try:  # as the settings will be read later, the key not from an option
        path = folder.path / "config.toml"
        write_whole(path, [config_text(values).encode()])
        loaded = load({"config": path})
        if command == "api":
            with closing(connect(loaded, screen)) as connection:
                found = ask_users(connection.tautulli)
        else:
            with open_session(command, loaded, screen, request, now=int(time.time())) as session:
                found = session.source.users()
        people = [user for user in found if user.plays]
    finally:
        folder.remove()
    plays = many(sum(user.plays for user in people), "play")
    if command == "api":  # get_users_table leaves out deleted users
        screen.note(
            f"It can be read. Tautulli lists {many(len(people), 'user')} with {plays}. The history "
            "may also have plays of deleted users."
        )
    else:
        screen.note(f"It can be read: {plays} of {many(len(people), 'user')}.")
    return people


def _ask_whose(screen: Screen, people: Sequence[User]) -> _Values:
    """Ask whose plays are wanted, if there are several users."""
    from ...formatting import many

    known = [user for user in people if user.user_id is not None]
    if len(known) < 2:
        return {}
    rows = [f"only {user.name} ({many(user.plays, 'play')})" for user in known]
    rows += ["all together, as one history", "all, one output for each user"]
    place = _choose(screen, "Whose plays?", rows)
    if place < len(known):
        return {"user": [str(known[place].user_id)]}
    return {"all_users": True} if place == len(known) else {"each_user": True}


def _ask_place(screen: Screen, *, is_apart: bool) -> _Values:
    """Ask where the history goes.

    With ``is_apart`` each user has an output. In CrossWatch that needs a table of profiles.
    """
    from ...errors import TautulliImportError
    from ...files import expand_home
    from ...formatting import shown

    sinks = [one for one in _SINKS if not (one[0] == "crosswatch" and is_apart)]
    place = _choose(screen, "Where to?", [about for _, about, _ in sinks])
    sink, _, what = sinks[place]
    if sink == "crosswatch":
        url = _ask(screen, f"Address of CrossWatch [{_CROSSWATCH}]: ", _CROSSWATCH)
        screen.note("How to create a token: tautulli-import help crosswatch")
        token = _ask(screen, "Token (it is not shown): ", is_secret=True)
        return {"to": [sink], "crosswatch_url": url, "crosswatch_token": token}
    default = expand_home(Path("~") / _DEFAULTS[sink])
    while True:
        out = _ask_path(screen, f"Path of {what} [{shown(default)}]: ", str(default))
        try:
            _check_place(sink, Path(out), is_apart=is_apart)
        except TautulliImportError as error:
            screen.error(error)
        else:
            return {"to": [sink], "out": [out]}


def _check_place(sink: str, out: Path, *, is_apart: bool) -> None:
    """Check that a sink could write there, as a run does it at its beginning.

    Raises:
        TautulliImportError: it could not.
    """
    import sys
    import time

    from ...imports.job import Target, check_targets
    from ...sinks.base import SinkOptions
    from ...sinks.installed import InstalledSinks, make_sink

    options = SinkOptions(out=out, stdout=sys.stdout.buffer, now=int(time.time()))
    made = make_sink(InstalledSinks().load(sink), sink, options)
    check_targets([Target(sink, made)], {}, each_user=is_apart)


def _write(path: Path, text: str) -> Path | None:
    """Write the settings for their owner only. Return the copy of the old ones, if any."""
    from ...files import read_bytes, write_whole

    before = read_bytes(path)
    copy = None
    if before is not None:
        path.chmod(0o600)  # a replaced file keeps its mode
        copy = path.with_name(f"{path.name}.old")
        write_whole(copy, [before], option="--config")
    write_whole(path, [text.encode()], option="--config")
    return copy


def _next_steps(command: Command, path: Path, *, is_default: bool) -> Sequence[str]:
    """Return the commands for now and for every night."""
    import shlex

    from ...settings.loaded import load
    from ..setup import cron_line, program, systemd_units

    settings = load({"config": path}).settings
    own = [] if is_default else ["--config", str(path)]
    nightly = [*program(), command, "--config", str(path)]
    nightly += ["--state-dir", str(settings.state_folder.absolute()), "--quiet"]
    lines = ["", "To import it now:", f"  {shlex.join(['tautulli-import', command, *own])}"]
    lines += ["", "Every night by cron, in 'crontab -e':", f"  {cron_line(nightly)}"]
    lines += ["", "Or by systemd, as your user:"]
    for name, text in systemd_units(nightly).items():
        lines += [f"  ~/.config/systemd/user/{name}:"]
        lines += [f"    {line}".rstrip() for line in text.splitlines()]
    lines += ["  systemctl --user daemon-reload"]
    lines += ["  systemctl --user enable --now tautulli-import.timer"]
    lines += ["  loginctl enable-linger    # so that it runs while you are logged out"]
    return lines
