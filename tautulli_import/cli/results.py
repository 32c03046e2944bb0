"""Print the one JSON object of a command with ``--json``, with its error if the command fails."""

from __future__ import annotations

import sys

from ..errors import TautulliImportError
from .hiding import without_secrets

__all__ = ["forget_result", "keep_result", "print_error", "print_result"]

_kept: list[bytes] = []


def forget_result() -> None:
    """Forget the result of an earlier command in this process."""
    _kept.clear()


def keep_result(value: object) -> None:
    """Keep the result of the command. It is printed when the command ends."""
    import msgspec

    _kept[:] = [msgspec.json.encode(value)]


def print_result() -> None:
    """Print the result on standard output, if there is one."""
    if _kept:
        _print(_kept.pop())


def print_error(error: TautulliImportError) -> None:
    """Print the result, if there is one, with the error as its last field."""
    import msgspec

    message, hint = without_secrets(str(error)), without_secrets(error.hint)
    fields: dict[str, object] = {"code": error.exit_code, "message": message, "hint": hint}
    if error.choices:
        fields["choices"] = list(error.choices)
    said = b'"error":' + msgspec.json.encode(fields) + b"}"
    result = _kept.pop() if _kept else b""
    _print(result[:-1] + b"," + said if result.startswith(b"{") else b"{" + said)


def _print(line: bytes) -> None:
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()
