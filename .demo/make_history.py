"""Make the history of an invented household: ``python .demo/make_history.py FOLDER``.

Writes FOLDER/tautulli.db, as Tautulli 2.17 keeps it, and the config.ini beside it. Every run makes
the same plays. Titles, people and ids are invented, and no id is one that its site has given out.
"""

from __future__ import annotations

import random
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

EVENINGS = 2050
SERVER = "f" * 40
MINUTE = 60_000
DAY = 86_400
START, END = (int(datetime(*day, tzinfo=UTC).timestamp()) for day in ((2014, 1, 2), (2026, 7, 1)))
# When the household moved to Plex's own agents. The old ids stay in the rows of before.
MIGRATED = int(datetime(2020, 9, 1, tzinfo=UTC).timestamp())
SCHEMA = Path(__file__).with_name("schema.sql")

CONFIG_INI = """\
[General]
config_version = 22
http_host = 0.0.0.0
http_port = 8181
http_root = ""
enable_https = 0
api_enabled = 0
api_key = 0000-not-a-real-api-key-0000
[PMS]
pms_ip = 192.0.2.1
pms_port = 32400
[Monitoring]
movie_watched_percent = 85
tv_watched_percent = 85
music_watched_percent = 85
watched_marker = 3
"""

USERS = {
    10_000_001: ("alice", "Alice"),
    10_000_002: ("bob", "Bob"),
    10_000_003: ("cagla", "Çağla"),
    10_000_004: ("kids", "Kids"),
}
ROOMMATE = 10_000_005  # deleted in Tautulli, which keeps the plays
WATCHERS = [*USERS, ROOMMATE]
SHARES = (42, 25, 16, 10, 7)

MOVIES, SHOWS, OLD_FILMS, SERIES, ANIME, MUSIC, LIVE = 1, 2, 3, 4, 5, 6, 999_999
LIBRARIES = {
    MOVIES: ("Movies", "movie", "tv.plex.agents.movie"),
    SHOWS: ("TV Shows", "show", "tv.plex.agents.series"),
    OLD_FILMS: ("Old Films", "movie", "com.plexapp.agents.imdb"),
    SERIES: ("Séries", "show", "com.plexapp.agents.thetvdb"),
    ANIME: ("アニメ", "show", "com.plexapp.agents.hama"),
    MUSIC: ("Music", "artist", "tv.plex.agents.music"),
    LIVE: ("Live TV", "live", ""),
}

FILMS = """Harbour Lights|The Last Ferry|Iron Orchard|Été brûlé|Midnight Quarry
The Glass Beacon|Distant Engines|Crimson Meridian|A Quiet Voyage|Über den Strom|Paper Kingdom
The Ninth Lantern|Hollow Garden|Señal perdida|Tidal Nocturne|Winter Passage|The Archivist
Ember & Ash|Velvet Station|O'Malley's Island|Restless River|Gilded Compass|The Long Delta
Silver Uprising|Jade Windmill|The Lonely Tower|Fading Signal|The Red Ledger|Broken Junction
Amber Skies|Łódź by Night|Three Empty Chairs|The Cartographer's Wife|Snow on the Wire|Zephyr
The Understudy|Low Water|Platform Seven|The Borrowed Coat|Salt and Copper|霧の灯台|Northern Line
The Clockmaker's Daughter|Sixty Fathoms|A Field in October|The Man from Trieste
Slow Train to Varna|Quiet as Snow|Bluebird Road|The Weather Station|La maison d'en face
Letters to Ines|The Hollow Coast|Two Days in Bergen|Small Hours|The Orchard Thieves
Dust and Violets|A Map of the Moon|The Tin Menagerie|Captain Marrow|Pip and the Whale
The Fox Who Stayed|Robot Summer|The Cloud Bakery|Grandmother's Rocket|Night Bus|Verlorene Zeit
The Seamstress|Copper Canyon|The Third Violin|Under the Pier|An Honest Forgery|Nine Bells
The Salt Road|Kingfisher|Paradise Garage|Le dernier été|A House by the Weir|The Lamplighters
Falling Slowly Upward|The Interpreter of Birds|Marble and Rain|Overnight to Lisbon
Second Harvest|The Silent Partner|Blackthorn|The Other Brother|A Season of Wolves
Mister Tuesday|The Glass Bridge|Undertow|Cinder Lane|The Beekeeper's War|Half Past Never
The Vanishing Coast|Long Way Down to Ely|Stone Fruit|The Ghost of Pier Nine
Everything but the Piano|The Ice House|Falconer|Sleepless in Skopje|The Good Neighbour
Amaryllis|A Thousand Paper Boats|The Last Projectionist|Wintering"""
SERIES_TITLES = {
    SHOWS: "The Dispatchers|Northbound|Kitchen No. 9|The Late Desk|Cold Harbour|Minor Planets"
    "|The Assessors|Bellweather|Fenland|Night Shift at the Atlas|Harrow & Daughters",
    SERIES: "La Traversée|Brigade du Port|Les Voisins d'en haut|Nuit blanche",
    ANIME: "灯台の猫|Railway Spirits|Sky Ferry Chronicle",
}
EPISODES = """First Light|The Letter|Low Tide|A Visitor|Blackout|The Bridge|Old Friends
Lost Signal|Snowed In|The Witness|Second Chances|The Long Way Round|The Auction|Homecoming
Crossed Wires|The Longest Night|Open House|Fault Lines|A Small Favour|The Photograph
Paper Trail|Cold Start|The Replacement|Stay|Eleven Minutes|What the Tide Left|The Understudy
Borrowed Time|No Vacancy|Static|The Inheritance|Glasshouse|Half the Truth|The Ferryman
Sunday Lunch|Dead Reckoning|The Guest List|All Hands"""
ARTISTS = "The Night Ferries|Ana Costa Trio|Øresund|Kowalski & Sons|Ludo Brandt"
DEVICES = (
    ("Living room", "Plex for Android (TV)", "Android"),
    ("Bedroom", "Plex for Roku", "Roku"),
    ("iPhone", "Plex for iOS", "iOS"),
    ("Firefox", "Plex Web", "Firefox"),
)

