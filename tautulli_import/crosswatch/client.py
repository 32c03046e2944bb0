"""Send requests to CrossWatch, and turn failures into errors.

Each request has a connection of its own, because CrossWatch (v0.11.3) closes a connection after an
error, and the next request on it would fail.
"""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import BinaryIO, Final, Self, TypeVar
from urllib.parse import quote

import msgspec
from msgspec import Struct

from ..errors import NotFoundError, SinkError, UnansweredError
from ..web.client import PATIENCE, http_client
from ..web.redaction import Redaction
from ..web.trust import trust
from .access import Access
from .answers import (
    Commit,
    Failure,
    Health,
    ImportOptions,
    Pair,
    Preview,
    PreviewRow,
    Sync,
    Tracker,
    Upload,
    Version,
    Whoami,
)
from .failures import error_of, not_crosswatch, of_answer, other_profile

__all__ = ["MOST_ROWS", "CrossWatch"]

_T = TypeVar("_T")
_LOG: Final = logging.getLogger(__name__)
# A commit of 20,000 rows names their keys: 1 MB.
_MOST_BYTES: Final = 64 * 1024 * 1024
_LARGEST_EXPORT: Final = 4 * 1024**3
MOST_ROWS: Final = 500
"""The most rows of a preview that CrossWatch (v0.11.3) names for one status."""
_TRACKER: Final = "/api/maintenance/crosswatch-tracker"


class _Rows(Struct, frozen=True):
    rows: list[PreviewRow]


class _Content(Struct, frozen=True):
    """The content of a request."""

    json: Mapping[str, object] | None = None
    form: Mapping[str, str] | None = None
    file: tuple[str, BinaryIO, str] | None = None
    """The name, the content and the type of a file to upload."""


_NOTHING: Final = _Content()


