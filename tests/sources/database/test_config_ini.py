"""Tautulli's config.ini: its three thresholds are taken from it, and nothing else ever is."""

import json
import traceback
from contextlib import closing
from pathlib import Path

import pytest

from tautulli_import.errors import ConfigurationError
from tautulli_import.model.watched import WatchedRule
from tautulli_import.sources.database.config_ini import beside, rule_from
from tests.conftest import Cli
from tests.support.history import add_play, create

WIDE = {"COLUMNS": "2000"}
KEY = "0123456789abcdef0123456789abcdef"
HOUR = 3_600_000

REAL = f"""\
[General]
api_enabled = 1
api_key = {KEY}
date_format = YYYY-MM-DD
http_password = "pass # word; = [x]"
notify_text = \"\"\"One line
[Monitoring of another kind]
%(interpolated)s and %s
movie_watched_percent = 1
\"\"\"
home_stats_cards = top_movies, popular_movies, top_tv,
log_blacklist_usernames = ,
[PMS]
pms_token = {KEY[::-1]}
pms_url = http://192.0.2.1:32400
[Monitoring]
buffer_threshold = 10
movie_watched_percent = 70
tv_watched_percent = 60
music_watched_percent = 85
watched_marker = 1
[Newsletter]
newsletter_dir = ""
[[nested]]
movie_watched_percent = 2
"""


def rule_beside(database: Path) -> WatchedRule:
    found = beside(database)
    return rule_from(found) if found else WatchedRule()


@pytest.fixture
def ini(tmp_path: Path) -> Path:
    """Where a test writes its config.ini."""
    return tmp_path / "config.ini"