Cell = str | int | None


@dataclass
class Item:
    """A film, an episode, a song or a broadcast, with the columns that all its plays share."""

    media_type: str
    section: int
    key: int
    title: str
    duration: int
    guid: str
    later_guid: str = ""  # since the move to other agents
    cells: dict[str, Cell] = field(default_factory=dict)


class Shelves:
    """Invent what can be watched."""

    def __init__(self, rng: random.Random) -> None:
        """Draw from ``rng``."""
        self.rng = rng
        self.lookups: list[tuple[str, dict[str, Cell]]] = []
        self._key = 1000

    def key(self) -> int:
        """Return the next rating key."""
        self._key += 1
        return self._key

    def plex(self, kind: str, of: object) -> str:
        """Return the GUID of Plex's own agent."""
        return f"plex://{kind}/{sha256(f'{kind} {of}'.encode()).hexdigest()[:24]}"

    def films(self) -> list[Item]:
        """Return the films: of a new agent, of a legacy one, or of a legacy one until the move."""
        films = []
        for number, title in enumerate(_titles(FILMS)):
            key, year = self.key(), self.rng.randint(1948, 2025)
            legacy = self.rng.choice(
                (
                    f"com.plexapp.agents.imdb://tt{99_900_000 + number}?lang=en",
                    f"com.plexapp.agents.themoviedb://{9_500_000 + number}?lang=en",
                )
            )
            new = self.plex("movie", number)
            guid = new if number % 8 == 0 else legacy
            later = new if number % 3 == 2 else ""
            section = OLD_FILMS if guid == legacy and not later else MOVIES
            minutes = self.rng.randint(75, 170)
            cells: dict[str, Cell] = {
                "year": year,
                "originally_available_at": f"{year}-0{number % 9 + 1}-15",
            }
            films.append(Item("movie", section, key, title, minutes * MINUTE, guid, later, cells))
            if number % 16 == 0:
                found: dict[str, Cell] = {
                    "rating_key": key,
                    "imdb_id": f"tt{99_900_000 + number}",
                    "themoviedb_id": 9_500_000 + number,
                }
                self.lookups.append(("themoviedb_lookup", found))
        return films

    def episodes(self) -> list[Item]:
        """Return the episodes of all shows."""
        names = _titles(EPISODES)
        episodes = []
        for section, titles in SERIES_TITLES.items():
            for title in _titles(titles):
                show, number = self.key(), 9_700_000 + self._key
                year, minutes = self.rng.randint(1995, 2022), self.rng.choice((24, 42, 52))
                if number % 4:
                    found: dict[str, Cell] = {"rating_key": show, "thetvdb_id": number}
                    self.lookups.append(("tvmaze_lookup", found))
                for season in range(1, self.rng.randint(3, 6)):
                    season_key = self.key()
                    for episode in range(1, self.rng.randint(7, 11)):
                        guid, later = self._episode_guid(section, number, season, episode)
                        cells: dict[str, Cell] = {
                            "parent_rating_key": season_key,
                            "grandparent_rating_key": show,
                            "parent_title": f"Season {season}",
                            "grandparent_title": title,
                            "parent_media_index": season,
                            "media_index": episode,
                            "year": year + season,
                            "originally_available_at": f"{year + season}-03-{episode + 9:02}",
                        }
                        name = names[(show + season * 11 + episode * 3) % len(names)]
                        length = minutes * MINUTE
                        episodes.append(
                            Item(
                                *("episode", section, self.key(), name),
                                *(length, guid, later, cells),
                            )
                        )
                if title == "The Late Desk":  # every night, and known by its date only
                    for item in episodes[-12:]:
                        item.cells |= {"parent_media_index": "", "media_index": ""}
        return episodes

    def _episode_guid(self, section: int, show: int, season: int, episode: int) -> tuple[str, str]:
        plex = self.plex("episode", f"{show}/{season}/{episode}")
        place = f"{show}/{season}/{episode}?lang=en"
        if section == SERIES:
            return f"com.plexapp.agents.thetvdb://{place}", plex if show % 2 else ""
        if section == ANIME:
            return f"com.plexapp.agents.hama://{('anidb', 'tvdb')[show % 2]}-{place}", ""
        return plex, ""

    def others(self) -> list[Item]:
        """Return songs and broadcasts."""
        others = []
        for artist in _titles(ARTISTS):
            for number, title in enumerate(_titles(EPISODES)[:5]):
                cells: dict[str, Cell] = {
                    "grandparent_title": artist,
                    "parent_title": "First Album",
                    "parent_media_index": 1,
                    "media_index": number + 1,
                }
                guid = self.plex("track", artist + title)
                others.append(
                    Item("track", MUSIC, self.key(), title, 4 * MINUTE, guid, cells=cells)
                )
        others += [
            Item(
                *("movie", LIVE, 900_000_000 + number, f"Evening Film {number + 1}"),
                *(95 * MINUTE, f"tv.plex.xmltv://{number}"),
                cells={"live": 1, "channel_call_sign": f"CH{number % 3}"},
            )
            for number in range(8)
        ]
        return others


