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

    def join(self, one: _Node, other: _Node) -> None:
        """Join the sets of two nodes, which are added if need be."""
        self._parent[self.root(one)] = self.root(other)

    def all(self) -> Iterable[list[_Node]]:
        """Return the sets."""
        sets: defaultdict[_Node, list[_Node]] = defaultdict(list)
        for node in self._parent:
            sets[self.root(node)].append(node)
        return sets.values()

    def root(self, node: _Node) -> _Node:
        """Return the node that stands for the set of a node, which is added if need be."""
        parent = self._parent
        parent.setdefault(node, node)
        while (above := parent[node]) != node:
            parent[node] = parent[above]
            node = parent[node]
        return node
