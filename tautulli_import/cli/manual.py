"""Find the pages of the manual, ``tautulli_import/manual/*.md``."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files

from ..errors import NotFoundError
from ..formatting import did_you_mean

__all__ = ["page", "topics"]

_END = ".md"


def topics() -> Mapping[str, str]:
    """Return the first sentence of each page, by topic."""
    return {topic: _summary(text) for topic, text in sorted(_pages().items())}


def page(topic: str) -> str:
    """Return a page, as Markdown.

    Raises:
        NotFoundError: there is no such page.
    """
    pages = _pages()
    if topic not in pages:
        raise NotFoundError(
            f"There is no help about {topic!r}.",
            hint=f"{did_you_mean(topic, pages)}The topics are: {', '.join(sorted(pages))}.",
        )
    return pages[topic]


def _pages() -> Mapping[str, str]:
    folder = files(__package__.partition(".")[0]) / "manual"
    return {
        one.name.removesuffix(_END): one.read_text(encoding="utf-8")
        for one in (folder.iterdir() if folder.is_dir() else ())
        if one.name.endswith(_END)
    }


def _summary(text: str) -> str:
    """Return the first sentence below the title."""
    paragraph = text.partition("\n\n")[2].partition("\n\n")[0]
    return f"{' '.join(paragraph.split()).partition('. ')[0].removesuffix('.')}."
