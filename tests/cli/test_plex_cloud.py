"""``--plex-cloud``: ids from Plex's metadata service, and where the token of the account goes."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from threading import Barrier

import pytest

from tests.cli.test_plex_db import IDS, KNOWN, OTHERS, without_ids, wrong_ids
from tests.conftest import Result
from tests.support.history import generate
from tests.support.inside import Inside
from tests.support.over_http import no_waiting
from tests.support.plex_cloud import TOKEN, FakeCloud, Fault, cloud
from tests.support.plex_library import Library
from tests.support.tautulli import FakeTautulli
from tests.support.untold import Untold, guid

TOKEN_IN = {"TAUTULLI_IMPORT_PLEX_TOKEN": TOKEN}


@pytest.fixture
def service() -> Iterator[FakeCloud]:
    with cloud() as made:
        yield made


@pytest.fixture
def untold(tmp_path: Path, inside: Inside, service: FakeCloud) -> Untold:
    assert service.url
    return Untold(tmp_path, inside, ("--plex-cloud",), TOKEN_IN)


def films(untold: Untold, service: FakeCloud, count: int) -> None:
    """Play so many films that the service knows."""
    for number in range(1, count + 1):
        untold.film(f"Film {number}", number, started=1_600_000_000 + number)
        service.film(guid("movie", number), f"Film {number}", f"tmdb://{number}")


# Questions and answers.


def test_a_film_takes_one_request_by_its_guid(untold: Untold, service: FakeCloud) -> None:
    untold.film("Film", 0xABC)
    service.film(guid("movie", 0xABC), "Der Film", *IDS)

    assert untold.imported() == {"Film": KNOWN}
    assert service.asked == [f"/library/metadata/{0xABC:024x}"]
    (sent,) = service.headers
    assert (sent["X-Plex-Token"], sent["Accept"]) == (TOKEN, "application/json")
    assert [name for name, value in sent.items() if TOKEN in value] == ["X-Plex-Token"]
    report = untold.report()
    assert [set(one["ids"].values()) for one in report["ids"]] == [{"plex_cloud"}]
    assert "Plex's metadata service gave ids to 1 film or show." in report["said"]
    assert (
        "from Plex's metadata service"
        in untold.run("why", "Film", untold.path, *untold.options).out
    )


def test_a_show_takes_two_requests_and_has_its_own_ids(untold: Untold, service: FakeCloud) -> None:
    for number in range(1, 6):
        untold.episode("Show", number, number)
    episodes = {guid("episode", number): number for number in range(1, 6)}
    service.show(guid("show", 99), "Show", *IDS, episodes=episodes)

    assert untold.imported() == {"Show": KNOWN}
    assert service.guids == [f"{5:024x}", f"{99:024x}"]


def test_the_rating_key_of_the_show_is_enough_of_an_answer(
    untold: Untold, service: FakeCloud
) -> None:
    untold.episode("Show", 1, 1)
    service.show(guid("show", 99), "Show", *IDS, episodes={guid("episode", 1): 1})
    del service.known[f"{1:024x}"]["grandparentGuid"]

    assert untold.imported() == {"Show": KNOWN}


def test_two_episodes_confirm_a_show_of_another_title(untold: Untold, service: FakeCloud) -> None:
    for number in (1, 2):
        untold.episode("Show", number, number, grandparent_rating_key=50)
        untold.episode("Wrong", number, number + 10, grandparent_rating_key=51)
    untold.episode("Single", 1, 21, grandparent_rating_key=52)
    both = {guid("episode", 1): 1, guid("episode", 2): 2}
    service.show(guid("show", 91), "Die Serie", *IDS, episodes=both)
    service.show(guid("show", 92), "One", *IDS, episodes={guid("episode", 11): 1})
    service.show(guid("show", 93), "Other", *OTHERS, episodes={guid("episode", 12): 2})
    service.show(guid("show", 94), "Allein", "tmdb://5", episodes={guid("episode", 21): 1})

    found = untold.imported()
    assert found == {"Show": KNOWN, "Wrong": {}, "Single": {"tmdb": "5"}}


def test_a_show_of_another_title_waits_for_the_answer_that_can_confirm_it(
    untold: Untold, service: FakeCloud
) -> None:
    for number in (1, 2):
        untold.episode("Show", number, number, grandparent_rating_key=50)
    both = {guid("episode", 1): 1, guid("episode", 2): 2}
    service.show(guid("show", 91), "Die Serie", *IDS, episodes=both)
    service.stop = 1, lambda: service.faults.extend([Fault(500)] * 4)

    assert untold.imported() == {"Show": {}}
    assert untold.imported() == {"Show": KNOWN}


def test_an_unknown_episode_is_followed_by_another(untold: Untold, service: FakeCloud) -> None:
    for number in range(1, 9):
        untold.episode("Show", number, number)
        untold.episode("Unknown", number, number + 20)
    service.show(guid("show", 99), "Show", *IDS, episodes={guid("episode", 7): 7})

    assert untold.imported() == {"Show": KNOWN, "Unknown": {}}
    assert len(service.asked) == 2 + 1 + 3


def test_what_days_have_joined_shares_the_answer(untold: Untold, service: FakeCloud) -> None:
    day = "2001-05-06"
    untold.film("Film", 1, rating_key=1, originally_available_at=day)
    untold.film("Film", rating_key=2, originally_available_at=day, guid="local://2")
    untold.film("Film", rating_key=3, year=1950, originally_available_at="1950-01-01", guid="")
    service.film(guid("movie", 1), "Film", *IDS)

    report = untold.report()
    assert report["plays"]["merged"] == 1
    assert (report["items"]["movies"], report["items"]["without_external_id"]) == (2, 1)
    assert len(service.asked) == 1


def test_of_a_whole_history_no_id_is_wrong(
    inside: Inside, service: FakeCloud, tmp_path: Path
) -> None:
    path, report = tmp_path / "whole.db", tmp_path / "report.json"
    truth = generate(path, plays=3000, seed=4)
    service.know_all(truth)
    command = ("db", path, "--dry-run", "--all-users", "--report", report)
    assert inside(*command).code == 0
    before = without_ids(report, truth)
    done = inside(*command, "--plex-cloud", env=TOKEN_IN)
    assert done.code == 0
    after = without_ids(report, truth)

    assert [work for work in after if "anidb" not in work.ids or (work.season or 0) < 2] == []
    assert len(after) < len(before) / 4
    assert wrong_ids(done.out, truth) == []
    assert len(service.asked) == len(set(service.asked))


def test_an_answer_about_something_else_is_not_believed(untold: Untold, service: FakeCloud) -> None:
    for number in (1, 2, 3):
        untold.film(f"Film {number}", number)
    untold.episode("Show", 1, 4)
    service.film(guid("movie", 1), "Film 1", *IDS)
    service.known[f"{1:024x}"]["guid"] = guid("movie", 77)
    service.show(guid("movie", 2), "Film 2", *IDS, episodes={})
    service.known[f"{3:024x}"] = {"type": ["movie"], "guid": 7, "Guid": [{"id": 5}], "year": "x"}
    service.show(guid("show", 9), "Show", *IDS, episodes={guid("episode", 4): 1})
    service.known[f"{9:024x}"]["type"] = "season"

    assert set(map(str, untold.imported().values())) == {"{}"}


def test_only_guids_of_plex_are_asked_about(untold: Untold, service: FakeCloud) -> None:
    untold.film("Custom", guid="tv.plex.agents.custom.me://movie/123")
    untold.film("Unmatched", guid="local://5")
    untold.film("Without")
    untold.film("Known", guid="imdb://tt0000001")
    untold.film("Not Watched", 5, view_offset=1)

    assert untold.imported()["Known"] == {"imdb": "tt0000001"}
    assert service.asked == []


def test_everything_else_is_asked_first(untold: Untold, service: FakeCloud, tmp_path: Path) -> None:
    untold.film("In The Library", 1, rating_key=1)
    untold.film("In Plex", 2, rating_key=2)
    untold.film("Gone", 3, rating_key=3)
    service.film(guid("movie", 3), "Gone", "tmdb://3")
    with closing(Library(tmp_path / "plex.db")) as library:
        library.film("In The Library", guid("movie", 1), "tmdb://1")
    with FakeTautulli(untold.path) as server, no_waiting():
        of_plex = {"media_type": "movie", "title": "In Plex", "rating_key": "2"}
        server.plex[2] = {**of_plex, "guid": guid("movie", 2), "guids": ["tmdb://2"]}
        args = ("-n", "--all-users", "--plex-cloud", "--plex-db", library.path)
        done = untold.inside("api", *args, env={**server.environment, **TOKEN_IN})
        asked = [one.params["rating_key"] for one in server.requests if one.cmd == "get_metadata"]

    assert done.code == 0, done.err
    assert {json.loads(line)["key"] for line in done.out.splitlines()} == {
        *("tmdb:1", "tmdb:2", "tmdb:3")
    }
    assert sorted(asked) == ["2", "3"]
    assert service.guids == [f"{3:024x}"]


# How it is asked.


def test_nothing_is_asked_unless_a_person_wants_it(untold: Untold, service: FakeCloud) -> None:
    films(untold, service, 1)
    assert untold.run("db", untold.path, "-n", "--all-users").code == 0
    assert service.asked == []


def test_answers_are_kept_for_every_command_and_both_doors(
    untold: Untold, service: FakeCloud
) -> None:
    films(untold, service, 3)
    untold.film("Unknown", 9)
    untold.imported()
    assert len(service.asked) == 4
    untold.report()
    for command in (["check"], ["unresolved"], ["why", "Film 1"]):
        assert untold.run(*command, untold.path, *untold.options).code == 0
    with FakeTautulli(untold.path) as server, no_waiting():
        env = {**server.environment, **TOKEN_IN}
        assert untold.inside("api", "-n", "--all-users", "--plex-cloud", env=env).code == 0
    assert len(service.asked) == 4


def test_an_answer_without_ids_is_asked_for_again_after_a_month(
    untold: Untold, service: FakeCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    films(untold, service, 1)
    untold.film("New", 9)
    untold.imported()
    service.film(guid("movie", 9), "New", *IDS)
    assert untold.imported()["New"] == {}
    now = 1_900_000_000
    monkeypatch.setattr("tautulli_import.cli.importing.time.time", lambda: now)
    assert untold.imported()["New"] == KNOWN
    assert service.guids.count(f"{1:024x}") == 1


def test_four_requests_at_most_are_under_way(untold: Untold, service: FakeCloud) -> None:
    films(untold, service, 12)
    service.meet = Barrier(4)
    assert len(untold.imported()) == 12
    assert service.most_at_once == 4


def test_a_service_that_is_busy_is_asked_more_slowly(untold: Untold, service: FakeCloud) -> None:
    films(untold, service, 30)
    service.faults += [Fault(429, headers={"Retry-After": "7"})] * 4
    assert all(untold.imported().values())
    assert service.waited == [7.0]
    assert len(service.asked) == 34


@pytest.mark.parametrize(
    "fault",
    [
        *(Fault(code) for code in (429, 500, 502, 503, 504, 520)),
        Fault(close=True),
        Fault(body=b"<"),
    ],
    ids=str,
)
def test_a_failure_that_passes_is_tried_again(
    untold: Untold, service: FakeCloud, fault: Fault
) -> None:
    films(untold, service, 1)
    service.faults += [fault] * 3
    assert untold.imported() == {"Film 1": {"tmdb": "1"}}
    assert service.waited == [2.0, 4.0, 8.0]


def test_a_service_that_is_away_ends_nothing(untold: Untold, service: FakeCloud) -> None:
    films(untold, service, 40)
    service.faults += [Fault(503)] * 1000
    report = untold.report()
    assert report["plays"]["emitted"] == 40
    assert len(service.asked) < 4 + 6
    (said,) = report["warnings"]
    assert "service answered 503. 40 GUIDs got no answer. Run the same command again" in said
    service.faults.clear()
    assert all(untold.imported().values())


def test_a_token_that_is_not_accepted_is_said(untold: Untold, service: FakeCloud) -> None:
    films(untold, service, 40)
    service.faults += [Fault(401, b"no")] * 1000
    said = untold.report()["said"]
    assert "did not accept the Plex token (401)" in said
    assert "--plex-token-file FILE" in said
    assert len(service.asked) <= 4


PROGRAM = """
import sys
from tautulli_import.ids import plex_cloud
plex_cloud.SERVICE = sys.argv.pop(1)
from tautulli_import.cli.app import app
app()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_stopped_goes_on(
    untold: Untold, service: FakeCloud, environment: dict[str, str], number: signal.Signals
) -> None:
    films(untold, service, 60)
    command = ("db", str(untold.path), "-n", "--all-users", "--plex-cloud")
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, service.url, *command],
        env={**environment, **TOKEN_IN},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        service.stop = 30, lambda: process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == (130 if number is signal.SIGINT else -number), err
    assert (out, TOKEN.encode() in err) == (b"", False)
    first = len(set(service.guids))
    assert 30 <= first < 60
    service.asked.clear()
    assert all(untold.imported().values())
    assert 60 - first <= len(service.guids) <= 60 - 30 + 4


