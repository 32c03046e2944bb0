"""Archives and JSON of strangers for ``--merge-with``: a sentence, an exit code, little memory."""

from __future__ import annotations

import io
import random
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from tautulli_import.errors import NotFoundError, SinkError
from tautulli_import.sinks import crosswatch_json
from tautulli_import.sinks.crosswatch_json import exported
from tests.support.inside import Inside

MB: Final = 1 << 20
DEEP: Final = b'{"items": {"tmdb:1": {"watched_at": "x", "more": ' + b"[" * 50_000


def zipped(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a ZIP."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return written.getvalue()


def patched(archive: bytes, offset: int, value: int) -> bytes:
    """Return a ZIP with four other bytes in the first entry of its directory."""
    at = archive.index(b"PK\x01\x02") + offset
    return archive[:at] + struct.pack("<I", value) + archive[at + 4 :]


def bomb() -> bytes:
    """Sixty-four megabytes in sixty-four kilobytes."""
    return zipped(("history.json", bytes(64 * MB)))


HOSTILE: Final[dict[str, Callable[[], bytes]]] = {
    "a bomb": bomb,
    "a bomb that says that it is small": lambda: patched(bomb(), 24, 1000),
    "a bomb that says that it is huge": lambda: patched(bomb(), 24, 0xFFFFFFF0),
    "many files": lambda: zipped(*((f"{n}.json", b"") for n in range(2_000))),
    "LZMA, whose dictionary can be 4 GB": lambda: zipped(
        ("history.json", b"{}"), method=zipfile.ZIP_LZMA
    ),
    "encrypted": lambda: patched(zipped(("history.json", b"{}")), 8, 1),
    "a name that is no text": lambda: patched(
        zipped(("history.json", b"{}"), ("\u00fc.json", b"")), 8, 0x800
    ).replace("\u00fc".encode(), b"\xff\xff"),
    "nested deeply": lambda: DEEP,
    "nested deeply in a ZIP": lambda: zipped(("history.json", DEEP)),
    "no UTF-8": lambda: b'{"items": {"\xff": {}}}',
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_an_archive_that_is_none_is_an_error_at_little_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(crosswatch_json, "_MOST_BYTES", 4 * MB)
    monkeypatch.setattr(crosswatch_json, "_MOST_MEMBERS", 1_000)
    export = tmp_path / "export.zip"
    export.write_bytes(HOSTILE[kind]())
    tracemalloc.start()
    try:
        with pytest.raises(SinkError) as told:
            exported(export)
        assert tracemalloc.get_traced_memory()[1] < 16 * MB
    finally:
        tracemalloc.stop()
    assert str(export) in str(told.value)
    assert told.value.hint


def test_a_file_that_is_larger_than_any_history_is_not_read(tmp_path: Path) -> None:
    export = tmp_path / "history.json"
    with export.open("wb") as file:
        file.truncate(100 << 30)
    with pytest.raises(SinkError, match="more than 256 MB"):
        exported(export)


@pytest.mark.parametrize("kind", HOSTILE)
def test_an_archive_in_the_place_of_the_output_is_not_replaced(
    inside: Inside, history: Path, tmp_path: Path, kind: str
) -> None:
    out = tmp_path / "x-history.zip"
    out.write_bytes(content := HOSTILE[kind]())
    done = inside("db", history, "--to", "editor", "--out", out)
    assert done.code == 8, done.err
    assert f"{out} is not an Editor dataset, so it is not replaced." in done.err
    assert out.read_bytes() == content


@pytest.mark.sampled(4)
@pytest.mark.parametrize("seed", range(16))
def test_a_damaged_archive_is_an_error_like_any_other(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - not for secrets
    whole = zipped(("a/history.json", b'{"ts": 1, "items": {}}'), ("b.json", b"{}" * 50))
    export = tmp_path / "export.zip"
    for _ in range(60):
        content = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            content[chance.randrange(4, len(content))] = chance.randrange(256)
        export.write_bytes(content)
        try:
            exported(export)
        except (SinkError, NotFoundError) as error:
            assert error.hint  # noqa: PT017 - some damage is none


@pytest.mark.parametrize("sink", ["tracker", "editor"])
def test_an_output_that_is_nested_deeply_is_not_a_bug_of_ours(
    history: Path, inside: Inside, tmp_path: Path, sink: str
) -> None:
    out = tmp_path / "out" / "x-history.json" if sink == "editor" else tmp_path / "out"
    place = out if sink == "editor" else out / "history.json"
    place.parent.mkdir()
    place.write_bytes(DEEP)
    done = inside("db", history, "--to", sink, "--out", out)
    assert done.code == 8, done.err
    assert "bug in" not in done.err
    assert place.read_bytes() == DEEP
