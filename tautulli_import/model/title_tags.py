"""Read the external ids that people write into the names of folders, and so into titles.

A film or show that nothing matched is called by its folder, with the id that tells media servers
which one it is. That id is a person's word.
"""

from __future__ import annotations

import re
from typing import Final

from .guids import clean_id, is_aired_order
from .items import EXTERNAL

__all__ = ["ids_in_title"]

# Plex: {imdb-tt0111161} {tmdb-278} {edition-4K}. Jellyfin: [tvdbid-371310]. Emby: [tmdbid=278].
# Sonarr and Radarr write all of these. HAMA: [anidb-23], and [tvdb4-81797] with a mode of ordering.
_TAG: Final = re.compile(
    r"[\[{(]\s*(?:"
    rf"(?P<site>(?:{'|'.join(EXTERNAL)}))(?:id|(?P<mode>[1-9]))?\s*[-=:]\s*(?P<id>(?:tt)?[0-9]+)"
    r"|(?P<imdb>tt[0-9]{5,})"
    r"|edition-[^\[\]{}()]{0,100}"
    r")\s*[\]})]",
    re.IGNORECASE,
)
_BLANKS: Final = re.compile(" {2,}")


def ids_in_title(title: str) -> tuple[str, dict[str, str]]:
    """Return the title without such tags, and the ids in them by namespace.

    A namespace with two different ids is left out, and so is an id with which HAMA counts episodes
    in an order of its own. A title that is nothing but tags becomes empty.
    """
    tags = list(_TAG.finditer(title))
    if not tags:
        return title, {}
    found: dict[str, set[str]] = {}
    for tag in tags:
        site, mode, number = tag["site"] or "imdb", tag["mode"] or "", tag["id"] or tag["imdb"]
        namespace = site.lower()
        is_numbered = number is not None and number.lower().startswith("tt") == (
            namespace == "imdb"
        )
        value = clean_id(namespace, number) if is_numbered else None
        if value and is_aired_order(f"com.plexapp.agents.hama://{namespace}{mode}-{number}"):
            found.setdefault(namespace, set()).add(value)
    plain = _BLANKS.sub(" ", _TAG.sub("", title)).strip()
    return plain, {namespace: ids.pop() for namespace, ids in found.items() if len(ids) == 1}
