"""``--to jsonl`` and the dry run in a pipe: one item a line, its key first."""

import json
import os
import stat
from contextlib import closing, suppress
from io import BytesIO
from pathlib import Path

import pytest

from tautulli_import.errors import SinkError
from tautulli_import.files import write_whole
from tautulli_import.imports.job import Job
from tautulli_import.imports.run import run
from tautulli_import.model.items import Ids, Movie, Record
from tautulli_import.model.selection import Selection
from tautulli_import.sinks.base import SinkOptions
from tautulli_import.sinks.items_jsonl import JsonlSink
from tautulli_import.sources.database.source import Source
from tests.conftest import Cli
from tests.support.forked import started
from tests.support.history import add_play, add_user, create, generate
from tests.support.one_run import target

NOW = 1_790_000_000


def film(title: str = "The Matrix", *, key: str = "tmdb:603", user: str | None = None) -> Record:
    item = Movie(Ids(tmdb="603"), title, 1999, "2023-11-14T22:13:20Z")
    return Record(key, item, 1_700_000_000, 7, user)


def sink(out: Path | None, *records: Record, stdout: BytesIO | None = None) -> JsonlSink:
    made = JsonlSink(SinkOptions(out, stdout or BytesIO(), NOW))
    made.write(records)
    return made


@pytest.fixture(scope="module")
def long_history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """More items than any pipe holds."""
    path = tmp_path_factory.mktemp("long") / "tautulli.db"
    generate(path, plays=6000, truth=False)
    return path


def read_one_line(
    *args: str | Path, cwd: Path, environment: dict[str, str]
) -> tuple[bytes, int, bytes]:
    """Run the program into a pipe whose reader leaves after one line: ``| head -1``."""
    with started(
        "tautulli_import", [*map(str, args)], environment=environment, folder=cwd
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
        return line, process.wait(timeout=60), errors


def test_each_line_is_an_item_with_its_key_first() -> None:
    out = BytesIO()

    sink(None, film(), film("Zoë \u2028 \n 🌸", key="tmdb:604"), stdout=out).commit()

    content = out.getvalue().decode("utf-8")
    assert content.endswith("\n")
    first, second = content.removesuffix("\n").split("\n")
    assert json.dumps(json.loads(first)) == json.dumps(
        {
            "key": "tmdb:603",
            "type": "movie",
            "ids": {"tmdb": "603"},
            "title": "The Matrix",
            "year": 1999,
            "watched_at": "2023-11-14T22:13:20Z",
        }
    )
    assert json.loads(second)["title"] == "Zoë \u2028 \n 🌸"


def test_whose_an_item_is_follows_its_key() -> None:
    out = BytesIO()
    sink(None, film(user="Ali\nce"), stdout=out).commit()
    assert list(json.loads(out.getvalue()))[:3] == ["key", "user", "type"]
    assert json.loads(out.getvalue())["user"] == "Ali\nce"


def test_a_file_holds_the_same_lines_as_standard_output(cli: Cli, history: Path) -> None:
    to_stdout = cli("db", history, "--to", "jsonl")
    to_dash = cli("db", history, "--to", "jsonl", "--out", "-")
    dry = cli("db", history, "--dry-run")
    to_file = cli("db", history, "--to", "jsonl", "--out", "deep/er/items.jsonl")

    assert (to_stdout.code, to_dash.code, dry.code, to_file.code) == (0, 0, 0, 0)
    assert len(to_stdout.out.splitlines()) == 4
    assert to_stdout.out == to_dash.out == dry.out
    assert to_file.out == ""
    folder = history.parent.parent / "deep" / "er"
    assert [path.name for path in folder.iterdir()] == ["items.jsonl"]
    assert (folder / "items.jsonl").read_text(encoding="utf-8") == to_stdout.out


def test_a_second_run_leaves_the_file_alone(tmp_path: Path) -> None:
    out = tmp_path / "items.jsonl"
    sink(out, film()).commit()
    before = out.stat().st_mtime_ns, out.stat().st_ino

    receipt = sink(out, film()).commit()

    assert (out.stat().st_mtime_ns, out.stat().st_ino) == before
    assert (receipt.new, receipt.unchanged, receipt.written) == (0, 1, ())


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    out = tmp_path / "items.jsonl"
    sink(out, film(), film(key="tmdb:604")).commit()

    sink(out, film(key="tmdb:605")).commit()

    assert [json.loads(line)["key"] for line in out.read_bytes().splitlines()] == ["tmdb:605"]


def test_a_file_is_empty_when_nothing_is_selected_any_more(tmp_path: Path) -> None:
    out = tmp_path / "items.jsonl"
    sink(out, film()).commit()

    sink(out).commit()

    assert out.read_bytes() == b""


def test_a_preview_writes_nothing(tmp_path: Path) -> None:
    out = BytesIO()
    assert sink(None, film(), stdout=out).preview().new == 1
    assert sink(tmp_path / "items.jsonl", film()).preview().new == 1
    assert out.getvalue() == b""
    assert list(tmp_path.iterdir()) == []


def test_a_directory_in_the_way_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SinkError):
        sink(tmp_path, film()).commit()
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_file_is_never_replaced_by_one(tmp_path: Path) -> None:
    # Renaming over /dev/null or /dev/stdout, which root may do, would take them from everybody.
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with suppress(SinkError):
            write_whole(pipe, [b"{}\n"])
        assert stat.S_ISFIFO(pipe.stat().st_mode)
    finally:
        os.close(reader)


