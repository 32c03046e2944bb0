"""What is pushed is there afterwards, once, and the next run says that nothing is new."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from unittest.mock import patch

import pytest

from tests.support.crosswatch import Answer, Call
from tests.support.nightly import said
from tests.support.pushing import Pushes, rows_of
from tests.support.terminal import in_a_terminal

NOTHING: list[Callable[[], object]] = [lambda: None]
PUSH = "tautulli_import.crosswatch.push"


def once(name: str, answer: Answer, number: int = 0) -> Callable[[Call], Answer | None]:
    """Return a fault: one request of a name gets this answer."""
    seen = iter(range(1_000))

    def fault(call: Call) -> Answer | None:
        return answer if call.name == name and next(seen) == number else None

    return fault


def small(rows: int, fewest: int = 1) -> AbstractContextManager[object]:
    """Cut requests at so many rows, and allow halves of so many."""
    return patch.multiple(PUSH, ROWS=rows, _FEWEST=fewest)


def without_notes(items: dict[str, dict[str, object]]) -> dict[str, dict[str, object]]:
    """Return items without titles of episodes and fields of CrossWatch."""
    dropped = {"watched", "provider_event_id"}
    found = {}
    for key, item in items.items():
        fields = {name: value for name, value in item.items() if name not in dropped}
        if item["type"] == "episode":
            fields["title"] = f"S{item['season']:02d}E{item['episode']:02d}"
        found[key] = fields
    return found


@pytest.mark.parametrize("is_admin", [True, False])
def test_a_terminal_shows_how_much_is_pushed(
    pushes: Pushes, tmp_path: Path, environment: dict[str, str], is_admin: bool
) -> None:
    pushes.fake.is_admin = is_admin
    args = ("db", pushes.nights.path, "--to", "crosswatch", "--all-users", "--no-enrich")
    code, shown = in_a_terminal(*args, cwd=tmp_path, environment=environment)
    assert code == 0
    plain = re.sub(r"[\s━╸╺]+", " ", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", " ", shown))
    count = len(pushes.fake.items())
    for phase in ("Pushing", "Comparing"):
        assert re.search(rf"{phase} items \d+/{count} ", plain), plain


@pytest.mark.parametrize("options", [(), ("--rewatches",)])
def test_everything_arrives_as_in_a_file(by_import: Pushes, options: tuple[str, ...]) -> None:
    done = by_import.run(*options)
    expected = by_import.expected(*options)
    assert without_notes(by_import.fake.items()) == without_notes(expected)
    assert done.changes == (len(expected), 0, 0)
    assert done.told["outputs"][0]["target"] == f"{by_import.fake.url} (profile default)"


def test_foreign_entries_stay(by_import: Pushes) -> None:
    foreign = {"type": "movie", "ids": {"tmdb": "9"}, "title": "Foreign", "watched_at": "2020"}
    by_import.fake.trackers["default"] = {"tmdb:9": foreign}
    by_import.run()
    assert by_import.fake.items()["tmdb:9"] == foreign


def test_the_rows_are_a_bare_list_in_a_zip_whose_names_mean_nothing(by_import: Pushes) -> None:
    by_import.run()
    call = by_import.fake.asked("preview")[0]
    fields, name, content = call.form()
    assert fields == {"source": "generic", "target_instance": "default"}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = archive.namelist()
        assert names == ["history-001.json"]
        assert isinstance(json.loads(archive.read(names[0])), list)
    assert "list" not in name


def test_a_member_stays_below_the_limit(by_import: Pushes) -> None:
    with patch("tautulli_import.crosswatch.archive.MEMBER_BYTES", 400):
        by_import.run()
    _, _, content = by_import.fake.asked("preview")[0].form()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert len(archive.infolist()) > 2
        assert max(one.file_size for one in archive.infolist()) <= 401
    assert len(by_import.fake.items()) == len(by_import.expected())


def test_requests_are_cut_into_chunks(by_import: Pushes) -> None:
    with small(3):
        by_import.run()
    assert max(map(len, by_import.sent())) == 3
    assert without_notes(by_import.fake.items()) == without_notes(by_import.expected())


def test_a_second_run_sends_nothing_but_a_sample(by_import: Pushes) -> None:
    by_import.run()
    by_import.forget_calls()
    before = dict(by_import.fake.items())
    with patch("tautulli_import.sinks.crosswatch._SAMPLES", 2):
        assert "Nothing new" in said(by_import.run(days=1))
    assert len(by_import.sent()) == 1
    assert len(by_import.sent()[0]) < len(before)
    assert by_import.fake.asked("commit") == []
    assert by_import.fake.items() == before


def test_only_what_is_new_is_sent(by_import: Pushes) -> None:
    by_import.run()
    by_import.forget_calls()
    by_import.nights.film(1, "New", year=2020)
    assert by_import.run(days=1).changes == (1, 0, 0)
    sample, *others = by_import.sent()
    assert "New" not in [row["title"] for row in sample]
    assert [[row["title"] for row in rows] for rows in others] == [["New"], ["New"]]
    assert len(by_import.fake.items()) == len(by_import.expected())


@pytest.mark.parametrize(("days", "options"), [(8, ()), (1, ("--restart",))])
def test_everything_is_compared_every_week_and_with_restart(
    by_import: Pushes, days: int, options: tuple[str, ...]
) -> None:
    by_import.run()
    lost = [*by_import.fake.items()][-1]  # the sample has the first alone
    by_import.forget_calls()
    with patch("tautulli_import.sinks.crosswatch._SAMPLES", 1):
        del by_import.fake.items()[lost]
        by_import.run(days=days, *options)  # noqa: B026 - the options come first in both
    assert lost in by_import.fake.items()


def test_a_sync_without_rewatches_drops_them_and_they_are_sent_again(by_import: Pushes) -> None:
    by_import.run("--rewatches")
    whole = without_notes(by_import.fake.items())
    by_import.fake.sync_without_rewatches()
    assert len(by_import.fake.items()) < len(whole)
    by_import.run("--rewatches", days=1)
    assert without_notes(by_import.fake.items()) == whole


def test_the_choice_of_viewings_does_not_send_what_is_there(by_import: Pushes) -> None:
    by_import.run("--rewatches")
    assert by_import.run(days=1).changes == (0, 0, 0)


@pytest.mark.parametrize("status", [413, 502, 504, 0])
@pytest.mark.parametrize("name", ["preview", "commit"])
def test_a_request_that_is_too_much_is_halved(by_import: Pushes, name: str, status: int) -> None:
    by_import.fake.faults.append(once(name, (status, b"<html>Too much</html>")))
    with small(20_000):
        done = by_import.run()
    whole = len(by_import.expected())
    sizes = list(map(len, by_import.sent()))
    assert sizes[0] == whole
    assert set(sizes[1:]) <= {whole // 2, whole - whole // 2}
    assert done.changes == (whole, 0, 0)
    assert without_notes(by_import.fake.items()) == without_notes(by_import.expected())


def test_what_was_too_much_once_is_not_sent_again(by_import: Pushes) -> None:
    def limited(call: Call) -> Answer | None:
        return (413, b"") if call.name == "preview" and len(rows_of(call)) > 2 else None

    by_import.fake.faults.append(limited)
    with small(4):
        by_import.run()
    assert [len(rows) for rows in by_import.sent() if len(rows) > 2] == [4]
    assert len(by_import.fake.items()) == len(by_import.expected())


def test_a_server_that_is_silent_gets_less(by_import: Pushes) -> None:
    silent = iter([True])

    def hang(call: Call) -> Answer | None:
        if call.name == "commit" and next(silent, False):
            by_import.fake._answer(call)  # noqa: SLF001 - it is carried out, and the answer is late
            return 504, b""
        return None

    by_import.fake.faults.append(hang)
    with small(20_000):
        done = by_import.run()
    assert done.changes[0] == len(by_import.fake.items()) == len(by_import.expected())
    assert len(by_import.fake.asked("commit")) == 1, "what was carried out is not repeated"


def test_a_server_that_can_do_nothing_at_all_is_an_error(by_import: Pushes) -> None:
    by_import.fake.faults.append(lambda call: (504, b"") if call.name == "preview" else None)
    told = by_import.fails(3)
    assert "could not handle a request" in told
    assert "--timeout" in told


def test_a_preview_that_has_expired_is_made_again(by_import: Pushes) -> None:
    gone = {"detail": {"code": "import_preview_not_found", "detail": "The import preview expired."}}
    by_import.fake.faults.append(once("commit", (404, gone)))
    by_import.run()
    assert len(by_import.fake.items()) == len(by_import.expected())


def test_accepted_is_not_written(by_import: Pushes) -> None:
    by_import.fake.loses_writes = True
    count = len(by_import.expected())
    told = by_import.fails(8)
    assert f"accepted {count:,} entries 4 times, and does not have them: Film" in told
    assert len(by_import.fake.asked("commit")) == 4
    by_import.fake.loses_writes = False
    assert by_import.run().changes == (count, 0, 0)
    assert len(by_import.fake.items()) == count


def test_a_loss_of_some_keeps_what_was_verified(by_import: Pushes) -> None:
    by_import.fake.before["commit"] = [
        lambda: None,
        lambda: setattr(by_import.fake, "loses_writes", True),
    ]
    with small(4):
        by_import.fails(8)
    by_import.fake.loses_writes = False
    assert len(by_import.fake.items()) == 4
    by_import.forget_calls()
    by_import.run()
    sample = by_import.sent()[0]
    assert len(sample) == 4
    assert len(by_import.fake.items()) == len(by_import.expected())


@pytest.mark.parametrize("began", ["preview", "commit"])
def test_a_sync_that_eats_what_was_pushed(by_import: Pushes, began: str) -> None:
    fake = by_import.fake
    fake.before[began] = [fake.begin_sync]
    fake.before["summary"] = [*NOTHING * 4, fake.end_sync]
    by_import.run("--wait", "0.01")
    assert without_notes(fake.items()) == without_notes(by_import.expected())


def test_syncs_that_eat_every_commit_for_a_while_are_not_the_fault_of_the_server(
    synced: Pushes,
) -> None:
    fake = synced.fake
    fake.before["commit"] = [fake.begin_sync] * 6
    fake.before["summary"] = [*NOTHING * 4, *[fake.end_sync, *NOTHING * 2] * 6]
    synced.run()
    assert without_notes(fake.items()) == without_notes(synced.expected())
    assert len(fake.asked("commit")) == 7


def test_a_sync_that_may_have_lost_what_it_brought_is_told(synced: Pushes) -> None:
    fake = synced.fake
    fake.before["commit"] = [fake.begin_sync]
    fake.before["summary"] = [*NOTHING * 5, fake.end_sync]
    assert "may lack something that it brought" in said(synced.run("--wait", "0.01"))
    fake.before["preview"] = [fake.begin_sync]
    fake.before["summary"] = [*NOTHING * 4, fake.end_sync]
    assert "may lack" not in said(synced.run("--wait", "0.01", "--restart"))


def test_a_run_that_does_not_wait_tells_it_too(synced: Pushes) -> None:
    synced.fake.before["commit"] = [synced.fake.begin_sync]
    assert "may lack something that it brought" in synced.fails(6)


def test_nothing_is_committed_in_a_sync_that_began_meanwhile(synced: Pushes) -> None:
    fake = synced.fake
    fake.before["preview"] = [lambda: None, fake.begin_sync]  # between two chunks
    with small(4):
        told = synced.fails(6)
    assert "is running a sync" in told
    assert len(fake.asked("commit")) == 1
    fake.end_sync()
    synced.run()
    assert without_notes(fake.items()) == without_notes(synced.expected())


def test_a_user_who_may_not_see_the_sync_waits_for_it_too(by_import: Pushes) -> None:
    by_import.fake.begin_sync()
    assert "is running a sync" in by_import.fails(6)
    assert by_import.fake.asked("preview") == []


def test_a_crosswatch_that_tells_only_administrators_of_syncs(by_import: Pushes) -> None:
    gone: Answer = (404, {"detail": "Not Found"})
    by_import.fake.faults.append(lambda call: gone if call.name == "cancel" else None)
    by_import.run()
    assert without_notes(by_import.fake.items()) == without_notes(by_import.expected())


def test_a_good_verification_during_a_sync_proves_nothing(by_import: Pushes) -> None:
    fake = by_import.fake
    fake.before["preview"] = [lambda: None, lambda: fake.begin_sync(unread=True)]
    told = by_import.fails(6)
    assert "is running a sync" in told
    fake.end_sync()
    assert fake.items() == {}
    by_import.run()
    assert without_notes(fake.items()) == without_notes(by_import.expected())


def test_a_verification_is_repeated_after_the_sync(by_import: Pushes) -> None:
    fake = by_import.fake
    fake.before["preview"] = [lambda: None, lambda: fake.begin_sync(unread=True)]
    fake.before["summary"] = [*NOTHING * 7, fake.end_sync]
    by_import.run("--wait", "0.01")
    assert not fake.before["summary"]
    assert without_notes(fake.items()) == without_notes(by_import.expected())


@pytest.mark.parametrize("name", ["preview", "commit"])
def test_an_answer_about_another_profile(by_import: Pushes, name: str) -> None:
    fake = by_import.fake

    def other(call: Call) -> Answer | None:
        if call.name != name:
            return None
        status, answer = fake._answer(call)  # noqa: SLF001 - the real answer, a little changed
        return status, {**answer, "target_instance": "CW-P09"}  # type: ignore[dict-item]

    fake.faults.append(other)
    assert "answered for the profile CW-P09, not for default" in by_import.fails(8)


def test_rows_that_are_read_as_something_else(by_import: Pushes) -> None:
    def watchlist(call: Call) -> Answer | None:
        if call.name == "preview":
            call.body = call.body.replace(b"history-001.json", b"my-list-001.json")
        return None

    by_import.fake.faults.append(watchlist)
    assert "read 0 viewings from" in by_import.fails(8)
    assert by_import.fake.items() == {}


def test_rows_that_are_cut_off_without_a_word_are_noticed(by_import: Pushes) -> None:
    with patch("tests.support.crosswatch._ROWS", 3):
        assert "read 3 viewings from 9 rows" in by_import.fails(8)
    assert by_import.fake.items() == {}


def test_a_dry_run_previews_and_writes_nothing(by_import: Pushes) -> None:
    by_import.run()
    by_import.nights.film(1, "New", year=2020)
    before = dict(by_import.fake.items())
    state = by_import.nights.files(by_import.nights.state)
    by_import.forget_calls()
    done = by_import.run("--dry-run", days=1)
    assert done.changes == (1, 0, 0)
    assert done.told["outputs"][0]["unchanged"] == len(before)
    assert sum(map(len, by_import.sent())) == len(before) + 1
    assert by_import.fake.asked("commit") == []
    assert by_import.fake.items() == before
    assert by_import.nights.files(by_import.nights.state) == state


def test_a_dry_run_does_not_wait_for_a_sync(by_import: Pushes) -> None:
    by_import.fake.begin_sync()
    by_import.run("--dry-run")


def test_the_first_push_of_an_administrator_is_one_upload(pushes: Pushes) -> None:
    done = pushes.run("--rewatches")
    assert pushes.fake.asked("preview") == []
    expected = pushes.expected("--rewatches")
    found = pushes.fake.items()
    assert {key: found[key] | item for key, item in expected.items()} == found
    assert all(item["provider_event_id"].startswith("tautulli-") for item in found.values())
    assert done.changes == (len(expected), 0, 0)
    assert "Nothing new" in said(pushes.run("--rewatches", days=1))


@pytest.mark.parametrize("kind", ["state", "snapshot"])
def test_a_tracker_that_is_not_empty_is_not_replaced(pushes: Pushes, kind: str) -> None:
    foreign = {"type": "movie", "ids": {"tmdb": "9"}, "title": "Foreign", "watched_at": "2020"}
    if kind == "state":
        pushes.fake.trackers["default"] = {"tmdb:9": foreign}
    else:
        pushes.fake.snapshots["default"] = ["20261127T162341Z-history.json"]
    pushes.run()
    assert pushes.fake.asked("import") == []
    assert len(pushes.fake.items()) == len(pushes.expected()) + (kind == "state")


def test_a_tracker_that_a_sync_fills_is_not_replaced(synced: Pushes) -> None:
    synced.run()
    assert synced.fake.asked("import") == []
    assert len(synced.fake.items()) == len(synced.expected())


def test_an_upload_is_not_begun_in_a_sync(pushes: Pushes) -> None:
    pushes.fake.before["crosswatch-tracker"] = [pushes.fake.begin_sync]
    assert "is running a sync" in pushes.fails(6)
    assert pushes.fake.asked("import") == []


def test_a_tracker_that_fills_meanwhile_is_not_replaced(pushes: Pushes) -> None:
    foreign = {"type": "movie", "ids": {"tmdb": "9"}, "title": "Foreign", "watched_at": "2020"}

    def fill() -> None:
        pushes.fake.trackers["default"] = {"tmdb:9": foreign}

    pushes.fake.before["crosswatch-tracker"] = [lambda: None, fill]
    pushes.run()
    assert pushes.fake.items()["tmdb:9"] == foreign
    assert len(pushes.fake.items()) == len(pushes.expected()) + 1


@pytest.mark.parametrize("version", ["0.14.2", "v1.0.0", "", "unknown"])
def test_a_tracker_that_may_be_in_a_database_is_not_replaced(pushes: Pushes, version: str) -> None:
    pushes.fake.version = version
    pushes.run()
    assert pushes.fake.asked("import") == []
    assert len(pushes.fake.items()) == len(pushes.expected())
    told = pushes.fails(8, "--user", "alice", "--replace")
    assert "not known to be safe" in told
    assert len(pushes.fake.items()) == len(pushes.expected())


def test_a_version_that_cannot_be_had_is_no_error(pushes: Pushes) -> None:
    pushes.fake.faults.append(lambda call: (500, b"") if call.name == "version" else None)
    pushes.run()
    assert len(pushes.fake.items()) == len(pushes.expected())


def test_nothing_is_uploaded_in_place_of_a_profile_that_is_gone(pushes: Pushes) -> None:
    fake = pushes.fake
    fake.add_profile("CW-P01")
    fake.before["crosswatch-tracker"] = [lambda: fake.labels.pop("CW-P01")]
    told = pushes.fails(8, "--profile", "CW-P01")
    assert "answered for the profile default, not for CW-P01" in told
    assert fake.trackers == {}


def test_an_upload_that_is_not_written_is_noticed(pushes: Pushes) -> None:
    pushes.fake.loses_writes = True
    assert "does not have them" in pushes.fails(8)
    pushes.fake.loses_writes = False
    pushes.run()
    assert len(pushes.fake.items()) == len(pushes.expected())


@pytest.mark.parametrize(
    "change", [{"provider_instance": "x"}, {"target": "snapshot"}, {"ok": False, "error": "No."}]
)
def test_an_upload_that_went_elsewhere_is_an_error(
    pushes: Pushes, change: dict[str, object]
) -> None:
    answer = {"ok": True, "provider_instance": "default", "target": "state", "kind": "history"}
    pushes.fake.faults.append(once("import", (200, answer | change)))
    told = pushes.fails(8)
    assert "did not take the history" in told or "took the history" in told


def test_each_user_has_a_profile(by_import: Pushes) -> None:
    fake = by_import.fake
    fake.add_profile("CW-P01", "Bob")
    config = "alice=default, bob=cw-p01"
    by_import.nights.environment["TAUTULLI_IMPORT_PROFILES"] = config  # type: ignore[index]
    by_import.run("--each-user")
    both = {user: len(by_import.expected("--user", user)) for user in ("alice", "bob")}
    assert {"alice": len(fake.items()), "bob": len(fake.items("CW-P01"))} == both
    assert "Nothing new" in said(by_import.run("--each-user", days=1))


@pytest.mark.parametrize(
    ("profiles", "options", "words"),
    [
        (
            "alice=default",
            (),
            'for the user bob. Add it to config.toml: profiles = {"bob" = "CW-P01"}',
        ),
        ("alice=default,bob=Default", (), "have the same profile"),
        ("alice=default,bob=x", ("--profile", "x"), "--profile is one profile"),
    ],
)
def test_profiles_that_would_mix_users(
    by_import: Pushes, profiles: str, options: tuple[str, ...], words: str
) -> None:
    by_import.nights.environment["TAUTULLI_IMPORT_PROFILES"] = profiles  # type: ignore[index]
    assert words in by_import.fails(2, "--each-user", *options)
    assert by_import.fake.items() == {}


def test_a_user_without_a_profile_can_be_left_out(by_import: Pushes) -> None:
    by_import.nights.environment["TAUTULLI_IMPORT_PROFILES"] = "alice=default"  # type: ignore[index]
    by_import.run("--each-user", "--user", "alice")
    assert len(by_import.fake.items()) == len(by_import.expected("--user", "alice"))


@pytest.mark.parametrize("is_admin", [False, True])
def test_a_key_that_changed_stays_and_is_counted(by_import: Pushes, *, is_admin: bool) -> None:
    by_import.fake.is_admin = is_admin
    by_import.nights.film(30, "Unknown", year=2001, rating_key=99)
    by_import.run()
    ids = by_import.nights.folder / "ids.csv"
    ids.write_text("type,rating_key,tmdb\nmovie,99,603\n", "utf-8")
    for _ in range(2):
        done = by_import.run("--ids", ids, days=1)
    keys = [
        key.partition("@")[0]
        for key, item in by_import.fake.items().items()
        if item["title"] == "Unknown"
    ]
    assert sorted(keys) == ["plex:99", "tmdb:603"]
    assert "1 of our entries stay in CrossWatch under a key" in done.told["warnings"][-1]


def test_rows_that_are_sent_have_a_show_id_and_no_empty_title(by_import: Pushes) -> None:
    by_import.nights.execute("UPDATE session_history_metadata SET grandparent_title = ''")
    by_import.run()
    episodes = [
        row for row in rows_of(by_import.fake.asked("preview")[0]) if row["type"] == "episode"
    ]
    assert episodes
    assert all(row["show_ids"] and "series_title" not in row for row in episodes)
