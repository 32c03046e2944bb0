"""What a catalogue is made of: subjects, items, and the homes where items live for a time.

External ids belong to a *subject* (a film, or a show). What is played is an *item* (the film
itself, or an episode of the show). The keys and the GUID that a play carries belong to a *home*:
one stay of an item in one library. Everything difficult about an import is one item in several
homes, or several items in one.
"""

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tests.support.history.schema import Value


def epoch(year: int, month: int = 1, day: int = 1) -> int:
    """Return midnight UTC of a day."""
    return int(datetime(year, month, day, tzinfo=UTC).timestamp())


START = epoch(2014)
END = epoch(2026, 7)
#: When the moved libraries went over to the current agents, keeping their rating keys.
MOVED = epoch(2020, 10)
#: When the re-created libraries were deleted and scanned anew, with new rating keys.
RECREATED = epoch(2021, 6, 15)
#: When rating keys of deleted items were handed out again (a server that was set up anew).

FILM_AGENTS = {
    "imdb": "com.plexapp.agents.imdb://{imdb}?lang=en",
    "themoviedb": "com.plexapp.agents.themoviedb://{tmdb}?lang=en",
    "hama-imdb": "com.plexapp.agents.hama://imdb-{imdb}?lang=en",
    "hama-tmdb": "com.plexapp.agents.hama://tmdb-{tmdb}?lang=en",
    "nfo-imdb": "com.plexapp.agents.xbmcnfo://{imdb}?lang=en",
    "nfo-tmdb": "com.plexapp.agents.xbmcnfo://{tmdb}?lang=en",
}
SHOW_AGENTS = {
    "thetvdb": "com.plexapp.agents.thetvdb://{tvdb}/{season}/{episode}?lang=en",
    "mcm": "com.plexapp.agents.mcm://MCM_TV_A_{tvdb}/{season}/{episode}?lang=en",
    "themoviedb": "com.plexapp.agents.themoviedb://{tmdb}/{season}/{episode}?lang=en",
    "hama-tvdb": "com.plexapp.agents.hama://tvdb-{tvdb}/{season}/{episode}?lang=en",
    "hama-tvdb2": "com.plexapp.agents.hama://tvdb2-{tvdb}/{season}/{episode}?lang=en",
    "hama-anidb": "com.plexapp.agents.hama://anidb-{anidb}/{season}/{episode}?lang=en",
    "nfo": "com.plexapp.agents.xbmcnfotv://{tvdb}/{season}/{episode}?lang=en",
    "daily": "com.plexapp.agents.thetvdb://{tvdb}/{date}?lang=en",
}


@dataclass(slots=True, eq=False)
class Subject:
    """A film, a show, an artist: what a set of external ids is about."""

    number: int
    title: str
    year: int | None
    ids: dict[str, str]


@dataclass(slots=True, eq=False)
class Item:
    """What can be played."""

    #: movie, episode, track, clip, photo or live.
    kind: str
    subject: Subject
    title: str
    year: int | None
    duration: int
    media_type: str = ""
    parent_title: str = ""
    season: int | None = None
    episode: int | None = None
    #: How the rows hold the two numbers: '' and NULL are different ways of having none.
    season_cell: Value = ""
    episode_cell: Value = ""
    aired: str = ""
    #: Where the credits start, as a share of the duration, if Plex found them.
    marker: float | None = None
    texts: dict[str, str] = field(default_factory=dict)
    homes: "list[Home]" = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Home:
    """One stay of an item in a library: what its plays say from `since` until `until`."""

    item: Item
    section_id: int
    rating_key: int
    guid: str | None
    since: int
    until: int
    season_key: int | None = None
    show_key: int | None = None
    #: Which ids the GUID spells out.
    written_ids: dict[str, str] = field(default_factory=dict)
    lookup_ids: dict[str, str] = field(default_factory=dict)
    #: The columns that are the same in each of its metadata rows (kept by `rows`).
    metadata: tuple[Value, ...] | None = None


class Maker:
    """What films and shows are both made with: chance, keys, GUIDs and lookups."""

    def __init__(self, rng: random.Random) -> None:
        """Start at the first rating key."""
        self.rng = rng
        self.lookups: dict[tuple[str, int], dict[str, str]] = {}
        self._last_key = 1000

    def key(self) -> int:
        """Return a rating key that was not handed out yet."""
        self._last_key += self.rng.randint(1, 3)
        return self._last_key

    def plex_guid(self, kind: str) -> str:
        """Return a GUID of the current agents, which tells nothing."""
        return f"plex://{kind}/{self.rng.getrandbits(96):024x}"

    def unmatched_guid(self) -> str | None:
        """Return one of the ways in which an item says that nobody knows it."""
        rng = self.rng
        local = f"local://{rng.randint(1, 99_999)}"
        none = f"com.plexapp.agents.none://{rng.getrandbits(160):040x}?lang=xn"
        return rng.choice((local, none, "", None))

    def marker(self) -> float | None:
        """Return where credits start: unknown, early enough to count, or past 85 %."""
        rng = self.rng
        early, late = rng.uniform(0.72, 0.80), rng.uniform(0.90, 0.96)
        return rng.choice((None, None, early, late))

    def added(self, since: int = START, until: int = END) -> int:
        """Return when something entered a library: mostly early, so that most get played."""
        return since + int((until - since) * 0.8 * self.rng.random() ** 2)

    def look_up(self, table: str, key: int, ids: dict[str, str]) -> dict[str, str]:
        """Enter ids into a lookup table, as Tautulli does when it first meets a rating key."""
        self.lookups[table, key] = ids
        return ids


def spell(template: str, ids: dict[str, str], **numbers: object) -> tuple[str, dict[str, str]]:
    """Write a legacy GUID; return it with the ids that it spells out."""
    guid = template.format(**ids, **numbers)
    return guid, {name: value for name, value in ids.items() if f"{{{name}}}" in template}


def fates(names: str) -> tuple[str, ...]:
    """Read a list of fates that is written as one text."""
    return tuple(names.split())
