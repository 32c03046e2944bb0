"""Before anything is read, each obstacle is one sentence with the next step."""

from __future__ import annotations

from unittest.mock import patch

import pytest

from tests.support.crosswatch import TOKEN
from tests.support.pushing import Pushes


@pytest.mark.parametrize(
    "token",
    [
        "abc1234",
        f'{TOKEN}"',
        f"{TOKEN} {TOKEN}",
        f"{TOKEN}ä",
        "Bearer cwt_0123456789",
        "cwt_0\x07123456789",
    ],
)
def test_a_malformed_token_is_not_sent_and_not_quoted(pushes: Pushes, token: str) -> None:
    pushes.nights.environment["CW_TOKEN"] = token  # type: ignore[index]
    told = pushes.fails(2)
    assert pushes.fake.calls == []
    assert token not in told
    assert "auth token create" in told


def test_blanks_around_the_token_do_not_matter(pushes: Pushes) -> None:
    pushes.nights.environment["CW_TOKEN"] = f" {TOKEN}\r\n"  # type: ignore[index]
    pushes.run()


def test_no_token_and_no_address(pushes: Pushes) -> None:
    env = pushes.nights.environment
    del env["CW_TOKEN"]  # type: ignore[attr-defined]
    assert "--crosswatch-token-file" in pushes.fails(2)
    del env["CW_URL"]  # type: ignore[attr-defined]
    assert "--crosswatch-url" in pushes.fails(2)


def test_nobody_is_there(pushes: Pushes) -> None:
    told = pushes.fails(3, "--crosswatch-url", "http://127.0.0.1:9")
    assert "Cannot connect to CrossWatch at http://127.0.0.1:9 " in told


def test_the_token_is_not_known(pushes: Pushes) -> None:
    pushes.fake.token = "cwt_another_one"  # noqa: S105
    assert "does not accept the token" in pushes.fails(4)
    assert pushes.fake.items() == {}


def test_an_old_crosswatch_takes_files_only(pushes: Pushes) -> None:
    pushes.fake.is_old = True
    told = pushes.fails(8)
    assert "older than v0.11.3" in told
    assert "--to editor" in told


def test_nobody_has_set_a_password(pushes: Pushes) -> None:
    pushes.fake.has_password = False
    told = pushes.fails(8)
    assert "has no password yet" in told
    assert "auth token create" in told


def test_a_user_that_may_only_read(by_import: Pushes) -> None:
    by_import.fake.can_write = False
    told = by_import.fails(4)
    assert "Administrator access required" in told
    assert "allow the user to write" in told


def test_a_user_that_may_write_to_one_profile(by_import: Pushes) -> None:
    by_import.fake.add_profile("CW-P01", "Bob")
    by_import.fake.scope = {"CW-P01"}
    told = by_import.fails(5)
    assert "no profile default that this token may write to" in told
    assert "CW-P01 (Bob)" in told
    by_import.run("--profile", "CW-P01")


@pytest.mark.parametrize("name", ["CW-P01", "cw-p01", "Bob", " bob "])
def test_a_profile_is_written_as_crosswatch_writes_it(by_import: Pushes, name: str) -> None:
    by_import.fake.add_profile("CW-P01", "Bob")
    by_import.run("--profile", name)
    assert {call.form()[0]["target_instance"] for call in by_import.fake.asked("preview")} == {
        "CW-P01"
    }
    assert {call.json["target_instance"] for call in by_import.fake.asked("commit")} == {"CW-P01"}
    assert by_import.fake.items() == {}
    assert by_import.fake.items("CW-P01")


def test_two_profiles_of_one_name(pushes: Pushes) -> None:
    pushes.fake.add_profile("CW-P01", "Bob")
    pushes.fake.add_profile("CW-P02", "Bob")
    assert "CW-P01 (Bob), CW-P02 (Bob)" in pushes.fails(5, "--profile", "Bob")


def test_an_id_goes_before_the_label_of_another_profile(pushes: Pushes) -> None:
    pushes.fake.add_profile("CW-P01", "CW-P02")
    pushes.fake.add_profile("CW-P02", "Bob")
    pushes.run("--profile", "CW-P02")
    assert pushes.fake.items("CW-P01") == {}
    assert pushes.fake.items("CW-P02")


def test_a_tracker_that_is_not_connected(pushes: Pushes) -> None:
    pushes.fake.connected.clear()
    told = pushes.fails(8)
    assert "is not connected" in told
    assert pushes.fake.asked("preview") == []


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        ((302, b"https://login.example/x?token=1"), 2, "redirects to login.example, which"),
        ((302, b"http://[/x"), 2, "redirects to an invalid address, which is not followed"),
        ((302, b"https://127.0.0.1:8788/x"), 2, "Use that address with --crosswatch-url."),
        ((200, b"<html>A router</html>"), 5, "does not answer /api/health as CrossWatch does"),
        ((404, b"<html>Nothing here</html>"), 5, "does not answer"),
        ((200, b'{"status": "up"}'), 5, "does not answer /api/health as CrossWatch does"),
        ((500, b"Internal Server Error"), 8, "HTTP status 500"),
        ((0, b""), 3, "broke"),
    ],
)
def test_something_else_answers(
    pushes: Pushes, answer: tuple[int, bytes], code: int, words: str
) -> None:
    pushes.fake.faults.append(lambda _: answer)
    assert words in pushes.fails(code)


@pytest.mark.parametrize("out", ["-", "file"])
def test_a_file_is_refused(pushes: Pushes, out: str) -> None:
    assert "not into a file" in pushes.fails(2, "--out", out)
    assert pushes.fake.calls == []


def test_a_sync_is_running(pushes: Pushes) -> None:
    pushes.fake.begin_sync()
    told = pushes.fails(6)
    assert "is running a sync" in told
    assert "--wait" in told
    assert pushes.fake.items() == {}


def test_a_sync_is_waited_for(pushes: Pushes) -> None:
    pushes.fake.begin_sync()
    pushes.fake.before["summary"] = [lambda: None, pushes.fake.end_sync]
    with patch("tautulli_import.crosswatch.checking._RETRY_SECONDS", 0.01):
        pushes.run("--wait", "60")
    assert pushes.fake.items()


def test_what_is_slow_or_stale_is_not_asked_for(by_import: Pushes) -> None:
    by_import.run()
    by_import.run(days=8)
    paths = {call.path for call in by_import.fake.calls}
    assert not {path for path in paths if "/version" in path or "/editor" in path}


PAIR = {
    "source": "CROSSWATCH",
    "target": "TRAKT",
    "source_instance": "default",
    "target_instance": "default",
    "enabled": True,
    "features": {"history": {"enable": True, "remove": True, "rewatches": False}},
}


def test_a_pair_without_rewatches_would_drop_them(pushes: Pushes) -> None:
    pushes.fake.pairs = [PAIR]
    assert "CROSSWATCH – TRAKT has Rewatches off" in pushes.fails(0, "--rewatches")


@pytest.mark.parametrize(
    "change", [{"enabled": False}, {"source": "PLEX"}, {"source_instance": "CW-P01"}]
)
def test_other_pairs_do_not_matter(pushes: Pushes, change: dict[str, object]) -> None:
    pushes.fake.pairs = [PAIR | change]
    assert "Rewatches off" not in pushes.fails(0, "--rewatches")
    assert pushes.fake.items()


def test_a_user_who_may_not_see_the_pairs_may_push(by_import: Pushes) -> None:
    by_import.fake.faults.append(
        lambda call: (403, {"ok": False}) if call.name == "pairs" else None
    )
    by_import.run()
