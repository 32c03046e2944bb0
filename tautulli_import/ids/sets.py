"""Keep disjoint sets of things that belong together, directly or through others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

__all__ = ["DisjointSets"]

_Node = TypeVar("_Node", bound=Hashable)


class DisjointSets(Generic[_Node]):
    """Disjoint sets of nodes."""

    def __init__(self, nodes: Iterable[_Node] = ()) -> None:
        self._parent: dict[_Node, _Node] = {node: node for node in nodes}

    def add(self, node: _Node) -> None:
        """Add a node in a set of its own, unless it is in one."""
        self._parent.setdefault(node, node)

    def join(self, one: _Node, other: _Node) -> None:
        """Join the sets of two nodes, which are added if need be."""
        self._parent.setdefault(one, one)
        self._parent.setdefault(other, other)
        self._parent[self._root(one)] = self._root(other)

    def all(self) -> Iterable[list[_Node]]:
        """Return the sets."""
        sets: defaultdict[_Node, list[_Node]] = defaultdict(list)
        for node in self._parent:
            sets[self._root(node)].append(node)
        return sets.values()

    def _root(self, node: _Node) -> _Node:
        parent = self._parent
        while (above := parent[node]) != node:
            parent[node] = parent[above]
            node = parent[node]
        return node
