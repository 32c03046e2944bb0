"""Settings: flag > environment > ``.env`` > ``config.toml`` > default, and who said what."""

import json
from pathlib import Path
from typing import Any

import pytest

from tautulli_import.errors import ConfigurationError
from tautulli_import.settings.fields import Settings
from tautulli_import.settings.layers import config_path
from tautulli_import.settings.loaded import load
from tests.conftest import Cli
from tests.support.history import generate
from tests.support.inside import Inside


@pytest.fixture(autouse=True)
def home(tmp_path: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty directory to stand in, and nobody's configuration."""
    monkeypatch.setattr("os.environ", dict(environment))
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    return here


def write_config(text: str) -> Path:
    path = config_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


#: name, and in ascending precedence: default, config.toml, .env, environment, flag.
_CASCADE: list[tuple[str, Any, tuple[str, Any], tuple[str, Any], tuple[str, Any], Any]] = [
    ("batch_size", 200, ("11", 11), ("12", 12), ("13", 13), 14),
    ("min_percent", None, ("51", 51), ("52", 52), ("0", 0), 54),
    ("dry_run", False, ("true", True), ("false", False), ("1", True), False),
    ("quiet", False, ("true", True), ("0", False), ("yes", True), False),
    ("since", None, ('"1d"', "1d"), ("2d", "2d"), ("3d", "3d"), "4d"),
    ("user", [], ('["a", "b"]', ["a", "b"]), ("c,d", ["c", "d"]), ("e", ["e"]), ["f"]),
    ("to", [], ('"jsonl"', ["jsonl"]), ("editor", ["editor"]), ("a, b", ["a", "b"]), ["x"]),
    ("watched_at", "stopped", ('"started"', "started"), ("stopped", "stopped"),
     ("started", "started"), "stopped"),
    ("media_type", ["movie", "episode", "track"], ('["live"]', ["live"]), ("movie", ["movie"]),
     ("episode,live", ["episode", "live"]), ["movie"]),
    ("report", None, ('"a.json"', Path("a.json")), ("b.json", Path("b.json")),
     ("c.json", Path("c.json")), Path("d.json")),
    ("color", True, ("false", False), ("true", True), ("no", False), True),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "default", "toml", "dotenv", "environ", "flag"),
    _CASCADE,
    ids=[row[0] for row in _CASCADE],
)
def test_each_place_overrules_those_below_it_and_is_named(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    name: str,
    default: Any,
    toml: tuple[str, Any],
    dotenv: tuple[str, Any],
    environ: tuple[str, Any],
    flag: Any,
) -> None:
    def now() -> tuple[Any, str]:
        loaded = load({})
        return getattr(loaded.settings, name), loaded.origins[name]

    variable = f"TAUTULLI_IMPORT_{name.upper()}"
    assert now() == (default, "default")
    path = write_config(f"{name} = {toml[0]}\n")
    assert now() == (toml[1], str(path))
    (home / ".env").write_text(f"{variable}={dotenv[0]}\n", encoding="utf-8")
    assert now() == (dotenv[1], ".env")
    monkeypatch.setenv(variable, environ[0])
    assert now() == (environ[1], "environment")
    loaded = load({name: flag})
    assert (getattr(loaded.settings, name), loaded.origins[name]) == (flag, "option")


def test_an_option_that_was_not_given_overrules_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAUTULLI_IMPORT_BATCH_SIZE", "7")
    loaded = load({"batch_size": None})
    assert (loaded.settings.batch_size, loaded.origins["batch_size"]) == (7, "environment")


def test_an_empty_variable_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    write_config("batch_size = 5\n")
    monkeypatch.setenv("TAUTULLI_IMPORT_BATCH_SIZE", "")
    assert load({}).settings.batch_size == 5


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("IMPORT_DB_PATH", "/data/tautulli.db", "database", [Path("/data/tautulli.db")]),
        ("IMPORT_DB_PATH", "/data/a, b.db", "database", [Path("/data/a, b.db")]),
        ("IMPORT_BATCH_SIZE", "1000", "batch_size", 1000),
        ("IMPORT_DRY_RUN", "true", "dry_run", True),
    ],
)
def test_the_second_seeds_variables_are_understood(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, name: str, value: object
) -> None:
    monkeypatch.setenv(variable, text)
    loaded = load({})
    assert getattr(loaded.settings, name) == value
    assert "IMPORT_" in loaded.origins[name]


