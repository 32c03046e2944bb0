"""Check and write the page of ``--page``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigurationError
from ..files import identity, refuse_other_kind, write_whole
from ..formatting import harmless, shown
from ..model.selection import Selection
from ..settings.fields import Settings
from ..sources.database.source import Source
from .inputs import check_not_read, check_report_path

if TYPE_CHECKING:
    from ..imports.figures import Figures
    from ..imports.page.render import Purpose
    from .session import Command

__all__ = ["check_page", "chosen_users", "write_page"]


def check_page(
    settings: Settings, other: Path | None, option: str, *, has_items: bool = True
) -> None:
    """Check before the work that the page can be written and replaces nothing but a page.

    ``other`` is the file that ``option`` writes. ``has_items`` is false if only playback events
    are written.

    Raises:
        TautulliImportError: it would replace another file, or cannot be written.
    """
    path = settings.page
    if path is None:
        return
    from ..imports.page.render import MARK

    if path == Path("-"):
        raise ConfigurationError(
            "--page cannot write to standard output.", hint="Use --page FILE.html."
        )
    if not has_items:
        raise ConfigurationError(
            "--page shows films and episodes, but this run writes only playback events.",
            hint="Leave it out, or use tautulli-import check with --page.",
        )
    check_report_path(path, "--page", "page")
    check_not_read(settings, "--page", path)
    if other is not None and identity(path) == identity(other):
        raise ConfigurationError(
            f"--page and {option} would both write {shown(path)}.",
            hint="Choose another file with --page.",
        )
    refuse_other_kind(path, MARK, "a page", "--page")


def write_page(
    figures: Figures | None,
    settings: Settings,
    command: Command,
    purpose: Purpose,
    *,
    now: int,
    users: Sequence[str],
    is_failed: bool = False,
) -> None:
    """Write the page, if one is wanted.

    Raises:
        SinkError: it cannot be written. An old page is unchanged.
    """
    if settings.page is None or figures is None:
        return
    from ..imports.page.render import MARK, About, render

    about = About(
        purpose=purpose,
        made=now,
        source=_name_of(settings, command),
        users=users,
        is_each_user=settings.each_user,
        is_failed=is_failed,
    )
    # An output can have written a further file by that name.
    refuse_other_kind(settings.page, MARK, "a page", "--page")
    write_whole(settings.page, [render(figures, about)], option="--page")


def chosen_users(source: Source, selection: Selection) -> Sequence[str]:
    """Return the names of the chosen users as Tautulli shows them; none if all are chosen."""
    if selection.users is None:
        return ()
    return [
        harmless(user.name)
        for user in source.users()
        if user.user_id in selection.users
        or (user.user_id is None and user.username in selection.names)
    ]


def _name_of(settings: Settings, command: Command) -> str:
    """Return the name of the source. A path or an address could tell too much."""
    if command == "api":
        return "Tautulli"
    paths = settings.database
    if len(paths) > 3:
        return f"{len(paths)} databases"
    return ", ".join(
        "standard input" if path == Path("-") else harmless(path.name) for path in paths
    )