def rule(ini: Path, text: str | bytes) -> tuple[int, int, int]:
    """Return the thresholds in a file with this content."""
    ini.write_bytes(text.encode() if isinstance(text, str) else text)
    found = rule_from(ini)
    assert found.origin == str(ini)
    return found.movie_percent, found.tv_percent, found.marker


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Return a database with plays of 10, 20 … 100 percent of a film, in a directory of its own."""
    folder = tmp_path / "tautulli"
    folder.mkdir()
    with closing(create(folder / "tautulli.db")) as conn:
        for percent in range(10, 101, 10):
            add_play(
                conn,
                title=f"{percent} percent",
                duration=HOUR,
                view_offset=HOUR * percent // 100,
                marker_credits_first=HOUR * 95 // 100,
                marker_credits_final=HOUR * 98 // 100,
            )
    return folder / "tautulli.db"


def watched(out: str) -> list[str]:
    """Return what counted as watched, in percent."""
    return [json.loads(line)["title"].removesuffix(" percent") for line in out.splitlines()]


# Reading the file ------------------------------------------------------------------------


def test_the_thresholds_are_found_in_a_file_as_tautulli_writes_it(ini: Path) -> None:
    assert rule(ini, REAL) == (70, 60, 1)


@pytest.mark.parametrize(
    "text",
    [
        "[Monitoring]\nmovie_watched_percent = 70\n",
        "[Monitoring]\nmovie_watched_percent=70\n",
        "[Monitoring]\n  movie_watched_percent   =   70   \n",
        '[Monitoring]\nmovie_watched_percent = "70"\n',
        "[Monitoring]\nmovie_watched_percent = '70'\n",
        "[Monitoring]\nmovie_watched_percent = 70 # as Tautulli shows it\n",
        "# a comment\n\n[Monitoring]\n# another\nmovie_watched_percent = 70\n",
        "[Monitoring]\r\nmovie_watched_percent = 70\r\n",
        "[ Monitoring ]\nmovie_watched_percent = 70\n",
        "\ufeff[Monitoring]\nmovie_watched_percent = 70\n",
        "[A]\n[[Monitoring]]\nmovie_watched_percent = 1\n[Monitoring]\nmovie_watched_percent=70",
        "[Monitoring]\nmovie_watched_percent = 70\n[[nested]]\nmovie_watched_percent = 1\n",
        "[Monitoring]\nmovie_watched_percent = 70\n    [[nested]]\n    movie_watched_percent = 1\n",
        "[Monitoring]\nmovie_watched_percent = 70",
        "[Monitoring]\nmovie_watched_percent = 70\nmovie_watched_percents = 1\n",
        "[General]\nmovie_watched_percent = 1\n[Monitoring]\nmovie_watched_percent = 70\n",
    ],
)
def test_quotes_spaces_comments_and_sections_are_read_as_tautulli_reads_them(
    ini: Path, text: str
) -> None:
    assert rule(ini, text) == (70, 85, 3)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[General]\napi_key = x\n",
        "[Monitoring]\n",
        "[Monitoring]\nbuffer_wait = 900\n",
        "[General]\nmovie_watched_percent = 70\n",
        "[General]\n[[Monitoring]]\nmovie_watched_percent = 70\n",
        "[DEFAULT]\nmovie_watched_percent = 70\n[Monitoring]\n",
    ],
)
def test_what_the_file_does_not_say_is_tautullis_default(ini: Path, text: str) -> None:
    assert rule(ini, text) == (85, 85, 3)


def test_bytes_that_are_no_text_elsewhere_in_the_file_do_no_harm(ini: Path) -> None:
    assert rule(ini, b"[General]\nname = \xff\xfe\n[Monitoring]\ntv_watched_percent = 5\n") == (
        *(85, 5, 3),
    )


@pytest.mark.parametrize("value", ["0", "1", "100"])
def test_any_percentage_will_do(ini: Path, value: str) -> None:
    assert rule(ini, f"[Monitoring]\ntv_watched_percent = {value}\n")[1] == int(value)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", ["movie_watched_percent", "tv_watched_percent", "watched_marker"])
@pytest.mark.parametrize(
    "value",
    ["101", "-1", "85.5", "abc", "85 %", "1e2", "0x10", "9" * 5000, "²", "True", "85, 90", "[1]"],
)
def test_a_threshold_that_is_none_is_said_with_the_file_and_the_name(
    ini: Path, name: str, value: str
) -> None:
    with pytest.raises(
        ConfigurationError, match=f"{ini}: {name} must be a number from 0 to"
    ) as refused:
        rule(ini, f"[Monitoring]\n{name} = {value}\n")
    assert refused.value.exit_code == 2
    assert refused.value.hint


def test_the_database_in_the_same_directory_is_the_one_it_is_for(ini: Path) -> None:
    assert rule_beside(ini.parent / "tautulli.db") == WatchedRule()
    ini.write_text(REAL)
    assert rule_beside(ini.parent / "tautulli.db") == WatchedRule(70, 60, 1, str(ini))
    assert rule_beside(ini.parent / "elsewhere" / "tautulli.db") == WatchedRule()


def test_a_directory_of_that_name_is_no_config_ini(ini: Path) -> None:
    ini.mkdir()
    assert rule_beside(ini.parent / "tautulli.db") == WatchedRule()


# What it decides -------------------------------------------------------------------------


def test_without_a_config_ini_tautullis_defaults_decide(cli: Cli, database: Path) -> None:
    result = cli("db", database, "--dry-run", "--verbose", env=WIDE)
    assert watched(result.out) == ["90", "100"]
    assert "85 % of a film" in result.err
    assert "Tautulli's defaults" in result.err


def test_the_config_ini_beside_the_database_decides_what_is_watched(
    cli: Cli, database: Path
) -> None:
    ini = database.with_name("config.ini")
    ini.write_text("[Monitoring]\nmovie_watched_percent = 40\n")
    result = cli("db", database, "--dry-run", "--verbose", env=WIDE)
    assert watched(result.out) == ["40", "50", "60", "70", "80", "90", "100"]
    assert "40 % of a film" in result.err
    assert str(ini) in result.err


@pytest.mark.parametrize(("marker", "expected"), [(1, ["100"]), (2, ["100"]), (3, ["90", "100"])])
def test_the_marker_mode_decides_as_well(
    cli: Cli, database: Path, marker: int, expected: list[str]
) -> None:
    database.with_name("config.ini").write_text(f"[Monitoring]\nwatched_marker = {marker}\n")
    assert watched(cli("db", database, "--dry-run").out) == expected


def test_the_config_ini_that_was_named_is_the_one_that_decides(
    cli: Cli, database: Path, tmp_path: Path
) -> None:
    database.with_name("config.ini").write_text("[Monitoring]\nmovie_watched_percent = 40\n")
    other = tmp_path / "other.ini"
    other.write_text("[Monitoring]\nmovie_watched_percent = 20\n")
    result = cli("db", database, "--dry-run", "--config-ini", other)
    assert watched(result.out)[0] == "20"


def test_a_broken_file_beside_the_database_does_not_matter_where_another_is_named(
    cli: Cli, database: Path, tmp_path: Path
) -> None:
    database.with_name("config.ini").write_text("no ini at all\n")
    other = tmp_path / "other.ini"
    other.write_text("[Monitoring]\nmovie_watched_percent = 20\n")
    result = cli("db", database, "--dry-run", "--config-ini", other)
    assert (result.code, watched(result.out)[0]) == (0, "20")


def test_min_percent_replaces_the_rule_of_the_config_ini(cli: Cli, database: Path) -> None:
    database.with_name("config.ini").write_text("[Monitoring]\nmovie_watched_percent = 40\n")
    assert watched(cli("db", database, "--dry-run", "--min-percent", "80").out)[0] == "80"


def test_a_database_on_standard_input_has_nothing_beside_it(
    cli: Cli, database: Path, tmp_path: Path
) -> None:
    (tmp_path / "config.ini").write_text("[Monitoring]\nmovie_watched_percent = 40\n")
    result = cli("db", "-", "--dry-run", stdin=database.read_bytes(), cwd=tmp_path)
    assert (result.code, watched(result.out)) == (0, ["90", "100"]), result.err


def test_somebody_elses_config_ini_is_no_obstacle_to_standard_input(
    cli: Cli, database: Path, tmp_path: Path
) -> None:
    (tmp_path / "config.ini").write_text("this belongs to another program\n")
    result = cli("db", "-", "--dry-run", stdin=database.read_bytes(), cwd=tmp_path)
    assert (result.code, watched(result.out)) == (0, ["90", "100"]), result.err


# What cannot be used ---------------------------------------------------------------------


def test_a_config_ini_that_is_not_there_is_exit_5(cli: Cli, database: Path) -> None:
    result = cli("db", database, "--dry-run", "--config-ini", "nowhere.ini", env=WIDE)
    assert result.code == 5
    assert "no file nowhere.ini" in result.err
    assert "Traceback" not in result.err


def test_a_config_ini_that_is_a_directory_is_exit_2(cli: Cli, database: Path) -> None:
    result = cli("db", database, "--dry-run", "--config-ini", database.parent, env=WIDE)
    assert result.code == 2
    assert str(database.parent) in result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("movie_watched_percent = 40\n", "no [section]"),
        ("no ini at all\n", "no [section]"),
        ("[Monitoring]\nmovie_watched_percent = many\n", "movie_watched_percent"),
        ("[Monitoring]\nmovie_watched_percent = \n", "movie_watched_percent"),
    ],
)
def test_a_config_ini_that_cannot_be_used_is_exit_2_when_it_was_named(
    cli: Cli, database: Path, text: str, where: str
) -> None:
    ini = database.with_name("other.ini")
    ini.write_text(text)
    result = cli("db", database, "--dry-run", "--config-ini", ini, env=WIDE)
    assert result.code == 2
    assert result.out == ""
    error, hint = result.err.splitlines()
    assert error.startswith(f"Error: {ini}")
    assert where in error
    assert hint.strip()


def test_a_neighbour_that_cannot_be_used_is_said_and_passed_over_for_the_defaults(
    cli: Cli, database: Path
) -> None:
    """As Tautulli does: a value it cannot read is the default."""
    ini = database.with_name("config.ini")
    ini.write_text("[Monitoring]\nmovie_watched_percent = many\n")
    result = cli("db", database, "--dry-run", env=WIDE)
    assert result.code == 0
    assert f"{ini}: movie_watched_percent" in result.err
    assert "defaults are used. Choose another file with --config-ini" in result.err


# The secret stays secret -----------------------------------------------------------------

BROKEN_BY_ITS_KEY = {
    "before any section": f"api_key = {KEY}\n",
    "a section of that name": f"[{KEY}\n",
    "a line without a name": f"[General]\n= {KEY}\n",
    "no assignment": f"{KEY}\n[General]\n",
    "continued": f"[General]\napi_key =\n  {KEY}\n[Monitoring]\nwatched_marker = {KEY}\n",
    "in place of a percentage": f"[Monitoring]\nmovie_watched_percent = {KEY}\n",
    "under a percentage": f"[Monitoring]\ntv_watched_percent = 80\n  {KEY}\n",
    "given twice": f"[General]\napi_key = {KEY}\napi_key = {KEY}\n[General]\nx = {KEY}\n",
    "as bytes that are no text": f"\ud800{KEY}\n",
    "all is well": REAL,
}


@pytest.mark.sampled(3)
@pytest.mark.parametrize("text", BROKEN_BY_ITS_KEY.values(), ids=BROKEN_BY_ITS_KEY)
def test_the_api_key_never_appears_not_even_where_its_own_line_is_wrong(
    cli: Cli, database: Path, tmp_path: Path, text: str
) -> None:
    ini = database.with_name("config.ini")
    ini.write_bytes(text.encode(errors="surrogatepass"))
    out, report = tmp_path / "out", tmp_path / "report.json"
    arguments = ("--to", "tracker", "--out", out, "--report", report, "--verbose", "--debug")
    result = cli("db", database, *arguments, env=WIDE)
    written = [path for path in (report, *out.rglob("*")) if path.is_file()]
    told = "".join([result.out, result.err, *(path.read_text() for path in written)])
    assert KEY not in told
    assert KEY[::-1] not in told
    assert told


def test_the_api_key_is_not_in_the_exception_either(ini: Path) -> None:
    ini.write_text(f"api_key = {KEY}\n")
    with pytest.raises(ConfigurationError) as refused:
        rule_from(ini)
    shown = "".join(traceback.format_exception(refused.value))
    assert KEY not in shown
    assert KEY not in repr(refused.value) + refused.value.hint


def test_a_huge_config_ini_takes_neither_time_nor_memory(tmp_path: Path) -> None:
    """The pattern of a setting takes the square of a line's length in steps."""
    path = tmp_path / "config.ini"
    with path.open("w") as file:
        file.write(f"[Monitoring]\nlong ={' ' * 300_000}x y\nmovie_watched_percent = 70\n")
        file.truncate(100 << 30)
    assert rule_from(path).movie_percent == 70
