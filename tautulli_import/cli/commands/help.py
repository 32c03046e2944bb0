"""``tautulli-import help``: explain a topic or a command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from ..help_pages import Group

if TYPE_CHECKING:
    from typer._click import Context

__all__ = ["explain", "pages"]


def explain(ctx: typer.Context, words: Sequence[str]) -> None:
    """Print the page of a command or of a topic; without words, the list of both.

    Raises:
        NotFoundError: there is neither.
    """
    from .. import manual
    from ..console import Screen

    root = ctx.find_root()
    if not words:
        formatter = root.make_formatter()
        with formatter.section("Topics, for 'tautulli-import help TOPIC'"):
            formatter.write_dl(
                [(topic, summary.replace("`", "")) for topic, summary in manual.topics().items()]
            )
        typer.echo(f"{root.get_help()}\n\n{formatter.getvalue()}", nl=False)
        return
    page = _page_of_command(root, words)
    if page is None:
        Screen().page(manual.page(" ".join(words)))
    else:
        typer.echo(page)


def pages(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the commands and topics that a shell can complete."""
    from .. import manual

    root = ctx.find_root().command
    commands = list(root.commands) if isinstance(root, Group) else []
    return [one for one in [*commands, *manual.topics()] if one.startswith(incomplete)]


def _page_of_command(root: Context, words: Sequence[str]) -> str | None:
    """Return the help of a command, or ``None`` if there is no such command."""
    context, command = root, root.command
    for word in words:
        found = command.get_command(context, word) if isinstance(command, Group) else None
        if found is None:
            return None
        command = found
        context = typer.Context(command, info_name=word, parent=context)
    return command.get_help(context)
