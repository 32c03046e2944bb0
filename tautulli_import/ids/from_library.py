"""Take ids from a Plex library database for films and shows that have none.

A ``plex://`` GUID is the same everywhere, so it leads to the film, or from an episode to its show.
A rating key counts only if the title fits, because it may be the key of another server.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..model.items import Kind, Origin
from .metadata import Metadata, believe, ids_in, is_about, lacks_ids
from .plex_library import PlexLibrary
from .works import Work, newest_guids

__all__ = ["ask_library"]


def ask_library(works: Iterable[Work], library: PlexLibrary) -> None:
    """Save the ids that the library has as the answers for works without ids.

    Raises:
        TautulliImportError: the library cannot be read, or it is damaged.
    """
    wanted = [work for work in works if lacks_ids(work)]
    if not wanted:
        return
    guids = {work: _guids(work) for work in wanted}
    films = library.films({one for work in wanted if work.kind == "movie" for one in guids[work]})
    shows = library.shows({one for work in wanted if work.kind == "show" for one in guids[work]})
    by_key = library.items({key for work in wanted for key in work.own_keys})
    library.refuse_damage()
    for work in wanted:
        under_guids = films if work.kind == "movie" else shows
        by_guid = [one for guid in guids[work] for one in under_guids.get(guid, ())]
        fitting = [by_key[key] for key in work.own_keys if key in by_key]
        fitting = [answer for answer in fitting if is_about(work, answer)]
        believe(work, _ids(work.kind, by_guid, fitting), Origin.PLEX_DB)


def _guids(work: Work) -> Sequence[str]:
    """Return the ``plex://`` GUID of a film, or those of a show's episodes, in lower case."""
    if work.kind == "movie":
        return [guid.lower()] if (guid := work.plex_guid()) else []
    return list(dict.fromkeys(newest_guids(work.appearances).values()))


def _ids(kind: Kind, by_guid: Sequence[Metadata], fitting: Sequence[Metadata]) -> Mapping[str, str]:
    """Return the ids of the items under a work's GUIDs, or of the ones under its rating keys.

    If episodes lead to several shows whose ids contradict, only the show counts that also has the
    rating key and the title.
    """
    found = _agreed(kind, by_guid)
    if found is None:
        found = _agreed(kind, [answer for answer in by_guid if answer in fitting])
    elif not found:
        found = _agreed(kind, fitting)
    return found or {}


def _agreed(kind: Kind, answers: Iterable[Metadata]) -> Mapping[str, str] | None:
    """Return the ids of all answers together, or ``None`` if they are of different titles.

    Two items are one title if they have the same GUID or an id in common, and no id contradicts.
    """
    found: dict[str, str] = {}
    guids: set[str] = set()
    for answer in answers:
        ids = ids_in(kind, answer)
        if not ids:
            continue
        is_other = bool(found) and answer.guid not in guids and not ids.items() & found.items()
        if is_other or any(found.get(site, value) != value for site, value in ids.items()):
            return None
        found |= ids
        guids.add(answer.guid)
    return found
