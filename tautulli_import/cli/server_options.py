"""The options that say which Tautulli is asked, and how; see ``options``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

__all__ = ["ApiKey", "ApiKeyFile", "CaFile", "Insecure", "Timeout", "Url"]

_SERVER = "Server"

Url: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--url",
        metavar="URL",
        help="Tautulli's address, as you open it in a browser. Also TAUTULLI_URL.",
        rich_help_panel=_SERVER,
    ),
]
ApiKeyFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--api-key-file",
        readable=False,
        metavar="FILE",
        help="A file with Tautulli's API key; - is standard input. Also TAUTULLI_API_KEY_FILE, "
        "or the key itself in TAUTULLI_API_KEY.",
        rich_help_panel=_SERVER,
    ),
]
ApiKey: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--api-key",
        metavar="KEY",
        help="The API key itself: everybody on this machine can see it while the command runs.",
        rich_help_panel=_SERVER,
    ),
]
CaFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--ca-file",
        readable=False,
        metavar="FILE",
        help="Trust this certificate (PEM) as well.",
        rich_help_panel=_SERVER,
    ),
]
Insecure: TypeAlias = Annotated[
    bool | None,
    typer.Option(
        "--insecure/--no-insecure",
        help="Accept any certificate.",
        rich_help_panel=_SERVER,
    ),
]
Timeout: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        metavar="SECONDS",
        help="How long Tautulli may be silent; 120 unless given.",
        rich_help_panel=_SERVER,
    ),
]
