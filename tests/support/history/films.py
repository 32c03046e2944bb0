"""Films: one home each, or as many as it takes to be difficult."""

from itertools import cycle

from tests.support.history.media import (
    END,
    FILM_AGENTS,
    MOVED,
    RECREATED,
    START,
    Home,
    Item,
    Maker,
    Subject,
    fates,
    spell,
)
from tests.support.history.people import Section
from tests.support.history.words import HOSTILE, Texts, Titles

#: Fates of the first films, so that the smallest catalogue has them all; the rest is drawn.
_FIRST = fates(
    "plex moved twins recreated namesakes legacy legacy moved unmatched late moved_twins "
    "legacy moved namesakes unmatched plex recreated legacy legacy moved unmatched twins "
    "legacy plex unmatched moved_twins moved plex recreated unmatched late"
)
_LATER = {
    "plex": 30,
    "moved": 22,
    "late": 6,
    "moved_twins": 4,
    "twins": 8,
    "recreated": 12,
    "legacy": 8,
    "unmatched": 6,
    "namesakes": 2,
}
_OLDEST, _NEWEST = 1950, 2013
_MINUTE = 60_000
_LOOKED_UP = 0.4
_IMDB_KNOWN = 0.7

_Span = tuple[int, int]


class Films:
    """Makes films until there are enough."""

    def __init__(self, make: Maker, titles: Titles, texts: Texts) -> None:
        """Start an empty shelf."""
        self._make = make
        self._titles = titles
        self._texts = texts
        self._hostile = list(reversed(HOSTILE))
        self._made: list[Item] = []
        self._moved_agents = cycle(("imdb", "themoviedb"))
        self._kept_agents = cycle(("nfo-imdb", "hama-imdb", "nfo-tmdb", "hama-tmdb"))
        self._fates = {
            "plex": self._plex,
            "moved": self._moved,
            "late": self._late,
            "moved_twins": self._moved_twins,
            "twins": self._twins,
            "recreated": self._recreated,
            "legacy": self._legacy,
            "unmatched": self._unmatched,
            "namesakes": self._namesakes,
        }

    def build(self, count: int) -> list[Item]:
        """Return `count` films or one more (some come in pairs)."""
        later, weights = list(_LATER), list(_LATER.values())
        first = iter(_FIRST)
        while len(self._made) < count:
            fate = next(first, None) or self._make.rng.choices(later, weights)[0]
            self._fates[fate]()
        return self._made

    def _plex(self) -> None:
        """Live in a library of the current agents all along."""
        film = self._film()
        self._current(film, Section.MOVIES, (self._make.added(), END), self._guid())
        self._look_up(film)

    def _moved(self) -> Item:
        """Change agents, keep the rating key: the old plays tell the ids of the new ones."""
        film = self._film()
        self._move(film, self._guid())
        self._look_up(film)
        return film

    def _late(self) -> None:
        """Enter a moved library after it moved: no old play tells anything."""
        film = self._film(year=self._make.rng.randint(2016, 2020))
        self._current(film, Section.OLD_FILMS, (self._make.added(MOVED), END), self._guid())
        self._look_up(film)

    def _twins(self) -> None:
        """Be in two libraries at a time: two rating keys, one GUID."""
        film, guid = self._film(), self._guid()
        self._current(film, Section.MOVIES, (self._make.added(), END), guid)
        self._current(film, Section.MOVIES_4K, (self._make.added(), END), guid)
        self._look_up(film)

    def _moved_twins(self) -> None:
        """Be a twin that only the other's past can name: key → GUID → other key → old GUID."""
        film, guid = self._film(), self._guid()
        self._move(film, guid)
        self._current(film, Section.MOVIES_4K, (MOVED, END), guid)

    def _recreated(self) -> None:
        """Get a new key and a new kind of GUID at once: only title and year go on."""
        film = self._film()
        added = self._make.added(until=RECREATED)
        self._old(film, Section.CINEMA_OLD, (added, RECREATED), next(self._moved_agents))
        self._current(film, Section.CINEMA, (RECREATED, END), self._guid())

    def _legacy(self) -> None:
        """Stay with an agent of old to this day."""
        span = (self._make.added(until=MOVED), END)
        self._old(self._film(), Section.NFO_FILMS, span, next(self._kept_agents))

    def _unmatched(self) -> None:
        """Be a home video: there is nothing to know."""
        film = self._film(known=False)
        span = (self._make.added(), END)
        self._current(film, Section.HOME, span, self._make.unmatched_guid())

    def _namesakes(self) -> None:
        """Share a title with another film, of which more is known."""
        year = self._make.rng.randint(_OLDEST, _NEWEST - 30)
        first = self._film(year=year)
        second = self._film(first.title, year=year + 27)
        self._old(first, Section.OLD_FILMS, (START, END), "imdb")
        self._current(second, Section.MOVIES, (START, END), self._guid())

    def _film(
        self, title: str | None = None, *, year: int | None = None, known: bool = True
    ) -> Item:
        """Return a film that has no home yet."""
        rng = self._make.rng
        number = len(self._made) + 1
        if title is None:
            title = self._hostile.pop() if self._hostile else self._titles.new()
        year = (year or rng.randint(_OLDEST, _NEWEST)) if known else None
        # Old films have seven digits with zeros in front, new ones eight: both are text. And a
        # film's number at TMDB is a show's number too.
        imdb = f"tt{400_000 + number:07d}" if number % 2 else f"tt{40_000_000 + number}"
        ids = {"imdb": imdb, "tmdb": str(5_000_000 + 7 * number)} if known else {}
        film = Item(
            kind="movie",
            subject=Subject(number, title, year, ids),
            title=title,
            year=year,
            duration=rng.randint(70, 170) * _MINUTE + rng.randint(0, _MINUTE),
            media_type="movie",
            aired=f"{year}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}" if year else "",
            marker=self._make.marker(),
            texts=self._texts.draw(),
        )
        self._made.append(film)
        return film

    def _guid(self) -> str:
        return self._make.plex_guid("movie")

    def _move(self, film: Item, guid: str) -> None:
        span = (self._make.added(until=MOVED), MOVED)
        old = self._old(film, Section.OLD_FILMS, span, next(self._moved_agents))
        self._current(film, Section.OLD_FILMS, (MOVED, END), guid, old.rating_key)

    def _old(self, film: Item, section: Section, span: _Span, agent: str) -> Home:
        guid, written = spell(FILM_AGENTS[agent], film.subject.ids)
        home = self._current(film, section, span, guid)
        home.written_ids = written
        return home

    def _current(
        self, film: Item, section: Section, span: _Span, guid: str | None, key: int | None = None
    ) -> Home:
        home = Home(film, section, key or self._make.key(), guid, *span)
        film.homes.append(home)
        return home

    def _look_up(self, film: Item) -> None:
        """Let Tautulli have looked up some of its keys, and found the one id or both."""
        rng = self._make.rng
        if rng.random() > _LOOKED_UP:
            return
        names = ("tmdb", "imdb") if rng.random() < _IMDB_KNOWN else ("tmdb",)
        ids = {name: film.subject.ids[name] for name in names}
        for home in film.homes:
            home.lookup_ids = self._make.look_up("themoviedb_lookup", home.rating_key, ids)
