"""What a person sees; and what a terminal must never be told by a title."""

import json
import re
import unicodedata
from contextlib import closing
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from tautulli_import.cli.console import Screen
from tautulli_import.errors import NotFoundError
from tautulli_import.formatting import harmless
from tests.conftest import Cli
from tests.support.history import add_library, add_play, add_user, create, generate
from tests.support.terminal import in_a_terminal

EVIL = (
    "Evil \x1b[31mTITLE\x1b]0;pwned\x07 [red]markup[/red] \u202etxet \x9b2J \r\n next\x00 :smile:"
)
_FORBIDDEN = ("\x1b[31m", "\x1b]0;", "\x07", "\u202e", "\x9b", "\x00")


def evil_history(path: Path) -> Path:
    """Every name that a person may choose is one that a terminal would obey."""
    with closing(create(path)) as conn:
        add_user(conn, 1, "\x1b[31muser", "\x1b[31mAl\u202eice")
        add_user(conn, 2, "bob", "Bob\x07")
        add_library(conn, 1, "Fil\x1b[31mms", "movie")
        add_library(conn, 2, "TV [red]x[/red]", "show")
        add_play(conn, title=EVIL, year=2001)
        add_play(conn, title="Plain", year=2002, user_id=2)
        add_play(conn, media_type="episode", grandparent_title=EVIL, title=EVIL)
        add_play(conn, media_type="episode", grandparent_title=EVIL, title=EVIL, media_index="")
    return path


# Titles in files.


def test_files_carry_a_title_as_it_is(cli: Cli, tmp_path: Path) -> None:
    database = evil_history(tmp_path / "a.db")
    sinks = ("--to", "tracker", "--to", "editor", "--to", "jsonl", "--report", "report.json")

    result = cli("db", database, *sinks)

    assert result.code == 0
    lines = [json.loads(line) for line in result.out.removesuffix("\n").split("\n")]
    tracker = json.loads((tmp_path / "crosswatch-tracker" / "history.json").read_bytes())
    editor = json.loads((tmp_path / "tautulli-editor-history.json").read_bytes())
    for items in (lines, list(tracker["items"].values()), editor["items"]):
        assert [item["title"] for item in items] == [EVIL, "Plain", EVIL]
        assert items[2]["series_title"] == EVIL
    report = json.loads((tmp_path / "report.json").read_bytes())
    assert report["without_external_id"][0]["title"] == EVIL
    assert report["rejected_rows"][0]["detail"] == f"{EVIL} - {EVIL}"


# Titles on a terminal.

_LOOKS: dict[str, list[str]] = {
    "a dry run": ["db", "a.db", "--dry-run"],
    "a dry run for each user": ["db", "a.db", "--dry-run", "--each-user"],
    "a run": ["db", "a.db", "--to", "tracker", "--verbose"],
    "a run for each user": ["db", "a.db", "--to", "tracker", "--each-user"],
    "the users": ["users", "a.db"],
    "the libraries": ["libraries", "a.db"],
    "a check": ["check", "a.db", "--verbose"],
    "why": ["why", "TITLE", "a.db"],
    "why there is no such title": ["why", "\x1b[31mnone\x07", "a.db"],
    "the titles without ids": ["unresolved", "a.db"],
    "an unknown user": ["db", "a.db", "--dry-run", "--user", "nob\x1b[31mody"],
    "a user nearly": ["db", "a.db", "--dry-run", "--user", "\x1b[31musre"],
    "an unknown library": ["db", "a.db", "--dry-run", "--library", "\x1b[31mx\u202e"],
    "a file that is missing": ["db", "\x1b[31mgone\x07.db", "--dry-run"],
    "a date": ["db", "a.db", "--dry-run", "--since", "\x1b[31mnever\x07"],
    "a sink": ["db", "a.db", "--to", "\x1b[31mnowhere\x07"],
    "a choice": ["db", "a.db", "--dry-run", "--format", "\x1b[31mx\x07"],
    "a number": ["db", "a.db", "--dry-run", "--min-percent", "\x1b[31mx\x07"],
    "an option": ["db", "a.db", "--\x1b[31mx\x07"],
    "a command": ["\x1b[31mx\x07"],
}