class CrossWatch:
    """A client of one CrossWatch server. Close it, or use it with ``with``."""

    def __init__(self, access: Access) -> None:
        """Prepare the client without sending anything.

        Raises:
            ConfigurationError: the certificate file or a proxy cannot be used.
        """
        import httpx

        self.access = access
        self.base = access.address.base
        self._redact = Redaction(access.address, access.token)
        self._http = http_client(
            access.address,
            {"Accept-Encoding": "gzip", "X-CW-Token": access.token},
            verify=trust(
                self.base, access.ca_file, insecure=access.insecure, option="--crosswatch-ca-file"
            ),
            timeout=access.timeout,
            limits=httpx.Limits(max_keepalive_connections=0),
        )
        self._redact.begin()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()
        self._redact.end()

    def health(self) -> None:
        """Check that a CrossWatch is there. This needs no token."""
        path = "/api/health"
        if not self._get(path, Health).ok:
            raise not_crosswatch(self.base, path)

    def whoami(self) -> Whoami | None:
        """Return the user of the token; ``None`` if CrossWatch is older than v0.11.3."""
        return self._ask("GET", "/api/app-auth/tokens/whoami", Whoami, absent=404)

    def import_options(self) -> ImportOptions:
        """Return the profiles that the token may write to."""
        return self._get("/api/import/options", ImportOptions)

    def sync(self) -> Sync:
        """Return the newest sync.

        To a user who is no administrator, the summary of CrossWatch (v0.11.3) denies a sync of all
        pairs. The status of a cancellation tells everybody whether a sync is running.
        """
        sync = self._get("/api/run/summary", Sync)
        if sync.running or sync.run_id:
            return sync
        return self._ask("GET", "/api/run/cancel", Sync, absent=404) or sync

    def pairs(self) -> list[Pair]:
        """Return the pairs; none if the token may not see them."""
        return self._ask("GET", "/api/pairs", list[Pair], absent=403) or []

    def preview(self, archive: bytes, profile: str) -> Preview:
        """Compare a ZIP of rows with the tracker of a profile. This writes nothing.

        Raises:
            UnansweredError: no usable answer. Fewer rows may get one.
        """
        return self._send(
            "POST",
            "/api/import/preview",
            Preview,
            _Content(
                form={"source": "generic", "target_instance": profile},
                file=("history.zip", io.BytesIO(archive), "application/zip"),
            ),
        )

    def rows(self, preview: Preview, status: str) -> list[PreviewRow]:
        """Return the first rows of a preview that have a status."""
        path = f"/api/import/preview/{quote(preview.import_id, safe='')}"
        return self._get(f"{path}?status={status}&limit={MOST_ROWS}", _Rows).rows

    def commit(self, preview: Preview, profile: str) -> Commit | None:
        """Write the ready rows of a preview. Return ``None`` if the preview has expired.

        Without ``target_instance`` CrossWatch (v0.11.3) writes into ``default``, whatever the
        preview was for.

        Raises:
            UnansweredError: no usable answer. The rows may have been written all the same.
        """
        wish = {
            "import_id": preview.import_id,
            "target_instance": profile,
            "features": ["history"],
        }
        return self._ask("POST", "/api/import/commit", Commit, _Content(json=wish), absent=404)

    def version(self) -> Version:
        """Return the version; an unknown one if that fails.

        CrossWatch (v0.11.3) asks the internet for newer ones first, for up to 8 seconds.
        """
        with suppress(UnansweredError, SinkError, NotFoundError):
            return self._get("/api/version", Version)
        return Version()

    def tracker(self, profile: str) -> Tracker:
        """Return the files of a tracker. This needs an administrator's token.

        Raises:
            SinkError: the answer is about another profile.
        """
        found = self._get(f"{_TRACKER}?{_instance(profile)}", Tracker)
        if found.provider_instance != profile:
            raise other_profile(self.base, found.provider_instance, profile)
        return found

    def upload(self, history: BinaryIO, profile: str) -> Upload:
        """Replace the history of a tracker. This needs an administrator's token.

        A file of another name than ``history.json`` would become a snapshot.
        """
        done = self._send(
            "POST",
            f"{_TRACKER}/import?{_instance(profile)}",
            Upload,
            _Content(file=("history.json", history, "application/json")),
        )
        return msgspec.structs.replace(done, error=self._redact(done.error))

    def export(self, profile: str, to: BinaryIO) -> None:
        """Write a ZIP with everything in a tracker. This needs an administrator's token."""
        self._transfer("GET", f"{_TRACKER}/export?{_instance(profile)}", to, _LARGEST_EXPORT)

    def _get(self, path: str, kind: type[_T]) -> _T:
        return self._send("GET", path, kind)

    def _send(self, method: str, path: str, kind: type[_T], content: _Content = _NOTHING) -> _T:
        """Send a request and return its answer as a ``kind``."""
        answer = self._ask(method, path, kind, content)
        if answer is None:
            raise not_crosswatch(self.base, path)
        return answer

    def _ask(
        self,
        method: str,
        path: str,
        kind: type[_T],
        content: _Content = _NOTHING,
        *,
        absent: int = 0,
    ) -> _T | None:
        """Send a request and return its answer; ``None`` if it has the status ``absent``."""
        body = io.BytesIO()
        if self._transfer(method, path, body, _MOST_BYTES, content, accept=absent) == absent:
            return None
        # CrossWatch may quote a request also in an answer that is no error. A password could be any
        # word or number of the answer, a token cannot.
        said = body.getvalue().replace(self.access.token.encode(), "…".encode())
        try:
            return msgspec.json.decode(said, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
        raise not_crosswatch(self.base, path)

    def _transfer(
        self,
        method: str,
        path: str,
        to: BinaryIO,
        most: int,
        content: _Content = _NOTHING,
        *,
        accept: int = 0,
    ) -> int:
        """Send a request and write its answer into a file. Return the status.

        Raises:
            TautulliImportError: it failed, or the status is an error other than ``accept``.
        """
        from ..web.deadline import Limit

        Limit(self.access.timeout * PATIENCE).apply()
        request = self._http.build_request(
            method,
            f"{self.base}{path}",
            json=content.json,
            data=content.form,
            files=content.file and {"file": content.file},
        )
        begin = time.monotonic()
        try:
            response = self._http.send(request, stream=True)
            try:
                length = 0
                good = response.status_code == 200
                body = bytearray()
                for chunk in response.iter_bytes():
                    length += len(chunk)
                    if length > (most if good else _MOST_BYTES):
                        raise UnansweredError(
                            f"CrossWatch at {self.base} sent more than {most >> 20} MB.",
                            hint="Check that it is CrossWatch.",
                        )
                    to.write(chunk) if good else body.extend(chunk)
            finally:
                response.close()
        except Exception as error:  # noqa: BLE001 - raised again if it is not of httpx
            failed = error_of(error, self.access, self._redact)
        else:
            status, took = response.status_code, time.monotonic() - begin
            _LOG.debug("%s %s: %d, %d B, %.2f s", method, path, status, length, took)
            if good or response.status_code == accept:
                return response.status_code
            try:
                said = msgspec.json.decode(bytes(body), type=Failure)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                said = Failure()
            location = response.headers.get("location", "")
            failed = of_answer(
                response.status_code, self._redact(said.said), said.code, location, self.access
            )
        # This is outside the handler, because a traceback must not show the request.
        raise failed


def _instance(profile: str) -> str:
    return f"provider_instance={quote(profile, safe='')}"