# The token.


def without_token(result: Result, folder: Path, log: pytest.LogCaptureFixture) -> None:
    """Look for the token in what was said, logged and written."""
    for text in (result.out, result.err, log.text):
        assert TOKEN[:8] not in text
    for path in folder.rglob("*"):
        if path.is_file() and path.name not in ("token", "config.ini", ".env"):
            assert TOKEN[:8].encode() not in path.read_bytes(), path


ECHO = {"X-Echo": TOKEN}
ITEM = b'{"MediaContainer":{"Metadata":[{"type":"movie","title":"%s"}]}}' % TOKEN.encode()
ECHOES: Mapping[str, Fault] = {
    "a page": Fault(200, TOKEN.encode(), ECHO),
    "an item": Fault(200, ITEM, ECHO),
    "a refusal": Fault(401, TOKEN.encode(), ECHO),
    "an error": Fault(500, TOKEN.encode(), ECHO),
    "a redirect": Fault(302, b"", {"Location": f"/x?X-Plex-Token={TOKEN}"}),
}


@pytest.mark.parametrize("name", ["", *ECHOES])
def test_no_command_tells_the_token(
    untold: Untold,
    service: FakeCloud,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    name: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    films(untold, service, 2)
    more = ("--verbose", "--debug", *untold.options)
    report = ("--to", "tracker", "--report", tmp_path / "report.json", "--json")
    for command in (
        ["db", untold.path, "-n", "--all-users", *more],
        ["db", untold.path, "--all-users", *report, *more],
        ["check", untold.path, *more],
        ["unresolved", untold.path, *more],
        ["why", "Film 1", untold.path, "--json", *more],
        ["config", "show"],
        ["config", "show", "--json"],
        ["checkpoint", "list"],
    ):
        service.faults.clear()
        service.faults += [ECHOES[name]] * 50 if name else []
        without_token(untold.run(*command), tmp_path, caplog)
    assert service.asked


def test_a_redirect_gets_nothing(untold: Untold, service: FakeCloud) -> None:
    films(untold, service, 1)
    with closing(FakeCloud()) as other:
        service.faults.append(Fault(302, headers={"Location": f"{other.url}/library/metadata/1"}))
        assert untold.imported() == {"Film 1": {}}
        assert other.asked == []


def test_the_token_can_be_in_a_file_or_with_tautulli(
    untold: Untold, service: FakeCloud, tmp_path: Path
) -> None:
    films(untold, service, 1)
    token, ini = tmp_path / "token", tmp_path / "config.ini"
    token.write_text(f"{TOKEN}\n", encoding="utf-8")
    token.chmod(0o600)
    ini.write_text('[PMS]\npms_token = "of-tautulli-1"\n', encoding="utf-8")
    command = ("db", untold.path, "-n", "--all-users", "--plex-cloud")

    def sent(*args: str | Path, env: Mapping[str, str] | None = None) -> str:
        state = tmp_path / f"state-{len(service.headers)}"
        done = untold.inside(*command, "--state-dir", state, *args, env=env)
        assert done.code == 0, done.err
        assert "of-tautulli" not in done.err
        return service.headers[-1]["X-Plex-Token"]

    assert sent("--plex-token-file", token) == TOKEN
    assert sent(env={"TAUTULLI_IMPORT_PLEX_TOKEN_FILE": str(token)}) == TOKEN
    assert sent("--plex-token-from-config") == "of-tautulli-1"
    assert sent("--plex-token-from-config", env=TOKEN_IN) == "of-tautulli-1"
    assert sent("--plex-token-from-config", "--plex-token-file", token) == TOKEN
    by_environment = {"TAUTULLI_IMPORT_PLEX_TOKEN_FROM_CONFIG": "1", **TOKEN_IN}
    assert sent(env=by_environment) == TOKEN


def test_without_a_usable_token_nothing_is_read(
    untold: Untold, service: FakeCloud, tmp_path: Path
) -> None:
    films(untold, service, 1)
    token = tmp_path / "token"
    token.write_text("two words\nand more", encoding="utf-8")
    (tmp_path / "config.ini").write_text("[General]\npms_token = x\n", encoding="utf-8")
    for args, code, said in (
        (("--plex-cloud",), 2, "--plex-cloud needs a Plex token"),
        (("--plex-cloud", "--plex-token-file", token), 2, "does not hold a Plex token"),
        (("--plex-cloud", "--plex-token-file", tmp_path / "gone"), 5, "There is no file"),
        (("--plex-cloud", "--plex-token-from-config"), 2, "needs a Plex token"),
        (("--plex-token-file", token), 2, "has no effect without --plex-cloud"),
    ):
        done = untold.inside("db", untold.path, "-n", *args)
        assert (done.code, done.out) == (code, ""), done.err
        assert said in done.err
        assert "two words" not in done.err
    assert service.asked == []


def test_a_token_that_others_can_read_is_warned_of(
    untold: Untold, service: FakeCloud, tmp_path: Path
) -> None:
    films(untold, service, 1)
    token = tmp_path / "token"
    token.write_text(TOKEN, encoding="utf-8")
    token.chmod(0o644)
    done = untold.inside("db", untold.path, "-n", "--plex-cloud", "--plex-token-file", token)
    assert "holds a secret, and other users can read it" in done.err


@pytest.mark.parametrize("setting", ["PLEX_CLOUD=1", "PLEX_TOKEN_FROM_CONFIG=1"])
def test_a_dotenv_does_not_decide_that_a_token_from_elsewhere_is_used(
    untold: Untold, service: FakeCloud, tmp_path: Path, setting: str
) -> None:
    films(untold, service, 1)
    (tmp_path / "config.ini").write_text(f"[PMS]\npms_token = {TOKEN}\n", encoding="utf-8")
    dotenv = tmp_path / ".env"
    dotenv.write_text(f"TAUTULLI_IMPORT_{setting}\n", encoding="utf-8")
    args = ["--plex-token-from-config"] if "CLOUD" in setting else ["--plex-cloud"]
    for env in ({}, TOKEN_IN):
        done = untold.inside("db", untold.path, "-n", "--all-users", *args, env=env)
        name = setting.partition("=")[0].lower()
        if done.code == 0:  # the token of the environment is used, as the command line says
            assert (name, env) == ("plex_token_from_config", TOKEN_IN)
            continue
        assert done.code == 2
        assert f"{name} comes from .env" in done.err
    service.asked.clear()
    dotenv.write_text(
        f"TAUTULLI_IMPORT_PLEX_CLOUD=1\nTAUTULLI_IMPORT_PLEX_TOKEN={TOKEN}\n", encoding="utf-8"
    )
    assert untold.inside("db", untold.path, "-n", "--all-users").code == 0


def test_what_weakens_the_way_to_tautulli_does_not_weaken_this_one(
    untold: Untold, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing listens there, but the certificates that would be trusted can be looked at."""
    seen: list[object] = []
    untold.film("Film", 1)
    monkeypatch.setattr("tautulli_import.ids.plex_cloud.SERVICE", "https://127.0.0.1:9")
    monkeypatch.setattr("httpx.Client.__init__", lambda _self, **given: seen.append(given))
    untold.run("db", untold.path, "-n", "--all-users", "--insecure", *untold.options)
    given, *_ = seen
    assert isinstance(given, dict)
    assert given["verify"].check_hostname
    assert not given["follow_redirects"]


def test_a_proxy_that_cannot_be_used_is_tried_once(
    untold: Untold, monkeypatch: pytest.MonkeyPatch
) -> None:
    untold.film("Film", 1)
    monkeypatch.setattr("tautulli_import.ids.plex_cloud.SERVICE", "https://127.0.0.1:9")
    monkeypatch.setattr("tautulli_import.ids.plex_cloud._wait", pytest.fail)
    env = {**TOKEN_IN, "ALL_PROXY": "ftp://me:secret-word@127.0.0.1:9"}
    done = untold.inside("db", untold.path, "-n", "--all-users", *untold.options, env=env)
    assert done.code == 0, done.err
    assert "cannot be used for https://127.0.0.1:9" in done.err
    assert "secret-word" not in done.err
