"""Decide which entries of a history and which records are one title."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from ..model.items import Kind
from .entries import External

__all__ = ["SameTitle"]

_Token: TypeAlias = tuple[Kind, str, str]


class SameTitle:
    """Joins the external ids that entries and records name together.

    The rule: entries and records are one title if their ids are connected, directly or by other
    entries that name several of them. For episodes the ids are the show's, and the numbers must
    be equal, too. If a namespace has two values among the connected ids, somebody is wrong and
    nobody knows who. Then nothing of these titles is joined: every entry stays as it is, and a
    record goes under its own key. Two entries of one title are untidy, but a wrongly joined one
    is lost. Under an equal key there can be only one entry; for that case see ``overlaid``.
    """

    def __init__(self) -> None:
        self._above: dict[_Token, _Token] = {}
        self._doubtful: set[_Token] | None = None

    def add(self, kind: Kind, external: Iterable[tuple[str, str]]) -> None:
        """Join ids that an entry or a record names together."""
        self._doubtful = None
        first: _Token | None = None
        for name, value in external:
            root = self._root((kind, name, value))
            if first is None:
                first = root
            elif root != first:
                self._above[root] = first

    def title_of(self, kind: Kind, external: External) -> object | None:
        """Return a value that is equal for ids of one title; ``None`` if it is in doubt."""
        if not external:
            return None
        if self._doubtful is None:
            self._doubtful = self._contradictory()
        root = self._root((kind, *external[0]))
        return None if root in self._doubtful else root

    def _root(self, token: _Token) -> _Token:
        above = self._above.setdefault(token, token)
        while above != token:
            higher = self._above[above]
            self._above[token] = higher
            token, above = above, higher
        return token

    def _contradictory(self) -> set[_Token]:
        values: dict[tuple[_Token, str], str] = {}
        doubtful: set[_Token] = set()
        for token in list(self._above):
            _, name, value = token
            root = self._root(token)
            if values.setdefault((root, name), value) != value:
                doubtful.add(root)
        return doubtful