@pytest.mark.parametrize("args", _LOOKS.values(), ids=_LOOKS.keys())
def test_a_terminal_never_sees_what_it_would_obey(
    tmp_path: Path, environment: dict[str, str], args: list[str]
) -> None:
    evil_history(tmp_path / "a.db")

    # Without styles of our own, whatever escape is left came from a name.
    _, shown = in_a_terminal(
        *args, cwd=tmp_path, environment=environment, TERM="dumb", NO_COLOR="1"
    )

    assert shown.strip()
    assert [code for code in _FORBIDDEN if code in shown] == []


def test_markup_and_emoji_codes_in_a_title_are_shown_as_they_are(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    evil_history(tmp_path / "a.db")
    code, shown = in_a_terminal("db", "a.db", "--dry-run", cwd=tmp_path, environment=environment)
    assert code == 0
    assert "[red]markup[/red]" in shown
    assert ":smile:" in shown


def test_a_dry_run_on_a_terminal_is_a_table_with_what_would_change(
    tmp_path: Path, environment: dict[str, str], history: Path
) -> None:
    args = ("db", history, "--dry-run", "--user", "alice")
    code, shown = in_a_terminal(*args, cwd=tmp_path, environment=environment, NO_COLOR="1")
    assert code == 0
    assert "First Film" in shown
    assert "S01E01" in shown
    assert ": 3 new." in shown
    assert '"key"' not in shown

    _, lines = in_a_terminal(*args, "--format", "jsonl", cwd=tmp_path, environment=environment)
    assert lines.count('{"key":') == 3


_COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-7]|9[0-7]|4[0-7]|38;|48;)")


@pytest.mark.parametrize(
    ("options", "env", "colours"),
    [
        ([], {}, True),
        (["--no-color"], {}, False),
        ([], {"NO_COLOR": "1"}, False),
        ([], {"TAUTULLI_IMPORT_COLOR": "false"}, False),
    ],
    ids=["by itself", "--no-color", "NO_COLOR", "the setting"],
)
def test_colours_can_be_turned_off_everywhere(
    tmp_path: Path,
    environment: dict[str, str],
    history: Path,
    *,
    options: list[str],
    env: dict[str, str],
    colours: bool,
) -> None:
    for args in (["--dry-run"], ["--dry-run", "--user", "nobody"]):
        _, shown = in_a_terminal(
            "db", history, *args, *options, cwd=tmp_path, environment={**environment, **env}
        )
        assert bool(_COLOUR.search(shown)) == colours, args


def test_there_is_progress_on_a_terminal_and_nowhere_else(
    cli: Cli, tmp_path: Path, environment: dict[str, str]
) -> None:
    generate(tmp_path / "a.db", plays=3000, truth=False)
    args = ("db", "a.db", "--to", "tracker", "--all-users", "--batch-size", "100")

    _, shown = in_a_terminal(*args, cwd=tmp_path, environment=environment)
    _, quiet = in_a_terminal(*args, "--quiet", cwd=tmp_path, environment=environment)
    piped = cli(*args)

    assert "Reading plays" in shown
    assert "Reading plays" not in quiet
    assert "Reading plays" not in piped.err
    assert "\x1b" not in piped.err


def test_next_steps_are_for_a_person(cli: Cli, tmp_path: Path, environment: dict[str, str]) -> None:
    generate(tmp_path / "a.db", plays=100, truth=False)
    args = ("db", "a.db", "--to", "tracker", "--all-users", "--restart")

    _, shown = in_a_terminal(*args, "--out", "one", cwd=tmp_path, environment=environment)
    piped = cli(*args, "--out", "two")

    assert "Next:" in shown
    assert " are now in two (tracker): " in piped.err
    assert "Next:" not in piped.err


