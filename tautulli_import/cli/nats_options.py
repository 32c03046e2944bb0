"""The options that say which NATS server is meant, and who we are there; see ``options``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

__all__ = [
    "CaFile",
    "Cert",
    "Creds",
    "Key",
    "Password",
    "PasswordFile",
    "Stream",
    "TlsFirst",
    "Token",
    "TokenFile",
    "Url",
    "User",
]

_NATS = "NATS"


def _file(option: str, text: str) -> object:
    return typer.Option(option, readable=False, metavar="FILE", help=text, rich_help_panel=_NATS)


Url: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--nats-url",
        metavar="URL",
        help="The NATS server; nats://127.0.0.1:4222 unless given, tls:// for TLS, several of a "
        "cluster with commas. Also NATS_URL.",
        rich_help_panel=_NATS,
    ),
]
User: TypeAlias = Annotated[
    str | None,
    typer.Option("--nats-user", metavar="NAME", help="Who we are there.", rich_help_panel=_NATS),
]
PasswordFile: TypeAlias = Annotated[
    Path | None,
    _file("--nats-password-file", "A file with the password; - is standard input."),
]
Password: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--nats-password",
        metavar="PASSWORD",
        help="The password itself: everybody on this machine can see it.",
        rich_help_panel=_NATS,
    ),
]
TokenFile: TypeAlias = Annotated[
    Path | None, _file("--nats-token-file", "A file with the token; - is standard input.")
]
Token: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--nats-token",
        metavar="TOKEN",
        help="The token itself: everybody on this machine can see it.",
        rich_help_panel=_NATS,
    ),
]
Creds: TypeAlias = Annotated[Path | None, _file("--nats-creds", "A credentials file of nsc's.")]
CaFile: TypeAlias = Annotated[
    Path | None, _file("--nats-ca-file", "Trust this certificate (PEM) as well.")
]
Cert: TypeAlias = Annotated[
    Path | None, _file("--nats-cert", "Our own certificate (PEM), where the server wants one.")
]
Key: TypeAlias = Annotated[Path | None, _file("--nats-key", "The key of that certificate (PEM).")]
TlsFirst: TypeAlias = Annotated[
    bool | None,
    typer.Option(
        "--nats-tls-first/--no-nats-tls-first",
        help="The server wants TLS before anything is said.",
        rich_help_panel=_NATS,
    ),
]
Stream: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--nats-stream",
        metavar="NAME",
        help="The stream; MEDIA_EVENTS unless given. An import makes it when there is none.",
        rich_help_panel=_NATS,
    ),
]
