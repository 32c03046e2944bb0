"""``--page``: one HTML file about what became of every play."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import Cli
from tests.support.doors import DOORS, opened
from tests.support.history import add_play, add_user, create, generate
from tests.support.inside import Inside

_LARGEST: Final = 100_000
_NEVER_CLOSED: Final = frozenset({"meta", "link", "img", "br", "hr", "input", "source", "base"})
#: The attributes that make a browser fetch or run something.
_FETCHING: Final = frozenset({"src", "srcset", "href", "xlink:href", "action", "data", "poster"})
#: What would be markup if a title were not escaped.
_HOSTILE: Final = (
    "<script>alert(1)</script>",
    "</title></style><img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)',
    "' onfocus='alert(1)",
    "&lt;b&gt; & <b>bold",
    "{{ 7 * 7 }}{% raw %}",
    "]]><!-- comment",
    "https://evil.example/x?y=1",
    "\x1b[31mred\x00\u202egnitirw",
)


class Page(HTMLParser):
    """A page as a browser sees it."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.size = len(content)
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.ids: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(content.decode())
        self.close()
        assert self._open == []

    @classmethod
    def of(cls, path: Path) -> Page:
        """Parse a page. Fail if it is not well nested, or names something outside of it."""
        page = cls(path.read_bytes())
        page.assert_harmless()
        return page

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take in a tag."""
        values = {name: value or "" for name, value in attrs}
        self.tags.append((tag, values))
        self.ids += [values["id"]] if "id" in values else []
        if tag not in _NEVER_CLOSED:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Check that it closes the tag that was opened last."""
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take in a tag without content."""
        self.handle_starttag(tag, attrs)
        if tag not in _NEVER_CLOSED:
            self.handle_endtag(tag)

    def handle_data(self, data: str) -> None:
        """Take in text. Check that a style fetches nothing."""
        if self._open and self._open[-1] == "style":
            assert "@import" not in data
            assert set(re.findall(r"url\(([^)]*)\)", data)) == {"#hole"}
        else:
            self.text += data

    def assert_harmless(self) -> None:
        """Check that nothing is run or fetched, and that links lead to places on the page."""
        names = {tag for tag, _ in self.tags}
        assert (
            names & {"script", "iframe", "object", "embed", "img", "link", "base", "form"} == set()
        )
        for _, values in self.tags:
            assert [name for name in values if name.startswith("on")] == []
            for name in values.keys() & _FETCHING:
                assert values[name].removeprefix("#") in self.ids
        assert len(set(self.ids)) == len(self.ids)

    @property
    def flow(self) -> dict[str, int]:
        """The number of plays of each outcome, by its words."""
        found = re.findall(r"^([0-9,]+) (.+)$", self.text.split("Lists")[0], re.MULTILINE)
        return {words: int(count.replace(",", "")) for count, words in found}

    def list_of(self, words: str) -> str:
        """Return the text of the list of an outcome."""
        return self.text.split(f"{words}\n", 2)[2].split("\n\n\n")[0]


def times(*days: str) -> Iterator[int]:
    """Return the moments at noon of these days."""
    for day in days:
        yield int(datetime.fromisoformat(f"{day}T12:00:00").replace(tzinfo=UTC).timestamp())


@pytest.fixture
def watched(tmp_path: Path) -> Path:
    """Write a film three times, another one once, an episode, one left out and one rejected."""
    path = tmp_path / "tautulli.db"
    with closing(create(path)) as conn:
        add_user(conn, 1, "alice", "Alice A.")
        add_user(conn, 2, "bob", "Bobby")
        one, two, three, four = times("2020-01-15", "2020-01-20", "2020-05-01", "2020-06-01")
        for started in (one, two, three):
            add_play(conn, title="Again", year=2001, guid="imdb://tt0000001", started=started)
        add_play(conn, title="Once", year=2002, started=two)
        add_play(conn, media_type="episode", grandparent_title="A Show", started=four)
        add_play(conn, title="Begun", year=2003, view_offset=1, started=four, user_id=2, user="bob")
        add_play(
            conn,
            media_type="episode",
            grandparent_title="Numberless",
            media_index="",
            started=four,
            ip_address="203.0.113.7",
        )
    return path


@pytest.mark.parametrize(
    ("command", "end"),
    [
        (("db", "tautulli.db", "--to", "tracker"), "imported"),
        (("db", "tautulli.db", "--to", "tracker", "--dry-run"), "to import"),
        (("check", "tautulli.db"), "to import"),
    ],
)
@pytest.mark.usefixtures("watched")
def test_the_page_counts_every_play_once(
    inside: Inside, tmp_path: Path, command: tuple[str, ...], end: str
) -> None:
    done = inside(*command, "--page", "page.html")

    assert done.code == 0, done.err
    page = Page.of(tmp_path / "page.html")
    assert page.flow == {
        f"films {end}": 2,
        f"episode {end}": 1,
        "merged: another play of the same film or episode": 2,
        "left out: not watched to the end": 1,
        "rejected: an episode without an episode number": 1,
    }
    assert "What became of 7 plays" in page.text
    assert "Again (2001) 2\u00a0plays" in page.list_of(
        "merged: another play of the same film or episode"
    )
    assert "Begun (2003)" in page.list_of("left out: not watched to the end")
    assert "Numberless" in page.list_of("rejected: an episode without an episode number")


def test_the_page_has_the_numbers_of_the_summary(inside: Inside, tmp_path: Path) -> None:
    generate(tmp_path / "big.db", plays=2000, truth=False)

    done = inside("db", "big.db", "--to", "tracker", "--json", "--page", "page.html")

    plays = json.loads(done.out)["plays"]
    flow = Page.of(tmp_path / "page.html").flow
    assert sum(flow.values()) == plays["read"] == 2000
    for start, expected in (
        ("merged", plays["merged"]),
        ("left out", sum(plays["filtered"].values())),
        ("rejected", sum(plays["rejected"].values())),
    ):
        assert sum(n for words, n in flow.items() if words.startswith(start)) == expected > 0


def test_what_a_format_cannot_hold_is_not_called_imported(
    inside: Inside, watched: Path, tmp_path: Path
) -> None:
    page, report = tmp_path / "page.html", tmp_path / "report.json"
    done = inside(
        *("db", watched, "--to", "letterboxd", "--no-enrich", "--all-users"),
        *("--page", page, "--report", report),
    )
    assert done.code == 0, done.err
    told = json.loads(report.read_bytes())
    (output,) = told["outputs"]
    outcomes = Page.of(page).flow
    assert sum(outcomes.values()) == told["plays"]["read"]
    assert output["left_out"]
    for reason, count in output["left_out"].items():
        assert outcomes[f"left out: {reason}"] == count
    imported = [count for name, count in outcomes.items() if name.endswith("imported")]
    assert sum(imported) == output["total"]


def test_a_month_without_plays_is_named(inside: Inside, watched: Path, tmp_path: Path) -> None:
    inside("check", watched, "--page", "page.html")

    page = Page.of(tmp_path / "page.html")
    assert "No play in Feb 2020 to Apr 2020." in page.text
    cells = [values["class"] for tag, values in page.tags if tag == "rect" and "y" in values]
    assert cells.count("hole") == 3
    assert "Jan 2020: 3" in page.text
    assert "Wed 14:00: 1" in page.text  # a film of two hours, begun on 15 January at noon


def test_shows_films_seen_again_and_titles_without_ids_are_listed(
    inside: Inside, watched: Path, tmp_path: Path
) -> None:
    inside("check", watched, "--page", "page.html")

    text = Page.of(tmp_path / "page.html").text
    shows, again, ids = re.split("Top shows|Films seen again|Without an external id", text)[1:]
    assert "A Show 1 episode" in shows
    assert "Numberless" not in shows  # all of its plays were rejected
    assert "Again (2001)" in again
    assert "Once" not in again
    assert "Once (2002)" in ids
    assert "Again" not in ids


def test_both_doors_give_the_same_page(
    tmp_path: Path, environment: dict[str, str], watched: Path
) -> None:
    pages: list[str] = []
    with opened(tmp_path, environment, database=watched) as doors:
        for door in DOORS:
            page = tmp_path / f"{door}.html"
            done = doors.run(door, "--to", "tracker", "--out", tmp_path / door, "--page", page)
            assert done.code == 0, done.err
            Page.of(page)
            pages.append(_without_heading(page))

    assert pages[0] == pages[1] == pages[2]


def _without_heading(page: Path) -> str:
    """Return the page without the line that names its source and its time."""
    text = page.read_text(encoding="utf-8")
    without = re.sub(r'<p class="quiet">.*?</p>\n', "", text, count=1, flags=re.DOTALL)
    assert "<time" not in without
    return without


def test_the_same_history_gives_the_same_page(
    inside: Inside, watched: Path, tmp_path: Path
) -> None:
    for name in ("one.html", "two.html"):
        inside("db", watched, "--dry-run", "--page", name)

    assert _without_heading(tmp_path / "one.html") == _without_heading(tmp_path / "two.html")


@pytest.mark.parametrize("title", _HOSTILE)
def test_a_title_stays_text(inside: Inside, tmp_path: Path, title: str) -> None:
    with closing(create(tmp_path / "tautulli.db")) as conn:
        add_user(conn, 1, "alice", f"{title} A.")
        for _ in range(2):
            add_play(conn, title=title)
        add_play(conn, media_type="episode", title=title, grandparent_title=title)
        add_play(conn, title=title, year=1999, view_offset=1)
        add_play(conn, media_type="episode", title=title, grandparent_title=title, media_index="")

    done = inside("check", "tautulli.db", "--user", "1", "--page", "page.html")

    assert done.code == 0, done.err
    page = Page.of(tmp_path / "page.html")
    seen = re.sub("[\x00\x1b\u202e]", "\ufffd", title)
    assert page.text.count(seen) >= 8
    assert page.text.count("49") == 0
    assert {"\x1b", "\x00", "\u202e"} & set(page.text) == set()


def test_the_page_tells_nothing_of_others(inside: Inside, watched: Path, tmp_path: Path) -> None:
    inside("db", watched, "--dry-run", "--user", "alice", "--page", "page.html")

    content = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "plays of Alice A." in content
    assert "left out: other users&#39; plays" in content
    for word in ("Bobby", "bob", "Begun", "203.0.113.7", str(tmp_path)):
        assert word not in content


def test_the_page_names_nobody_who_was_not_chosen(
    inside: Inside, watched: Path, tmp_path: Path
) -> None:
    for options in ((), ("--each-user",)):
        inside("db", watched, "--dry-run", *options, "--page", "page.html")

        content = (tmp_path / "page.html").read_text(encoding="utf-8")
        assert [name for name in ("Alice", "alice", "Bobby", "bob") if name in content] == []


def test_an_address_and_a_key_are_not_on_the_page(
    tmp_path: Path, environment: dict[str, str], watched: Path
) -> None:
    with opened(tmp_path, environment, database=watched) as doors:
        doors.run("api", "--dry-run", "--page", tmp_path / "page.html")

        content = (tmp_path / "page.html").read_text(encoding="utf-8")
        assert doors.fake.key not in content
        assert doors.fake.url not in content
        assert "http" not in content.replace("http-equiv", "")


def test_an_empty_history_has_a_page(inside: Inside, tmp_path: Path) -> None:
    with closing(create(tmp_path / "empty.db")):
        pass

    for command in (("check", "empty.db"), ("db", "empty.db", "--dry-run")):
        assert inside(*command, "--page", "page.html").code == 0
        page = Page.of(tmp_path / "page.html")
        assert "The history has no plays." in page.text
        assert page.flow == {}


def test_years_of_plays_fit_in_a_small_page(cli: Cli, tmp_path: Path) -> None:
    generate(tmp_path / "big.db", plays=10_000, truth=False, variety=8)

    assert cli("check", "big.db", "--page", "page.html", "--quiet").code == 0

    page = Page.of(tmp_path / "page.html")
    assert page.size <= _LARGEST
    assert sum(page.flow.values()) == 10_000
    rejected = page.list_of("rejected: an episode without an episode number")
    assert re.search(r"and [0-9,]+ more; check --verbose lists all", rejected)


def test_a_page_with_long_titles_is_small_as_well(inside: Inside, tmp_path: Path) -> None:
    with closing(create(tmp_path / "tautulli.db")) as conn:
        for number in range(60):
            title = str(number) + '"&' * 5000
            for offset in (None, 1):
                more = {} if offset is None else {"view_offset": offset}
                add_play(conn, title=title, **more)
                add_play(conn, title=title, **more)
                add_play(conn, media_type="episode", grandparent_title=title, **more)

    assert inside("db", "tautulli.db", "--dry-run", "--page", "page.html").code == 0

    page = Page.of(tmp_path / "page.html")
    assert page.size <= _LARGEST
    assert re.search(r"and [0-9]+ more", page.text)


def test_a_history_of_which_nothing_is_imported_has_a_page(inside: Inside, tmp_path: Path) -> None:
    with closing(create(tmp_path / "tautulli.db")) as conn:
        add_play(conn, media_type="episode", grandparent_title="Numberless", media_index="")

    assert inside("check", "tautulli.db", "--page", "page.html").code == 0

    page = Page.of(tmp_path / "page.html")
    assert page.flow == {"rejected: an episode without an episode number": 1}
    assert "Top shows" not in page.text


def test_every_viewing_is_counted_with_rewatches(
    inside: Inside, watched: Path, tmp_path: Path
) -> None:
    inside("db", watched, "--dry-run", "--rewatches", "--page", "page.html")

    flow = Page.of(tmp_path / "page.html").flow
    assert flow["viewings of films to import"] == 4
    assert flow["viewing of episodes to import"] == 1


def test_people_can_read_the_page_in_their_way(
    inside: Inside, watched: Path, tmp_path: Path
) -> None:
    inside("check", watched, "--page", "page.html")

    page = Page.of(tmp_path / "page.html")
    tags = [tag for tag, _ in page.tags]
    assert dict(page.tags)["html"]["lang"] == "en"
    assert tags.count("h1") == tags.count("main") == 1
    levels = [int(tag[1]) for tag in tags if re.fullmatch("h[1-6]", tag)]
    assert all(after - before <= 1 for before, after in pairwise(levels))
    for tag, values in page.tags:
        if tag == "svg":
            assert values.get("aria-hidden") == "true" or values["aria-labelledby"] in page.ids
    assert tags.count("details") == tags.count("summary")


# Files.


@pytest.mark.parametrize("command", [("db", "--dry-run"), ("check",)])
def test_the_page_replaces_only_a_page(
    inside: Inside, watched: Path, tmp_path: Path, command: tuple[str, ...]
) -> None:
    page, mine = tmp_path / "page.html", tmp_path / "mine.html"
    mine.write_text("<!DOCTYPE html>\n<title>My page</title>", encoding="utf-8")

    assert inside(*command, watched, "--page", page).code == 0
    assert inside(*command, watched, "--page", page).code == 0
    refused = inside(*command, watched, "--page", mine)

    assert refused.code == 8
    assert "mine.html is not a page of this program, so it is not replaced." in refused.err
    assert "My page" in mine.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--page", "tautulli.db"), 2, "--page tautulli.db would overwrite Tautulli's database."),
        (("--page", "ids.csv", "--ids", "ids.csv"), 2, "would overwrite the file of --ids"),
        (("--page", "no/page.html"), 8, "there is no directory no"),
        (("--page", "."), 8, "Cannot write the page to .: it is a directory."),
        (("--page", "-"), 2, "--page cannot write to standard output."),
        (("--page", "x.html", "--report", "x.html"), 2, "--page and --report would both write"),
        (("--page", "out/history.json"), 2, "which is the file of --page"),
        (
            ("--page", "x.html", "--events", "--to", "jsonl"),
            2,
            "this run writes only playback events",
        ),
    ],
)
@pytest.mark.usefixtures("watched")
def test_a_page_that_has_nowhere_to_go_is_found_out_before_the_work(
    inside: Inside, tmp_path: Path, options: tuple[str, ...], code: int, words: str
) -> None:
    (tmp_path / "ids.csv").write_text("type,title,imdb\n", encoding="utf-8")
    (tmp_path / "out").mkdir()
    before = sorted(tmp_path.glob("*"))
    to = () if "--to" in options else ("--to", "tracker", "--out", "out")

    done = inside("db", "tautulli.db", *to, *options)

    assert (done.code, words in done.err) == (code, True), done.err
    assert list((tmp_path / "out").iterdir()) == []
    assert not (tmp_path / "x.html").exists()
    assert [path for path in sorted(tmp_path.glob("*")) if path not in before] in (
        [],
        [tmp_path / "home"],
    )


def test_the_list_and_the_page_of_check_are_two_files(inside: Inside, watched: Path) -> None:
    done = inside("check", watched, "--page", "x", "--missing-ids", "x")

    assert done.code == 2
    assert "--page and --missing-ids would both write x." in done.err


def test_a_run_that_fails_leaves_the_old_page(
    inside: Inside, watched: Path, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    inside("check", watched, "--page", page)
    before = page.read_bytes()
    watched.write_bytes(watched.read_bytes()[:20_000])

    done = inside("check", watched, "--page", page)

    assert done.code == 7
    assert page.read_bytes() == before


def test_an_output_that_failed_is_not_called_imported(
    inside: Inside, watched: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "tracker"
    folder.mkdir()
    (folder / "snapshots").write_text("in the way", encoding="utf-8")

    done = inside("db", watched, "--to", "tracker", "--out", folder, "--page", "page.html")

    assert done.code == 8
    text = Page.of(tmp_path / "page.html").text
    assert "An output failed." in text
    assert "films to import" in text