@pytest.mark.parametrize(
    "how", [["--to", "jsonl"], ["--dry-run"], ["--dry-run", "--format", "jsonl"]]
)
def test_a_reader_who_has_seen_enough_is_no_error(
    long_history: Path, tmp_path: Path, environment: dict[str, str], how: list[str]
) -> None:
    line, code, errors = read_one_line(
        "db", long_history, *how, cwd=tmp_path, environment=environment
    )

    assert "key" in json.loads(line)
    assert code == 0
    for word in (b"Traceback", b"roken pipe", b"BrokenPipe", b"Error", b"Exception"):
        assert word not in errors


def test_with_quiet_a_reader_who_leaves_is_not_mentioned(
    long_history: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    _, code, errors = read_one_line(
        "db",
        long_history,
        "--to",
        "jsonl",
        "-q",
        "--all-users",
        cwd=tmp_path,
        environment=environment,
    )
    assert (code, errors) == (0, b"")


@pytest.mark.parametrize("order", [("jsonl", "tracker"), ("tracker", "jsonl")])
def test_the_other_sinks_get_everything_when_the_reader_leaves(
    long_history: Path, tmp_path: Path, environment: dict[str, str], order: tuple[str, str]
) -> None:
    sinks = [word for name in order for word in ("--to", name)]
    _, code, _ = read_one_line(
        "db", long_history, *sinks, "--out", "tracker=root", cwd=tmp_path, environment=environment
    )
    assert code == 0
    assert len(json.loads((tmp_path / "root" / "history.json").read_bytes())["items"]) > 100


def test_the_report_is_written_when_the_reader_leaves(
    long_history: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    args = ("db", long_history, "--dry-run", "--report", "report.json")
    _, code, _ = read_one_line(*args, cwd=tmp_path, environment=environment)
    assert code == 0
    assert json.loads((tmp_path / "report.json").read_bytes())["plays"]["read"] == 6000


def test_a_long_history_arrives_whole_and_in_order(
    cli: Cli, long_history: Path, tmp_path: Path
) -> None:
    result = cli("db", long_history, "--to", "jsonl", "--rewatches", "--report", "report.json")

    assert result.code == 0
    rows = [json.loads(line) for line in result.out.split("\n")[:-1]]
    report = json.loads((tmp_path / "report.json").read_bytes())
    assert len(rows) == report["plays"]["emitted"] > 2000
    assert len({row["key"] for row in rows}) == len(rows)
    moments = [row["watched_at"] for row in rows]
    assert moments == sorted(moments)


# One output per user.


def users_called(path: Path, *names: str) -> Path:
    """Return a history in which user n has the n-th friendly name and watched ``Film n``."""
    with closing(create(path)) as conn:
        for number, name in enumerate(names, 1):
            add_user(conn, number, "", name)
            add_play(conn, title=f"Film {number}", user_id=number, user="", year=2000 + number)
    return path


def test_on_standard_output_each_line_tells_whose_it_is(cli: Cli, history: Path) -> None:
    result = cli("db", history, "--to", "jsonl", "--each-user")

    assert result.code == 0
    rows = [json.loads(line) for line in result.out.splitlines()]
    assert [list(row)[:3] for row in rows] == [["key", "user", "type"]] * 4
    assert sorted(row["user"] for row in rows) == ["Alice", "Alice", "Alice", "Bob"]


def test_each_user_has_a_file(cli: Cli, history: Path, tmp_path: Path) -> None:
    result = cli("db", history, "--to", "jsonl", "--each-user", "--out", "out/items.jsonl")

    assert (result.code, result.out) == (0, "")
    counts = {
        path.name: len(path.read_bytes().splitlines()) for path in (tmp_path / "out").iterdir()
    }
    assert counts == {"items-Alice.jsonl": 3, "items-Bob.jsonl": 1}


_UNFRIENDLY = {
    "a way out": ("../x", "..", "."),
    "a path": ("a/b", "/etc/passwd", "a\\b"),
    "an emoji": ("🌸", "🌸🌸", "Çağla 🌸"),
    "nothing": ("", " "),
    "the same": ("Sam", "Sam", "sam", "SAM"),
    "alike once cleaned": ("a/b", "a_b", "a b"),
    "like another with its number": ("Sam", "Sam", "Sam-1", "Sam-2"),
    "another's number": ("2", "🌸"),
    "control characters": ("a\nb", "\x1b[31mred", "a\tb"),
    "very long": ("x" * 300, "ü" * 200),
    "an option": ("-rf", "--out"),
}


@pytest.mark.parametrize("names", _UNFRIENDLY.values(), ids=_UNFRIENDLY.keys())
@pytest.mark.parametrize(
    ("sink_name", "out"),
    [("jsonl", "items.jsonl"), ("tracker", "root"), ("editor", "x-history.json")],
)
def test_no_name_of_a_user_leads_astray_or_to_another_user(
    tmp_path: Path, sink_name: str, out: str, names: tuple[str, ...]
) -> None:
    database = users_called(tmp_path / "a.db", *names)
    place = tmp_path / "deep" / "out"

    with closing(Source([database])) as source:
        job = Job("db", [target(sink_name, place / out, now=NOW)], Selection(), each_user=True)
        run(source, job)

    written = [path for path in (tmp_path / "deep").rglob("*") if path.is_file()]
    outputs = [path for path in written if "snapshots" not in path.parts]
    held = [
        [number for number in range(1, len(names) + 1) if f'"Film {number}"' in path.read_text()]
        for path in outputs
    ]
    assert sorted(held) == [[number] for number in range(1, len(names) + 1)]
    if sink_name == "tracker":
        assert {path.parent.parent for path in outputs} == {place / out}
    else:
        assert {path.parent for path in outputs} == {place}
    assert {path.name for path in tmp_path.iterdir()} == {"a.db", "deep"}


def test_plays_of_nobody_have_an_output_of_their_own(cli: Cli, tmp_path: Path) -> None:
    with closing(create(tmp_path / "a.db")) as conn:
        add_user(conn, 1, "alice", "Alice")
        add_play(conn, title="Hers", user_id=1)
        add_play(conn, title="Nobody's", user_id=None, user=None)
        add_play(conn, title="The house's", user_id=0, user="Local")

    result = cli("db", tmp_path / "a.db", "--to", "jsonl", "--each-user")

    assert result.code == 0, result.err
    owners = {row["title"]: row["user"] for row in map(json.loads, result.out.splitlines())}
    assert owners["Hers"] == "Alice"
    assert set(owners) == {"Hers", "Nobody's", "The house's"}
    assert len(set(owners.values())) == 3


def test_the_same_film_watched_by_two_is_an_item_of_each(cli: Cli, tmp_path: Path) -> None:
    with closing(create(tmp_path / "a.db")) as conn:
        for user_id in (1, 2):
            add_play(conn, title="Heat", user_id=user_id)

    together = cli("db", tmp_path / "a.db", "--to", "jsonl")
    apart = cli("db", tmp_path / "a.db", "--to", "jsonl", "--each-user")

    assert len(together.out.splitlines()) == 1
    assert sorted(json.loads(line)["user"] for line in apart.out.splitlines()) == [
        "user1",
        "user2",
    ]


def test_one_standard_output_is_not_enough_for_several_datasets(cli: Cli, history: Path) -> None:
    result = cli("db", history, "--to", "editor", "--out", "-", "--each-user")
    assert (result.code, result.out) == (2, "")
