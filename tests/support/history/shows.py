"""Shows and their episodes: the same fates as films, and some that only numbers can have."""

from dataclasses import dataclass
from itertools import cycle
from typing import NamedTuple

from tests.support.history.media import (
    END,
    MOVED,
    RECREATED,
    SHOW_AGENTS,
    START,
    Home,
    Item,
    Maker,
    Subject,
    epoch,
    fates,
    spell,
)
from tests.support.history.people import Section
from tests.support.history.words import HOSTILE, Texts, Titles

#: Fates of the first shows, so that the smallest catalogue has them all; the rest is drawn.
_FIRST = fates(
    "moved plex namesakes recreated legacy anime daily anime seasonless moved unmatched anime "
    "legacy late moved daily"
)
_LATER = {
    "plex": 34,
    "moved": 24,
    "late": 6,
    "recreated": 12,
    "anime": 10,
    "legacy": 4,
    "unmatched": 3,
    "daily": 3,
    "seasonless": 1,
    "namesakes": 2,
}
_OLDEST, _NEWEST, _LAST_SEASON = 1990, 2012, 2024
_MINUTE = 60_000
_LOOKED_UP = 0.5
_PLAIN = 0.2
_SHORTEST, _SEASON_LENGTHS = 4, (6, 13)

_Span = tuple[int, int]


class Keys(NamedTuple):
    """The rating keys of a show in one library, its seasons' and its episodes'."""

    show: int
    seasons: dict[str, int]
    episodes: list[int]


@dataclass(slots=True, eq=False)
class Show:
    """A show with its episodes in order, specials first."""

    subject: Subject
    episodes: list[Item]