def test_next_steps_are_for_the_outputs_of_all_users(
    history: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    args = ("db", history, "--to", "tracker", "--to", "letterboxd", "--each-user")
    _, shown = in_a_terminal(*args, cwd=tmp_path, environment=environment)
    told = " ".join(shown.partition("Next:")[2].split())
    assert "with crosswatch-tracker/Alice/history.json." in told
    others = "These steps are for Alice. Repeat them for each other user, in a profile or account"
    assert f"{others} of their own: crosswatch-tracker/Bob." in told
    assert told.count(others) == 2


# Its parts.


@given(st.text())
def test_what_is_shown_holds_nothing_that_a_terminal_obeys(text: str) -> None:
    shown = harmless(text)
    assert len(shown) == len(text)
    assert not any(unicodedata.category(character) in ("Cc", "Cs") for character in shown)
    overrides = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    assert not any(unicodedata.bidirectional(character) in overrides for character in shown)


@pytest.mark.parametrize("text", ["Amélie", "アニメ 🌸", "[bold]x[/bold]", "a - b", "שלום"])
def test_a_title_that_does_no_harm_is_shown_as_it_is(text: str) -> None:
    assert harmless(text) == text


def test_an_error_is_a_sentence_and_a_hint() -> None:
    err = StringIO()
    Screen(err=err, out=StringIO()).error(NotFoundError("No [b]x\x1b[1m.", hint="Look:\x07 there."))
    assert err.getvalue().splitlines() == [
        "Error: No [b]x\ufffd[1m.",
        "  Look:\ufffd there.",
    ]


def test_quiet_silences_notes_and_not_warnings_and_errors() -> None:
    err, out = StringIO(), StringIO()
    screen = Screen(quiet=True, verbose=True, err=err, out=out)
    screen.note("a note")
    screen.detail("a detail")
    with screen.progress() as bar:
        assert bar is None
    assert err.getvalue() == ""
    screen.warn("look at this")
    screen.error(NotFoundError("gone"))
    assert err.getvalue().splitlines() == ["Warning: look at this", "Error: gone"]
    assert out.getvalue() == ""


def test_details_are_for_verbose() -> None:
    err = StringIO()
    Screen(err=err, out=StringIO()).detail("a detail")
    assert err.getvalue() == ""
    Screen(verbose=True, err=err, out=StringIO()).detail("a detail")
    assert err.getvalue() == "a detail\n"


def test_outside_a_terminal_a_line_is_never_broken_or_cut() -> None:
    err, out = StringIO(), StringIO()
    screen = Screen(err=err, out=out)
    screen.note("word " * 400)
    screen.pairs([("name", "x" * 1500)])
    assert len(err.getvalue().splitlines()) == 1
    assert err.getvalue().count("word") == 400
    assert "x" * 1500 in out.getvalue()


class Terminal(StringIO):
    """Something that says it is a terminal."""

    def isatty(self) -> bool:
        """Return true, as a terminal does."""
        return True


def test_asking_has_a_bar_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    err = Terminal()
    with Screen(err=err, out=StringIO(), color=False).progress() as bar:
        assert bar is not None
        bar.begin("reading", 100)
        bar.reached(100)
        bar.begin("asking for ids", 340)
        bar.reached(12)
        bar.begin("writing", 5)
    last = err.getvalue().rpartition("Asking for ids")[2]
    assert " 12/340  " in last
    assert "Reading plays" not in last


def test_the_progress_bar_is_gone_before_the_first_item_comes_out(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    evil_history(tmp_path / "a.db")
    _, shown = in_a_terminal("db", "a.db", "--to", "jsonl", cwd=tmp_path, environment=environment)
    before, _, _ = shown.partition('{"key":')
    # Nothing stands on the line any more: it was ended, or erased.
    assert "Reading plays" in before
    assert re.search(r"(\n|\x1b\[2K)\r?(\x1b\[[0-9?;]*[A-Za-z])*$", before), repr(before[-80:])
