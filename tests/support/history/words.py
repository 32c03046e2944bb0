"""Invented titles in many scripts, and the long texts that a real metadata row drags along."""

import random

#: Titles that have broken something somewhere. They are given to the first works of a catalogue,
#: so that even the smallest history holds them all.
HOSTILE = (
    "Ember & <b>Bold</b> Claims",
    "The [bold]Red[/bold] [Ledger]",
    "Static \x1b[31mSignal\x1b[0m",
    'Say "Harbour" Twice',
    "O'Malley's Last Ferry",
    "مدينة الضباب",
    "\u202eשער הברזל\u202c",
    "🎬 Popcorn 🍿 Planet",
    "霧の灯台",
    "Тихая Гавань",
    "Ñandú à l'Été Brûlé",
    "Semi;Colon, Comma\tTab",
    "Newline\nMidway",
    "100 % Pure {brace} \\ slash",
    "=SUM(A1:A9)",
    "null",
    "  Padded  ",
    "👩‍👩‍👧 Zero\u200dWidth",
    "e\u0301tude (decomposed)",
    "A Very " + "Long " * 50 + "Title",
)


def _split(words: str) -> tuple[str, ...]:
    return tuple(words.split())


_LATIN = (
    _split(
        "Amber Broken Crimson Distant Eleventh Fading Gilded Hollow Iron Jade Lonely Midnight "
        "Nameless Ochre Pale Quiet Restless Silver Tidal Umbral Velvet Winter Zephyr"
    ),
    _split(
        "Archive Beacon Compass Delta Engine Ferry Garden Harbour Island Junction Kingdom Lantern "
        "Meridian Nocturne Orchard Passage Quarry River Station Tower Uprising Voyage Windmill"
    ),
)
_OTHER_SCRIPTS = (
    (
        _split("Été Forêt Brûlée Über Straße Ångström Čaj Łódź Ñoño Øresund Şehir Žižka"),
        _split("Naïve Cœur Grüße Fjörð Señal Čas Księżyc Ağaç Mötley Võro Œuvre Ĝardeno"),
    ),
    (
        _split("Старый Белый Дальний Немой Синий Последний Тёмный Горький"),
        _split("Берег Поезд Маяк Город Сад Остров Дождь Колокол"),
    ),
    (
        _split("ليل بحر طريق حكاية ظل مدينة"),
        _split("الصمت الريح القمر الذهب الغريب الشمال"),
    ),
    (
        _split("青い 遠い 静かな 最後の 白い 眠る"),
        _split("海岸 列車 灯台 庭園 島 約束"),
    ),
    (
        _split("🌊 🔥 🌙 🚂 🦊 🎈"),
        _split("Parade Holiday Machine Express Diaries Rocket"),
    ),
)
_SENTENCE = _split(
    "nobody remembers why the lights of the small harbour went out before the long winter and two "
    "rivals who share one boat return to a town that is hiding more than its past while a quiet "
    "stranger starts asking questions that cannot be answered until the river freezes over again"
)
_FIRST_NAMES = _split("Ana Ben Cléo Dmitri Eva Finn Gita Hugo Inés Jun Kai Lena Nora Pía Søren")
_LAST_NAMES = _split("Adler Brandt Costa Dubois Egger Fontaine Grant Haddad Itō Jensen Kowalski")
_GENRES = _split("Action Comedy Crime Documentary Drama Fantasy Mystery Romance Thriller")

_POOL = 400
_OTHER_SHARE = 0.3
_ROMAN = ("", " II", " III", " IV", " V", " VI", " VII")


class Titles:
    """Titles that no two works share by accident: those that do, share it on purpose."""

    def __init__(self, rng: random.Random) -> None:
        """Draw from `rng`, so that a seed tells every title."""
        self._rng = rng
        self._used: dict[str, int] = {}

    def new(self) -> str:
        """Return a title that was not returned before."""
        title = self.any()
        again = self._used.get(title, 0)
        self._used[title] = again + 1
        return title + (_ROMAN[again] if again < len(_ROMAN) else f" {again + 1}")

    def any(self) -> str:
        """Return a title that may repeat, as titles of episodes do."""
        rng = self._rng
        first, second = rng.choice(_OTHER_SCRIPTS) if rng.random() < _OTHER_SHARE else _LATIN
        middle = f"{rng.choice(first)} " if rng.random() < _OTHER_SHARE else ""
        return f"{rng.choice(first)} {middle}{rng.choice(second)}"


class Texts:
    """The columns that an importer never needs, in the amounts that real rows hold.

    They come out of a pool, for what matters is how many bytes the database has to step over,
    not that they differ, and a catalogue of 70,000 works has to fit into memory.
    """

    def __init__(self, rng: random.Random) -> None:
        """Write the pool."""
        self._rng = rng
        self._summaries = [self._summary() for _ in range(_POOL)]
        self._casts = [self._people(rng.randint(8, 18)) for _ in range(_POOL)]
        self._writers = [self._people(rng.randint(1, 3)) for _ in range(_POOL)]
        self._taglines = [self._words(rng.randint(4, 9)) for _ in range(_POOL)]

    def draw(self) -> dict[str, str]:
        """Return the text columns of one work."""
        rng = self._rng
        return {
            "summary": rng.choice(self._summaries),
            "actors": rng.choice(self._casts),
            "writers": rng.choice(self._writers),
            "directors": rng.choice(self._writers),
            "tagline": rng.choice(self._taglines),
            "genres": ";".join(rng.sample(_GENRES, 2)),
            "studio": f"{rng.choice(_LATIN[1])} Pictures",
            "content_rating": rng.choice(("G", "PG", "PG-13", "R", "TV-14")),
            "rating": f"{rng.uniform(3, 9.5):.1f}",
        }

    def _summary(self) -> str:
        return " ".join(self._words(self._rng.randint(9, 20)) for _ in range(5))

    def _words(self, count: int) -> str:
        text = " ".join(self._rng.choices(_SENTENCE, k=count))
        return text[0].upper() + text[1:] + "."

    def _people(self, count: int) -> str:
        rng = self._rng
        return ";".join(
            f"{rng.choice(_FIRST_NAMES)} {rng.choice(_LAST_NAMES)}" for _ in range(count)
        )
