"""Read from the entries of a history the parts that merging compares, and join two entries."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import Raw, Struct

from ..model.items import EXTERNAL, Ids, Kind, Movie, Record
from ..model.keys import movie_key

__all__ = [
    "Entry",
    "External",
    "Values",
    "added",
    "better_key",
    "contradict",
    "entry_of",
    "epoch_of",
    "external_of",
    "had_key",
    "is_event",
    "is_same_item",
    "kind_of",
    "number_of",
    "overlaid",
    "shown_ids",
    "suffix_of",
    "time_in",
    "time_of",
    "values_of",
    "without_ids",
]

Values: TypeAlias = Mapping[str, Any]
External: TypeAlias = tuple[tuple[str, str], ...]
"""External ids as namespace and value, lower case. A namespace can have two values."""

_EVENT: Final = re.compile(r"@(\d{7,}(~.+)?|id:.+)$")
_NUMBER: Final = re.compile(r"#s\d+e\d+$")
# CrossWatch (v0.11.3) takes these for no id.
_NO_IDS: Final = frozenset({"", "0", "none", "null", "nan", "undefined", "unknown"})
_decode: Final = msgspec.json.Decoder().decode


class Entry(Struct, frozen=True, gc=False):
    """One existing entry, as far as merging compares it."""

    key: str
    watched_at: str
    kind: Kind | None
    """``None`` if it is neither a film nor an episode."""
    number: str
    """``#s01e02`` for an episode, empty for a film."""
    external: External
    """The ids of the film or show, with the one in the key."""


def values_of(raw: Raw | bytes) -> Values:
    """Decode an entry. What is no object has no values."""
    value = _decode(raw)
    return value if isinstance(value, dict) else {}


def time_in(values: Values) -> str:
    """Return the ``watched_at`` of an entry; empty if it has none."""
    return str(values.get("watched_at") or "")


def time_of(raw: Raw | bytes) -> str:
    """Return the ``watched_at`` of an encoded entry; empty if it has none."""
    return time_in(values_of(raw))


def entry_of(key: str, values: Values) -> Entry:
    """Return the parts of an entry that merging compares."""
    base = key.removesuffix(suffix_of(key))
    found = _NUMBER.search(base)
    kind: Kind | None = None
    number = ""
    if found or values.get("type") == "episode":
        season, episode = values.get("season"), values.get("episode")
        if found:
            kind, number = "show", found[0].lower()
        elif isinstance(season, int) and isinstance(episode, int):
            kind, number = "show", f"#s{season:02d}e{episode:02d}"
    elif values.get("type", "movie") == "movie":
        kind = "movie"
    external = _external(values, base.removesuffix(found[0]) if found else base, kind)
    return Entry(key, time_in(values), kind, number, external)


def _external(values: Values, base: str, kind: Kind | None) -> External:
    namespace, _, value = base.lower().partition(":")
    in_key = {(namespace, value)} if namespace in EXTERNAL and value not in _NO_IDS else set()
    if kind == "show":
        ids = _clean(values.get("show_ids"))
        if not ids:
            # CrossWatch keys such an episode by its own ids as if they were the show's (v0.11.3).
            ids = _clean(values.get("ids"))
            ids = ids if in_key <= set(ids) else ()
    else:
        ids = _clean(values.get("ids"))
    return tuple(sorted(in_key | set(ids)))


def _clean(ids: object) -> External:
    if not isinstance(ids, dict):
        return ()
    found = ((name, str(ids.get(name) or "").strip().lower()) for name in EXTERNAL if name in ids)
    return tuple((name, value) for name, value in found if value not in _NO_IDS)


def shown_ids(record: Record) -> Ids:
    """Return the ids in the key of a record: those of the film, or of the episode's show."""
    item = record.item
    return item.ids if isinstance(item, Movie) else item.show_ids


def kind_of(record: Record) -> Kind:
    """Return the kind of title that the ids of a record belong to."""
    return "movie" if isinstance(record.item, Movie) else "show"


def number_of(record: Record) -> str:
    """Return ``#s01e02`` for an episode, empty for a film."""
    item = record.item
    return "" if isinstance(item, Movie) else f"#s{item.season:02d}e{item.episode:02d}"


def external_of(record: Record) -> External:
    """Return the external ids of a record."""
    ids = shown_ids(record)
    return tuple((name, value.lower()) for name in EXTERNAL if (value := getattr(ids, name)))