class Household:
    """Decide who watches what in an evening."""

    def __init__(self, rng: random.Random, shelves: Shelves) -> None:
        """Fill the shelves."""
        self.rng = rng
        self.films, self.others = shelves.films(), shelves.others()
        self.shows: dict[Cell, list[Item]] = {}
        for episode in shelves.episodes():
            self.shows.setdefault(episode.cells["grandparent_title"], []).append(episode)
        self.seen: dict[int, list[Item]] = {user: [] for user in WATCHERS}
        self.next: dict[int, list[Item]] = {user: [] for user in WATCHERS}

    def evening(self, user: int) -> list[Item]:
        """Return the next episodes of the user's show, a film, or music."""
        kind = self.rng.choices(("show", "film", "other"), (52, 38, 10))[0]
        if kind == "other":
            return [self.rng.choice(self.others)]
        if kind == "show":
            if not self.next[user]:  # begin another one
                self.next[user] = [*self.rng.choice([*self.shows.values()])]
            count = self.rng.choice((1, 1, 2, 3))
            chosen, self.next[user] = self.next[user][:count], self.next[user][count:]
            return chosen
        seen = self.seen[user]
        if len(seen) > 10 and self.rng.random() < 0.2:
            return [self.rng.choice(seen[:8])]  # a favourite, again
        film = self.rng.choice(self.films)
        seen.append(film)
        return [film]