class Shows:
    """Makes shows until there are enough episodes."""

    def __init__(self, make: Maker, titles: Titles, texts: Texts, *, mean_length: int) -> None:
        """Start with no show; their lengths will be around `mean_length`."""
        self._make = make
        self._titles = titles
        self._texts = texts
        self._mean = mean_length
        self._shows: list[Show] = []
        self._hostile = list(HOSTILE)
        self._moved_agents = cycle(("thetvdb", "mcm", "themoviedb"))
        self._anime_agents = cycle(("hama-tvdb", "hama-anidb", "hama-tvdb2"))
        self._no_number = cycle(("", None))
        self._daily_seasons = cycle((True, False))
        self._looked_up = False
        self._made = 0
        self._fates = {
            "plex": self._plex,
            "moved": self._moved,
            "late": self._late,
            "recreated": self._recreated,
            "anime": self._anime,
            "legacy": self._legacy,
            "unmatched": self._unmatched,
            "daily": self._daily,
            "seasonless": self._seasonless,
            "namesakes": self._namesakes,
        }

    def build(self, count: int) -> list[Item]:
        """Return the episodes of enough shows to make `count`, or a few more."""
        later, weights = list(_LATER), list(_LATER.values())
        first = iter(_FIRST)
        while (fate := next(first, None)) or self._made < count:
            self._fates[fate or self._make.rng.choices(later, weights)[0]]()
        return [episode for show in self._shows for episode in show.episodes]

    def _plex(self) -> None:
        """Live in a library of the current agents all along."""
        show = self._show()
        keys = self._settle(show, Section.SHOWS, (self._make.added(), END), None)
        self._look_up(show, keys)

    def _moved(self) -> None:
        """Change agents, keep the keys; episodes of later years have only the new GUIDs."""
        show = self._show()
        keys = self._keys(show)
        agent = next(self._moved_agents)
        self._settle(show, Section.SERIES, (self._make.added(until=MOVED), MOVED), agent, keys)
        self._settle(show, Section.SERIES, (MOVED, END), None, keys)

    def _late(self) -> None:
        """Enter a moved library after it moved: no old play tells anything."""
        show = self._show()
        keys = self._settle(show, Section.SERIES, (self._make.added(MOVED), END), None)
        self._look_up(show, keys)

    def _recreated(self) -> None:
        """Get new keys and a new kind of GUID: only titles and numbers go on."""
        show = self._show()
        self._settle(show, Section.KIDS_OLD, (START, RECREATED), next(self._moved_agents))
        self._settle(show, Section.KIDS, (RECREATED, END), None)

    def _anime(self) -> None:
        """Be known by an agent that writes ids of two kinds, with orders of its own."""
        show = self._show(anime=True)
        self._settle(show, Section.ANIME, (self._make.added(), END), next(self._anime_agents))

    def _legacy(self) -> None:
        """Stay with an agent of old to this day."""
        self._settle(self._show(), Section.NFO_SHOWS, (self._make.added(), END), "nfo")

    def _unmatched(self) -> None:
        """Be known to nobody, with numbers all the same."""
        show = self._show(known=False)
        self._settle(show, Section.SHOWS, (self._make.added(), END), "")

    def _daily(self) -> None:
        """Be counted by date: no episode number, and for a season a year or nothing."""
        show = self._show()
        by_year = next(self._daily_seasons)
        for episode in show.episodes:
            episode.episode, episode.episode_cell = None, next(self._no_number)
            episode.season = episode.year if by_year else None
            episode.season_cell = episode.year if by_year else next(self._no_number)
        self._settle(show, Section.SERIES, (self._make.added(), END), "daily")

    def _seasonless(self) -> None:
        """Have episode numbers, but no season that they count in."""
        show = self._show()
        for episode in show.episodes:
            episode.season, episode.season_cell = None, next(self._no_number)
        self._settle(show, Section.SHOWS, (START, END), None)

    def _namesakes(self) -> None:
        """Share a title, numbers and even a "Pilot" with another show, of which more is known."""
        first = self._show()
        second = self._show(first.subject.title)
        self._settle(first, Section.SERIES, (START, END), "thetvdb")
        self._settle(second, Section.SHOWS, (START, END), None)

    def _show(
        self,
        title: str | None = None,
        *,
        anime: bool = False,
        known: bool = True,
        plain_titles: bool = True,
    ) -> Show:
        """Return a show with episodes that have no home yet."""
        rng = self._make.rng
        number = len(self._shows) + 1
        if title is None:
            title = self._hostile.pop(0) if self._hostile else self._titles.new()
        ids = {
            "tvdb": str(700_000 + 3 * number),
            "tmdb": str(5_000_000 + 7 * number),
            "imdb": f"tt{800_000 + number:07d}" if number % 2 else f"tt{30_000_000 + number}",
        }
        if anime:
            ids["anidb"] = str(90_000 + number)
        year = rng.randint(_OLDEST, _NEWEST)
        show = Show(Subject(number, title, year, ids if known else {}), [])
        self._fill(show, year, plain_titles=plain_titles)
        self._shows.append(show)
        self._made += len(show.episodes)
        return show

    def _fill(self, show: Show, year: int, *, plain_titles: bool) -> None:
        rng = self._make.rng
        length = max(_SHORTEST, int(self._mean * rng.uniform(0.5, 1.5)))
        duration = rng.randint(20, 60) * _MINUTE
        marker, texts = self._make.marker(), self._texts.draw()
        size = _SHORTEST - 1 if length < _SEASON_LENGTHS[1] else rng.randint(*_SEASON_LENGTHS)
        numbers = [(0, n) for n in range(1, 1 + len(self._shows) % 3)]
        numbers += [(1 + n // size, 1 + n % size) for n in range(length)]
        for season, episode in numbers:
            aired = min(year + max(season, 1) - 1, _LAST_SEASON)
            show.episodes.append(
                Item(
                    kind="episode",
                    subject=show.subject,
                    title=self._title(season, episode) if plain_titles else self._titles.new(),
                    year=aired,
                    duration=duration + rng.randint(-_MINUTE, _MINUTE),
                    media_type="episode",
                    parent_title=f"Season {season}" if season else "Specials",
                    season=season,
                    episode=episode,
                    season_cell=season,
                    episode_cell=episode,
                    aired=f"{aired}-{1 + (episode + show.subject.number) % 12:02d}"
                    f"-{1 + (3 * episode + show.subject.number) % 28:02d}",
                    marker=marker,
                    texts=texts,
                )
            )

    def _title(self, season: int, episode: int) -> str:
        """Return a title as episodes have them: often the same as another show's."""
        if (season, episode) == (1, 1):
            return "Pilot"
        if self._make.rng.random() < _PLAIN:
            return f"Episode {episode}"
        return self._titles.any()

    def _keys(self, show: Show) -> Keys:
        make = self._make
        key = make.key()
        seasons = {
            name: make.key() for name in dict.fromkeys(e.parent_title for e in show.episodes)
        }
        return Keys(key, seasons, [make.key() for _ in show.episodes])

    def _settle(
        self, show: Show, section: Section, span: _Span, agent: str | None, keys: Keys | None = None
    ) -> Keys:
        """Give every episode a home that began when it was both there and aired.

        `agent` is a legacy one, None for the current ones, '' for none at all.
        """
        keys = keys or self._keys(show)
        for episode, key in zip(show.episodes, keys.episodes, strict=False):
            since = max(span[0], epoch(episode.year or _OLDEST, 2))
            if since >= span[1]:
                continue
            guid, written = self._guid(episode, agent)
            season_key = keys.seasons[episode.parent_title]
            home = Home(episode, section, key, guid, since, span[1], season_key, keys.show, written)
            episode.homes.append(home)
        return keys

    def _guid(self, episode: Item, agent: str | None) -> tuple[str | None, dict[str, str]]:
        if agent is None:
            return self._make.plex_guid("episode"), {}
        if not agent:
            return self._make.unmatched_guid(), {}
        guid, written = spell(
            SHOW_AGENTS[agent],
            episode.subject.ids,
            season=episode.season,
            episode=episode.episode,
            date=episode.aired,
        )
        # Ids of these say nothing: the numbers are not those of the site.
        is_own_order = agent in ("dvdorder", "hama-tvdb4")
        is_later = agent == "hama-anidb" and (episode.season or 0) > 1
        return guid, {} if is_own_order or is_later else written

    def _look_up(self, show: Show, keys: Keys) -> None:
        """Let Tautulli have looked the show up, by the show's key."""
        make, ids = self._make, show.subject.ids
        found: dict[str, str] = {}
        if make.rng.random() < _LOOKED_UP or not self._looked_up:
            found |= make.look_up("tvmaze_lookup", keys.show, {n: ids[n] for n in ("tvdb", "imdb")})
        if make.rng.random() < _LOOKED_UP / 2:
            found |= make.look_up("themoviedb_lookup", keys.show, {"tmdb": ids["tmdb"]})
        self._looked_up = True
        for home in (home for episode in show.episodes for home in episode.homes):
            home.lookup_ids = found