def test_our_own_variable_overrules_the_second_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMPORT_BATCH_SIZE", "1000")
    monkeypatch.setenv("TAUTULLI_IMPORT_BATCH_SIZE", "2000")
    assert load({}).settings.batch_size == 2000


def test_the_second_seeds_variables_overrule_config_toml(monkeypatch: pytest.MonkeyPatch) -> None:
    write_config("batch_size = 5\n")
    monkeypatch.setenv("IMPORT_BATCH_SIZE", "1000")
    assert load({}).settings.batch_size == 1000


def test_lists_come_with_commas_and_without_repetition(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAUTULLI_IMPORT_USER", " alice, Bob B. ,,alice")
    monkeypatch.setenv("TAUTULLI_IMPORT_DATABASE", "a.db,b.db")
    settings = load({}).settings
    assert settings.user == ["alice", "Bob B."]
    assert settings.database == [Path("a.db"), Path("b.db")]


def test_a_comma_on_the_command_line_is_part_of_the_name() -> None:
    settings = load({"user": ["Smith, John"], "database": [Path("a,b.db")]}).settings
    assert settings.user == ["Smith, John"]
    assert settings.database == [Path("a,b.db")]


def test_an_unknown_setting_in_config_toml_is_an_error_that_names_it() -> None:
    path = write_config('quiet = true\nuzer = "alice"\n')
    with pytest.raises(ConfigurationError) as caught:
        load({})
    assert "'uzer'" in str(caught.value)
    assert str(path) in str(caught.value)


def test_the_hint_about_an_unknown_setting_works_with_that_setting(inside: Inside) -> None:
    write_config('uzer = "alice"\n')
    said = inside("config", "show").err
    command = said.rpartition("All settings: tautulli-import ")[2].split()
    done = inside(*command)
    assert (done.code, done.err) == (0, "")
    assert "--each-user" in done.out


def test_a_table_in_config_toml_is_no_setting() -> None:
    write_config("[db]\nquiet = true\n")
    with pytest.raises(ConfigurationError, match="'db'"):
        load({})


@pytest.mark.parametrize("text", ["quiet = ", "= 1", "quiet = true\nquiet = false", "[", "\x00"])
def test_a_config_toml_that_is_none_is_an_error_that_names_it(text: str) -> None:
    path = write_config(text)
    with pytest.raises(ConfigurationError) as caught:
        load({})
    assert str(path) in str(caught.value)


def test_a_config_toml_that_is_no_text_is_an_error_that_names_it() -> None:
    path = write_config("")
    path.write_bytes(b"\xff\xfe\x00quiet")
    with pytest.raises(ConfigurationError) as caught:
        load({})
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("batch_size", "0"),
        ("batch_size", "10001"),
        ("batch_size", "many"),
        ("min_percent", "101"),
        ("min_percent", "-1"),
        ("dry_run", "perhaps"),
        ("format", "xml"),
        ("media_type", "music"),
        ("watched_at", "paused"),
    ],
)
def test_a_wrong_value_is_named_with_where_it_stands(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    variable = f"TAUTULLI_IMPORT_{name.upper()}"

    def said(flags: dict[str, object]) -> str:
        with pytest.raises(ConfigurationError) as caught:
            load(flags)
        assert caught.value.exit_code == 2
        assert value in str(caught.value)
        return str(caught.value)

    path = write_config(f'{name} = "{value}"\n')
    assert name in said({})
    assert str(path) in said({})
    (home / ".env").write_text(f"{variable}={value}\n", encoding="utf-8")
    assert ".env" in said({})
    monkeypatch.setenv(variable, value)
    assert "environment" in said({})
    flag = [value] if name == "media_type" else value
    assert f"--{name.replace('_', '-')}" in said({name: flag})


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("format", "csv", "--format must be jsonl or table, not 'csv'."),
        ("batch_size", 0, "--batch-size must be at least 1, not 0."),
        ("batch_size", 10_001, "--batch-size must be at most 10000, not 10001."),
        ("timeout", "soon", "--timeout must be a number, not 'soon'."),
        ("nats_timeout", 0.01, "--nats-timeout must be at least 0.1, not 0.01."),
        ("strict", "perhaps", "--strict must be true or false, not 'perhaps'."),
        (
            "server_id",
            "a:b",
            (
                "--server-id must be made of letters, digits, dots, hyphens and underscores, "
                "not 'a:b'."
            ),
        ),
        (
            "server_id",
            "a" * 201,
            f"--server-id must be at most 200 characters long, not '{'a' * 201}'.",
        ),
        ("api_key", ["secret"], "--api-key must be text."),
    ],
)
def test_the_message_says_what_a_setting_can_be(name: str, value: object, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load({name: value})
    assert str(caught.value) == sentence


def test_a_wrong_value_that_is_overruled_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAUTULLI_IMPORT_BATCH_SIZE", "many")
    assert load({"batch_size": 5}).settings.batch_size == 5


@pytest.mark.parametrize("value", ['"a, b"', "'a, b'", "a, b\r"])
def test_what_a_container_leaves_around_a_value_is_not_part_of_it(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("TAUTULLI_IMPORT_USER", value)
    assert load({}).settings.user == ["a", "b"]


@pytest.mark.parametrize("value", ['"a" b "c"', '"', "it's"])
def test_quotation_marks_in_a_value_are_part_of_it(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("TAUTULLI_IMPORT_USER", value)
    assert load({}).settings.user == [value]


def test_the_environment_of_another_program_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "root")
    monkeypatch.setenv("DATABASE", "x.db")
    loaded = load({})
    assert set(loaded.origins.values()) == {"default"}


def test_a_misspelt_name_in_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would silently merge everybody's plays where one user was meant."""
    monkeypatch.setenv("TAUTULLI_IMPORT_USR", "alice")
    with pytest.raises(ConfigurationError, match="TAUTULLI_IMPORT_USR") as caught:
        load({})
    assert "TAUTULLI_IMPORT_USER" in caught.value.hint


def test_config_show_names_every_setting_its_value_and_its_origin(cli: Cli, home: Path) -> None:
    path = write_config('user = ["alice", "bob"]\n')
    (home / ".env").write_text("TAUTULLI_IMPORT_STRICT=1\n", encoding="utf-8")

    result = cli(
        "config", "show", cwd=home, env={"TAUTULLI_IMPORT_QUIET": "1", "IMPORT_DRY_RUN": "1"}
    )

    assert (result.code, result.err) == (0, "")
    rows = {line.split()[0]: line for line in result.out.splitlines() if line.strip()}
    assert set(Settings.model_fields) <= set(rows)
    assert "alice, bob" in rows["user"]
    assert str(path) in rows["user"]
    assert "true" in rows["strict"]
    assert rows["strict"].rstrip().endswith(".env")
    assert rows["quiet"].rstrip().endswith("environment")
    assert rows["dry_run"].rstrip().endswith("environment (IMPORT_*)")
    assert rows["batch_size"].rstrip().endswith("default")


def test_config_show_as_json_is_the_same(cli: Cli, home: Path) -> None:
    result = cli("config", "show", "--json", cwd=home, env={"TAUTULLI_IMPORT_BATCH_SIZE": "9"})

    told = json.loads(result.out)
    assert result.code == 0
    assert set(told) == set(Settings.model_fields)
    assert told["batch_size"] == {"value": 9, "origin": "environment"}
    assert told["user"] == {"value": [], "origin": "default"}


def test_config_path_tells_where_config_toml_belongs_and_nothing_else(cli: Cli) -> None:
    result = cli("config", "path")
    assert (result.code, result.err) == (0, "")
    assert result.out == f"{config_path()}\n"
    assert config_path().name == "config.toml"


def test_config_path_works_even_when_config_toml_is_broken(cli: Cli) -> None:
    write_config("[")
    assert cli("config", "path").code == 0


def test_the_program_leaves_with_2_when_a_setting_is_wrong(cli: Cli, history: Path) -> None:
    write_config("uzer = 1\n")
    result = cli("db", history, "--dry-run")
    assert (result.code, result.out) == (2, "")
    assert "'uzer'" in result.err


def test_the_program_runs_on_settings_alone(cli: Cli, history: Path, home: Path) -> None:
    write_config(f'to = "tracker"\nout = "from-config"\nuser = ["bob"]\ndatabase = "{history}"\n')

    assert cli("db", cwd=home).code == 0

    held = json.loads((home / "from-config" / "history.json").read_bytes())["items"]
    assert [item["title"] for item in held.values()] == ["Third Film"]


def test_a_switch_that_is_set_can_be_turned_off_again(cli: Cli, history: Path, home: Path) -> None:
    env = {"IMPORT_DB_PATH": str(history), "IMPORT_DRY_RUN": "true"}
    dry = cli("db", "--to", "tracker", cwd=home, env=env)
    assert dry.code == 0
    assert len(dry.out.splitlines()) == 4
    assert not (home / "crosswatch-tracker").exists()

    assert cli("db", "--to", "tracker", "--no-dry-run", cwd=home, env=env).code == 0
    assert (home / "crosswatch-tracker" / "history.json").exists()


# Settings that were made for another source or another sink.


def test_a_choice_of_users_on_the_command_line_overrides_that_of_the_settings(
    cli: Cli, tmp_path: Path
) -> None:
    generate(tmp_path / "a.db", plays=200, seed=7)
    (tmp_path / "one.toml").write_text("each_user = true\n")
    (tmp_path / "two.toml").write_text('user = ["alice"]\n')
    args = ("db", "a.db", "--to", "jsonl", "--out")
    cli(*args, "one.jsonl", "--user", "alice", "--config", "one.toml")
    assert (tmp_path / "one.jsonl").is_file()
    each = cli(*args, "two.jsonl", "--each-user", "--config", "two.toml", "--json")
    assert len(json.loads(each.out)["outputs"]) > 1


def test_a_place_in_the_settings_is_for_the_sinks_of_the_settings(cli: Cli, tmp_path: Path) -> None:
    generate(tmp_path / "a.db", plays=100, seed=7)
    (tmp_path / "c.toml").write_text('to = ["tracker"]\nout = ["there", "letterboxd=lb.csv"]\n')
    args = ("db", "a.db", "--all-users", "--config", "c.toml", "--json")
    (jsonl,) = json.loads(cli(*args, "--to", "editor").out)["outputs"]
    (letterboxd,) = json.loads(cli(*args, "--to", "letterboxd").out)["outputs"]
    assert jsonl["target"] == "tautulli-editor-history.json"
    assert letterboxd["target"] == "lb.csv"
    assert not (tmp_path / "there").exists()


def test_a_selection_from_the_settings_is_named_for_a_source_that_is_not_theirs(
    cli: Cli, tmp_path: Path
) -> None:
    generate(tmp_path / "a.db", plays=100, seed=7)
    (tmp_path / "c.toml").write_text(f'user = ["alice"]\ndatabase = ["{tmp_path / "a.db"}"]\n')
    named = cli("db", "a.db", "-n", "--config", "c.toml")
    own = cli("db", "-n", "--config", "c.toml")
    assert "user comes from c.toml." in named.err
    assert "comes from" not in own.err
    with (tmp_path / "c.toml").open("a") as file:
        file.write('since = "2001"\nmin_percent = 50\n')
    several = cli("db", "a.db", "-n", "--config", "c.toml")
    assert "user, since and min_percent come from c.toml." in several.err


@pytest.mark.parametrize(
    "options",
    [
        ("--out", "~nobody-here/x.jsonl"),
        ("--out", "jsonl=~nobody-here/x.jsonl"),
        ("--report", "~nobody-here/x.json"),
        ("--config", "~nobody-here/x.toml"),
    ],
)
def test_a_home_directory_that_does_not_exist_is_named(
    cli: Cli, history: Path, options: tuple[str, ...]
) -> None:
    done = cli("db", history, "--to", "jsonl", *options)
    assert done.code == 2, done.err
    assert "There is no home directory ~nobody-here for ~nobody-here/x" in done.err


def test_a_database_below_the_home_of_nobody_is_named(cli: Cli) -> None:
    done = cli("check", "~nobody-here/tautulli.db")
    assert done.code == 2, done.err
    assert "There is no home directory ~nobody-here" in done.err
