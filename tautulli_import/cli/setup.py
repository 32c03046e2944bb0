"""Write a first file of settings, and the lines for a nightly run."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from ..formatting import shown

__all__ = ["config_text", "cron_line", "found_databases", "program", "systemd_units"]

_NAME: Final = "tautulli.db"
# Where Tautulli and its containers keep it: its documentation, and the usual volumes.
_PLACES: Final = (
    ".",
    "/config",
    "/opt/Tautulli",
    "/var/snap/tautulli/common/Tautulli",
    "~/snap/tautulli/common/Tautulli",
    "~/.config/Tautulli",
    "~/tautulli",
    "~/tautulli/config",
    "~/Library/Application Support/Tautulli",
    "/opt/appdata/tautulli",
    "/srv/tautulli",
    "/srv/tautulli/config",
    "/mnt/user/appdata/tautulli",
    "/volume1/docker/tautulli",
    "/usr/local/share/Tautulli",
    "/var/lib/tautulli",
)
_COMMENTS: Final[Mapping[str, str]] = {
    "url": "Tautulli's address, as in a browser.",
    "api_key": "The API key: Tautulli's Settings > Web Interface > API.",
    "database": "Tautulli's database. Add backups of it to fill gaps.",
    "user": "Only the plays of these users (ids).",
    "each_user": "One output for each user.",
    "all_users": "The plays of all users as one history.",
    "to": "Where the history goes.",
    "out": "The directory or file of the output.",
    "crosswatch_url": "CrossWatch's address, as in a browser.",
    "crosswatch_token": "The token of CrossWatch: tautulli-import help crosswatch",
    "rewatches": "Keep every viewing, not only the newest.",
}
_MINUTE, _HOUR = 17, 4


def found_databases() -> Sequence[Path]:
    """Return the databases in the usual places of this machine, each once."""
    found: dict[Path, None] = {}
    for place in _PLACES:
        path = Path(os.path.realpath(os.path.expanduser(place))) / _NAME  # noqa: PTH111 - never fails
        try:
            if path.is_file() and shown(path) == str(path):  # TOML has only Unicode
                found[path] = None
        except OSError:  # no permission to look
            continue
    return list(found)


def config_text(values: Mapping[str, object]) -> str:
    """Return the text of a ``config.toml`` with these settings, each with a comment."""
    lines = ["# Settings of tautulli-import. All of them: tautulli-import help options", ""]
    for name, value in values.items():
        # A JSON string, number, list or boolean is one of TOML, too, but for U+007F.
        written = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        lines += [f"# {_COMMENTS[name]}", f"{name} = {written}", ""]
    lines += _others(values)
    return "\n".join(lines)


def _others(values: Mapping[str, object]) -> Iterator[str]:
    """Yield comments about settings that many people want next."""
    yield "# More that can be set, for example:"
    for name, example in (("rewatches", "true"), ("library", '["Movies"]'), ("since", '"2020"')):
        if name not in values:
            yield f"# {name} = {example}"
    yield ""


def program() -> Sequence[str]:
    """Return the words that start this program from anywhere."""
    installed = shutil.which("tautulli-import")
    started = Path(sys.argv[0])
    if started.name == "tautulli-import" and started.is_file():
        return [str(started.absolute())]
    if installed:
        return [str(Path(installed).absolute())]
    return [sys.executable, "-m", "tautulli_import"]


def cron_line(words: Sequence[str]) -> str:
    """Return the line for a crontab that runs a command every night."""
    command = shlex.join(words).replace("%", r"\%")  # cron makes a new line of a bare one
    return f"{_MINUTE} {_HOUR} * * * {command}"


def systemd_units(words: Sequence[str]) -> Mapping[str, str]:
    """Return the files of a systemd timer of the user, by name."""
    command = " ".join(_systemd_word(word) for word in words)
    return {
        "tautulli-import.service": (
            "[Unit]\nDescription=Import Tautulli's watch history\n\n"
            f"[Service]\nType=oneshot\nExecStart={command}\n"
        ),
        "tautulli-import.timer": (
            "[Unit]\nDescription=Import Tautulli's watch history every night\n\n"
            f"[Timer]\nOnCalendar=*-*-* {_HOUR:02}:{_MINUTE:02}:00\nPersistent=true\n\n"
            "[Install]\nWantedBy=timers.target\n"
        ),
    }


def _systemd_word(word: str) -> str:
    """Quote a word of ``ExecStart``. systemd reads ``%`` and ``$`` itself."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if escaped != word or set(word) & set(" \t';") else word
