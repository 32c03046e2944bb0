"""Read secrets, check their form, and warn of what other users of this machine can see."""

from __future__ import annotations

import os
import shlex
import stat
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from ..errors import ConfigurationError, NotFoundError
from ..formatting import harmless
from ..options import SETTINGS, Server
from ..settings.layers import owner_name
from ..settings.loaded import Loaded
from ..sources.http.headers import parse_headers, secrets_in
from .console import Screen
from .hiding import hide

__all__ = ["check_secrets", "clean", "headers_of", "secret_of"]

_HOLDS: Final = "holds a secret"
_STEERS: Final = "decides where a secret goes"
_BLANK: Final = " \t\r\n\f\v\ufeff"


def check_secrets(loaded: Loaded, screen: Screen, server: Server) -> None:
    """Check, before a secret is sent to a server, where it goes and who can read it.

    Warn of every file of a secret that other users can read or change, and of a ``config.toml``
    that decides about a secret and that they can change.

    Raises:
        ConfigurationError: the ``.env`` would decide where a secret from elsewhere goes.
    """
    loaded.check_steering(server)
    for path, role in _files(loaded, server).items():
        if warning := _exposed(path, role):
            screen.warn(warning)


def secret_of(loaded: Loaded, name: str, what: str, *, hint: str = "", word: bool = False) -> str:
    """Return a secret from its setting or its file, whichever has precedence; "" for none.

    ``what`` names the secret in messages, and ``hint`` says more about it. For ``word`` see
    ``clean``.

    Raises:
        NotFoundError: the file does not exist.
        ConfigurationError: the file cannot be read, or it holds no such secret.
    """
    source = loaded.value_or_file(name)
    if source is None:
        return ""
    value = getattr(loaded.settings, source)
    if not isinstance(value, Path):
        return clean(value.get_secret_value(), what, loaded.where(source), hint=hint, word=word)
    text = _read(value, SETTINGS[source].flag, what, is_line=True)
    found = clean(text, what, str(value), hint=hint, word=word)
    if not found:
        raise ConfigurationError(
            f"{value} is empty.", hint=f"The file must hold {what}. {hint}".rstrip()
        )
    return found


def headers_of(loaded: Loaded) -> Sequence[tuple[str, str]]:
    """Return the headers for a proxy, from their setting or their file.

    Raises:
        NotFoundError: the file does not exist.
        ConfigurationError: the file cannot be read, a header is malformed, or one place gives both
            headers and a file of them.
    """
    settings, ranks = loaded.settings, loaded.ranks
    source = loaded.value_or_file("header")
    if source is None:
        return ()
    if settings.header and settings.header_file and ranks["header"] == ranks["header_file"]:
        raise ConfigurationError(
            f"{loaded.where('header')} and {loaded.where('header_file')} are both given.",
            hint="Put all headers into the file, and leave --header out.",
        )
    if source == "header_file" and settings.header_file:
        where = str(settings.header_file)
        lines = _read(settings.header_file, "--header-file", "HTTP headers").split("\n")
    else:
        where = loaded.where("header")
        lines = [line.get_secret_value() for line in settings.header or ()]
    for line in lines:
        for secret in secrets_in(line):
            hide(secret)
    return parse_headers(lines, where)


def _read(path: Path, option: str, what: str, *, is_line: bool = False) -> str:
    """Return the content of the file of a secret, of standard input only a line if ``is_line``."""
    try:
        if path == Path("-"):
            if sys.stdin is None:
                return ""
            return sys.stdin.readline() if is_line else sys.stdin.read()
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise NotFoundError(
            f"There is no file {path}.", hint=f"{option} must name a file with {what}."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigurationError(
            f"Cannot read {path}: {why}.", hint=f"The file must hold {what} and nothing else."
        ) from None


def clean(text: str, what: str, where: str, *, hint: str = "", word: bool = False) -> str:
    """Return a secret without blanks around it. No message quotes it.

    A library that gets a wrong form of it may quote it in an exception. (httpx 0.28 does that with
    the value of a header.)

    Raises:
        ConfigurationError: it has several lines or control characters. With ``word``, also if it
            has a blank or another character that ASCII does not have.
    """
    secret = text.strip(_BLANK)
    hide(secret)
    if secret != harmless(secret) or (word and (" " in secret or not secret.isascii())):
        form = "one word of letters and digits" if word else "one line without control characters"
        raise ConfigurationError(
            f"{where} does not hold {what}.",
            hint=f"Write {what} there and nothing else: {form}. {hint}".rstrip(),
        )
    return secret


def _files(loaded: Loaded, server: Server) -> Mapping[Path, str]:
    """Return the files that matter for the secrets of a server, each with its role."""
    secrets = list(loaded.secrets(server))
    config, dotenv = str(loaded.settings.config), str(loaded.dotenv)
    found: dict[Path, str] = {}
    for name in secrets:
        value = getattr(loaded.settings, name)
        if isinstance(value, Path):
            found[value] = _HOLDS
        elif loaded.origins[name] in (config, dotenv):
            found[Path(loaded.origins[name])] = _HOLDS
    if secrets and any(
        server in option.steers and loaded.origins[name] == config
        for name, option in SETTINGS.items()
    ):
        found.setdefault(Path(config), _STEERS)
    return found


def _exposed(path: Path, role: str) -> str:
    """Return a warning if other users can read or change a file; "" if they cannot."""
    try:
        info = path.stat()
        is_fixed = os.statvfs(path).f_flag & os.ST_RDONLY  # such as the secrets of a container
    except OSError:  # reading it gives the better message
        return ""
    if not stat.S_ISREG(info.st_mode) or is_fixed:
        return ""
    mine = f"chmod 600 {shlex.quote(str(path))}"
    if info.st_uid not in (os.geteuid(), 0):
        owner = owner_name(info.st_uid)
        return (
            f"{path} {role} and belongs to {owner}, who can read and change it. To make it yours: "
            f"sudo chown $(id -u) {shlex.quote(str(path))} && {mine}"
        )
    # A group that may read a file of root is chosen by the administrator.
    readers = stat.S_IROTH | (stat.S_IRGRP if info.st_uid == os.geteuid() else 0)
    readers = readers if role == _HOLDS else 0
    for bits, verb in ((stat.S_IWOTH | stat.S_IWGRP, "change"), (readers, "read")):
        if info.st_mode & bits:
            return f"{path} {role}, and other users can {verb} it. To prevent that: {mine}"
    return ""