def plays(rng: random.Random, shelves: Shelves) -> Iterator[dict[str, Cell]]:
    """Return the rows in the order of their ends, which is how Tautulli writes them."""
    household = Household(rng, shelves)
    rows: list[tuple[int, int, int, int, int, Item, int]] = []
    # More is watched every year.
    shares = sorted(rng.random() ** 0.75 for _ in range(EVENINGS))
    for share in shares:
        day = int(START + (END - START) * share * 0.99) // DAY * DAY
        started = day + rng.randint(17 * 3600, 21 * 3600)
        user = rng.choices(WATCHERS, SHARES)[0]
        for item in household.evening(user):
            viewing, seen, group = len(rows), 0.0, rng.random()
            if group < 0.77:
                stops = [rng.uniform(0.9, 1)]
            elif group < 0.92:
                stops = [rng.uniform(0.03, 0.8)]
            else:  # in two evenings
                stops = [rng.uniform(0.1, 0.7), rng.uniform(0.9, 1)]
            begun = started
            for stop in stops:
                paused = rng.randint(5, 900) if rng.random() < 0.2 else 0
                stopped = begun + int((stop - seen) * item.duration / 1000) + paused
                offset = int(stop * item.duration)
                rows.append((stopped, viewing, begun, paused, offset, item, user))
                begun, seen = stopped + rng.randint(DAY // 2, DAY), stop
            started += item.duration // 1000 + rng.randint(60, 600)
    first: dict[int, int] = {}
    for number, (stopped, viewing, started, paused, offset, item, user) in enumerate(
        sorted(rows, key=lambda row: row[:2]), 1
    ):
        player, product, platform = rng.choice(DEVICES)
        show = item.cells.get("grandparent_title")
        yield {
            "title": item.title,
            "full_title": f"{show} - {item.title}" if show else item.title,
            "originally_available_at": "",
            **item.cells,
            "id": number,
            "reference_id": first.setdefault(viewing, number),
            "started": started,
            "stopped": stopped,
            "paused_counter": paused,
            "view_offset": offset,
            "duration": item.duration,
            "rating_key": item.key,
            "guid": item.later_guid if item.later_guid and started > MIGRATED else item.guid,
            "media_type": item.media_type,
            "section_id": item.section,
            "user_id": user,
            "user": USERS.get(user, ("old_roommate", None))[0],
            "player": player,
            "product": product,
            "platform": platform,
            "machine_id": sha256(player.encode()).hexdigest()[:24],
            "ip_address": f"192.0.2.{DEVICES.index((player, product, platform)) + 10}",
            "location": "lan",
            "secure": 1,
            "relayed": 0,
            "transcode_decision": rng.choice(("direct play", "transcode")),
            "added_at": START - DAY,
        }


def insert(db: sqlite3.Connection, table: str, **row: Cell) -> None:
    """Insert a row. Columns of other tables are left out."""
    columns = [column for (column,) in db.execute("SELECT name FROM pragma_table_info(?)", [table])]
    given = [column for column in columns if column in row]
    names, places = ", ".join(given), ", ".join("?" * len(given))
    db.execute(
        f"INSERT INTO {table} ({names}) VALUES ({places})",  # noqa: S608 - our own names
        [row[column] for column in given],
    )


def make(folder: Path) -> str:
    """Write the database and its config.ini into ``folder``, and return what is in it."""
    rng = random.Random(1)  # noqa: S311 - has to be repeatable, and protects nothing
    path = folder / "tautulli.db"
    folder.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    (folder / "config.ini").write_text(CONFIG_INI, encoding="utf-8")
    with closing(sqlite3.connect(path)) as db, db:
        db.executescript(SCHEMA.read_text(encoding="utf-8"))
        insert(db, "version_info", key="version", value="v2.17.2")
        insert(db, "users", user_id=0, username="Local")
        for number, (name, friendly) in USERS.items():
            insert(db, "users", user_id=number, username=name, friendly_name=friendly)
        for number, (name, kind, agent) in LIBRARIES.items():
            insert(
                *(db, "library_sections"),
                server_id=SERVER,
                section_id=number,
                section_name=name,
                section_type=kind,
                agent=agent,
            )
        shelves = Shelves(rng)
        for row in plays(rng, shelves):
            for table in (
                "session_history",
                "session_history_metadata",
                "session_history_media_info",
            ):
                insert(db, table, **row)
        for table, row in shelves.lookups:
            insert(db, table, **row)
        (total,) = db.execute("SELECT count(*) FROM session_history").fetchone()
    return f"{path}: {total} plays by {len(WATCHERS)} people"


def _titles(text: str) -> list[str]:
    return text.replace("\n", "|").split("|")


if __name__ == "__main__":
    sys.stdout.write(f"{make(Path(sys.argv[1]))}\n")