def contradict(external: Iterable[tuple[str, str]]) -> bool:
    """Return true if a namespace has two values."""
    seen: dict[str, str] = {}
    return any(seen.setdefault(name, value) != value for name, value in external)


def is_event(key: str) -> bool:
    """Return true for the key of one viewing."""
    return bool(suffix_of(key))


def suffix_of(key: str) -> str:
    """Return the part of a key that names the viewing: ``@1709324130``, or nothing."""
    found = _EVENT.search(key) if "@" in key else None
    return found[0] if found else ""


def epoch_of(watched_at: str) -> int | None:
    """Parse a time of CrossWatch. Return epoch seconds (UTC), or ``None``."""
    try:
        when = datetime.fromisoformat(watched_at)
    except ValueError:
        return None
    return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp())


def better_key(external: Iterable[tuple[str, str]], number: str, suffix: str, other: str) -> str:
    """Return the key by the best external id, or ``other`` without one, or if they contradict."""
    ids = sorted(set(external), key=lambda pair: EXTERNAL.index(pair[0]))
    if not ids or contradict(ids):
        return other
    return f"{ids[0][0]}:{ids[0][1]}{number}{suffix}"


def is_same_item(key: str, values: Values, record: Record) -> bool:
    """Return true if an entry has the titles and numbers of a record, and its Plex item.

    The title is enough if it is the key.
    """
    item = msgspec.to_builtins(record.item)
    fields = ("type", "title", "season", "episode", "series_title")
    if any(values.get(field, "") != item.get(field, "") for field in fields):
        return False
    base = key.removesuffix(suffix_of(key))
    if base == record.key.removesuffix(suffix_of(record.key)):
        return True
    if "|title:" in base:
        return bool(base == movie_key(Ids(), item["title"], item["year"]))
    which = "show_ids" if "show_ids" in item else "ids"
    theirs = values.get(which)
    plex = item[which].get("plex")
    return plex is not None and isinstance(theirs, dict) and theirs.get("plex") == plex


def had_key(values: Values, entry: Entry, key: str) -> bool:
    """Return true if an entry has the id and the number of a key that is not its own."""
    base = key.lower().removesuffix(suffix_of(key))
    found = _NUMBER.search(base)
    namespace, _, value = base.removesuffix(found[0] if found else "").partition(":")
    if entry.number != (found[0] if found else ""):
        return False
    ids = _ids(values, "show_ids" if entry.kind == "show" else "ids")
    return (namespace, value) in entry.external or str(ids.get(namespace)).lower() == value


def without_ids(values: Values) -> Values:
    """Return an entry without the ids that it was found under."""
    return {**values, **{name: {} for name in ("ids", "show_ids") if name in values}}


def overlaid(there: Values, ours: Values) -> Values:
    """Put our fields over an existing entry. Keep its other fields, and all ids of both.

    Where their ids contradict ours (under one key there is only one entry), its ids stay as they
    are, unless it names our Plex item: then it is an older answer about that item.
    """
    merged = {**there, **ours}
    which = "show_ids" if "show_ids" in ours else "ids"
    ids, more = _ids(there, "ids"), _ids(ours, "ids")
    known, news = _ids(there, which), _ids(ours, which)
    is_foreign = known.get("plex") is None or known["plex"] != news.get("plex")
    if is_foreign and contradict([*_clean(known), *_clean(news)]):
        return merged | {name: there[name] for name in ("ids", "show_ids") if name in there}
    if which == "ids":
        merged["ids"] = {**ids, **more}
        return merged
    # Ids of an episode that are not its show's are its own.
    if not known and not contradict([*_clean(ids), *_clean(news)]):
        known = ids
    merged["show_ids"] = {**known, **news}
    if all(known.get(name) == value for name, value in ids.items()):
        merged["ids"] = {**ids, **(merged["show_ids"] if more == news else more)}
    else:
        merged["ids"] = ids
    return merged


def added(there: Values, ours: Values) -> Values:
    """Add our ids to an entry that stays, if one of them is external and unknown to it."""
    which = "show_ids" if "show_ids" in ours else "ids"
    known, more = _ids(there, which), _ids(ours, which)
    both = [*_clean(known), *_clean(more)]
    if not _clean(known) or contradict(both) or set(both) == set(_clean(known)):
        return there
    merged = {**there, which: {**more, **known}}
    if which == "show_ids" and _ids(there, "ids") == known:
        merged["ids"] = merged[which]
    return merged


def _ids(values: Values, name: str) -> dict[str, Any]:
    ids = values.get(name)
    return ids if isinstance(ids, dict) else {}
