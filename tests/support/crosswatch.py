"""A server on this machine that answers as CrossWatch v0.11.3 was seen to answer.

Its oddities are there on purpose: it accepts what it then loses, takes an unknown profile for
``default``, and turns rows into a watchlist by the name of a file.
"""

from __future__ import annotations

import copy
import io
import json
import re
import ssl
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qs, urlsplit

from msgspec import Struct

__all__ = ["TOKEN", "Answer", "Call", "FakeCrossWatch", "crosswatch"]

TOKEN: Final = "cwt_7fd3a90be41c6628.aXNgM0GtZLyY4xwgT2Sq-0_9"  # noqa: S105 - of this server alone
_IDS: Final = ("tmdb", "imdb", "tvdb", "trakt", "mal", "anilist", "kitsu", "anidb", "simkl", "plex")
_TEXT_BYTES: Final = 8 * 1024 * 1024
_UPLOAD_BYTES: Final = 25 * 1024 * 1024
_ROWS: Final = 50_000
_NOBODY: Final = "Administrator access required"
_ADMIN: Final = "/api/maintenance/"

Answer: TypeAlias = tuple[int, object]
"""A status, and a body: bytes as they are, or something for JSON."""


class Call(Struct):
    """A request that has arrived."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    @property
    def json(self) -> dict[str, Any]:
        """The body as JSON."""
        found: dict[str, Any] = json.loads(self.body)
        return found

    def form(self) -> tuple[dict[str, str], str, bytes]:
        """Return the fields of the form, and the name and the content of its file."""
        boundary = self.headers["content-type"].partition("boundary=")[2].encode()
        fields, name, content = {}, "", b""
        for part in self.body.split(b"--" + boundary)[1:-1]:
            head, _, value = part.partition(b"\r\n\r\n")
            value = value.removesuffix(b"\r\n")
            field = re.search(rb'[ ;]name="([^"]*)"', head)
            file = re.search(rb'filename="([^"]*)"', head)
            if file:
                name, content = file[1].decode(), value
            elif field:
                fields[field[1].decode()] = value.decode()
        return fields, name, content


Fault: TypeAlias = Callable[[Call], Answer | None]


class FakeCrossWatch:
    """The server, and what it has."""

    def __init__(self, tls: tuple[Path, Path] | None = None) -> None:
        self.token = TOKEN
        self.is_old = False
        self.version = "0.11.3"
        self.has_password = True
        self.is_admin = True
        self.can_write = True
        #: The profiles that the user of the token may see; None for all.
        self.scope: set[str] | None = None
        #: The label of each profile.
        self.labels = {"default": "Default"}
        self.connected = {"default"}
        #: The history of each profile that has one.
        self.trackers: dict[str, dict[str, dict[str, Any]]] = {}
        self.snapshots: dict[str, list[str]] = {}
        self.pairs: list[dict[str, Any]] = []
        #: True if the disk is full: everything is accepted, and nothing is written.
        self.loses_writes = False
        self.run_id = ""
        self._before_sync: dict[str, dict[str, dict[str, Any]]] | None = None
        self.previews: dict[str, dict[str, Any]] = {}
        self.calls: list[Call] = []
        #: Looked at in their order, before anything else; the first answer wins.
        self.faults: list[Fault] = []
        #: Called before the next requests of a name are answered, one for each.
        self.before: dict[str, list[Callable[[], object]]] = {}
        #: Requests of this name are carried out, and never answered.
        self.silent_at = ""
        self._lock = Lock()
        self._server = _Server(self, tls)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self._server.server_address[1]}"
        poll = {"poll_interval": 0.02}
        self._thread = Thread(target=self._server.serve_forever, kwargs=poll, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def items(self, profile: str = "default") -> dict[str, dict[str, Any]]:
        """Return the history of a profile."""
        return self.trackers.get(profile, {})

    def asked(self, name: str) -> list[Call]:
        """Return the requests with this last part of the path."""
        return [call for call in self.calls if call.name == name]

    def add_profile(self, one: str, label: str = "") -> None:
        """Add a connected profile."""
        self.labels[one] = label or one
        self.connected.add(one)

    def begin_sync(self, *, unread: bool = False) -> None:
        """Begin a sync. It has read the trackers now, or before anything was in them."""
        self.run_id = str(int(self.run_id or 0) + 1)
        self._before_sync = {} if unread else copy.deepcopy(self.trackers)

    def end_sync(self) -> None:
        """End the sync. It writes back what it has read, without what came in meanwhile."""
        assert self._before_sync is not None
        self.trackers, self._before_sync = self._before_sync, None

    def sync_without_rewatches(self, profile: str = "default") -> None:
        """Run a whole sync of a pair with Rewatches off that writes into the tracker."""
        self.begin_sync()
        newest: dict[str, str] = {}
        for key, item in sorted(self.items(profile).items(), key=lambda one: one[1]["watched_at"]):
            newest[_key(item)] = key
        assert self._before_sync is not None
        kept = {key: self.items(profile)[key] for key in newest.values()}
        self._before_sync[profile] = kept
        self.end_sync()

    def answer(self, call: Call) -> Answer:
        """Return the answer to a request."""
        with self._lock:  # v0.11.3 answers nobody during a preview
            self.calls.append(call)
            waiting = self.before.get(call.name)
            if waiting:
                waiting.pop(0)()
            for fault in self.faults:
                if (found := fault(call)) is not None:
                    return found
            return self._refused(call) or self._answer(call)

    def _refused(self, call: Call) -> Answer | None:
        if call.path in ("/api/health", "/api/app-auth/tokens/whoami"):
            return None
        if not self.has_password:
            return 403, {"ok": False, "error": "Authentication setup required"}
        if call.headers.get("x-cw-token") != self.token:
            return 401, {"ok": False, "error": "Unauthorized"}
        needs_admin = call.path.startswith((_ADMIN, "/api/editor"))
        if (needs_admin and not self.is_admin) or (
            call.path.startswith("/api/import") and not (self.is_admin or self.can_write)
        ):
            return 403, {"ok": False, "error": _NOBODY}
        return None

    def _answer(self, call: Call) -> Answer:
        match call.method, call.path:
            case "GET", "/api/health":
                return 200, {"ok": True, "status": "ok"}
            case "GET", "/api/app-auth/tokens/whoami":
                return self._whoami(call)
            case "GET", "/api/version":
                return 200, {"current": self.version, "latest": None}
            case "GET", "/api/import/options":
                return 200, {"targets": self._targets(), "limits": {"rows": _ROWS}}
            case "GET", "/api/run/summary":
                return 200, self._summary()
            case "GET", "/api/run/cancel":
                running = self._before_sync is not None
                return 200, {"ok": True, "running": running, "run_id": None}
            case "GET", "/api/pairs":
                return 200, self.pairs
            case "POST", "/api/import/preview":
                return self._preview(call)
            case "POST", "/api/import/commit":
                return self._commit(call)
            case "GET", "/api/maintenance/crosswatch-tracker":
                return 200, self._status(self._known(call.query))
            case "GET", "/api/maintenance/crosswatch-tracker/export":
                return 200, self._export(self._known(call.query))
            case "POST", "/api/maintenance/crosswatch-tracker/import":
                return self._import(call)
        found = re.fullmatch(r"/api/import/preview/(\w+)", call.path)
        if call.method == "GET" and found and found[1] in self.previews:
            rows = self.previews[found[1]]["rows"]
            wanted = [row for row in rows if row["status"] == call.query["status"]]
            return 200, {"ok": True, "rows": wanted[: int(call.query["limit"])]}
        return 404, {"detail": "Not Found"}

    def _whoami(self, call: Call) -> Answer:
        if self.is_old:
            return 404, {"detail": "Not Found"}
        if not self.has_password:
            return 200, {"ok": True, "auth_required": False, "user": None}
        if call.headers.get("x-cw-token") != self.token:
            return 401, {"ok": False, "error": "Unauthorized"}
        user = {"username": "alice", "is_admin": self.is_admin}
        return 200, {"ok": True, "auth_required": True, "user": user}

    def _summary(self) -> dict[str, Any]:
        if not self.is_admin:  # who may not see all pairs is told of no sync of all pairs
            return {"running": False, "features": {}}
        return {"running": self._before_sync is not None, "run_id": self.run_id or None}

    def _targets(self) -> list[dict[str, Any]]:
        return [
            {"id": one, "label": label, "connected": one in self.connected}
            for one, label in self.labels.items()
            if self.scope is None or one in self.scope
        ]

    def _known(self, query: Mapping[str, str]) -> str:
        wanted = query.get("provider_instance", "default")
        return wanted if wanted in self.labels else "default"

    def _preview(self, call: Call) -> Answer:
        form, name, content = call.form()
        profile = form.get("target_instance", "default")
        if self.scope is not None and profile not in self.scope:
            return 403, _detail("import_target_unavailable", "profile_scope_denied")
        if len(content) > _UPLOAD_BYTES:
            return 400, _detail("import_file_too_large", "The import file is too large.")
        files = {name: content}
        if content.startswith(b"PK"):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                files = {one: archive.read(one) for one in archive.namelist()}
            if any(len(one) > _TEXT_BYTES for one in files.values()):
                return 400, _detail("import_zip_too_large", "A file inside the ZIP is too large.")
        elif len(content) > _TEXT_BYTES:
            return 400, _detail("import_file_too_large", "Text exports must be 8 MB or smaller.")
        rows = [row for name, text in files.items() for row in _rows(name, json.loads(text))]
        if not rows:
            return 400, _detail("import_no_rows", "No importable rows were found.")
        del rows[_ROWS:]
        seen: set[str] = set()
        for row in rows:
            row["status"] = _status(row, self.items(profile), seen)
        number = f"{len(self.calls):032x}"
        self.previews[number] = {"rows": rows, "target_instance": profile}
        return 200, {
            "ok": True,
            "import_id": number,
            "target_instance": profile,
            "summary": _summary(rows),
            "rows": [row for row in rows if row["status"] == "ready"][:200],
        }

    def _commit(self, call: Call) -> Answer:
        wish = call.json
        if wish.keys() - {"import_id", "target_instance", "features"}:
            return 422, {"detail": [{"type": "extra_forbidden"}]}
        preview = self.previews.get(wish["import_id"])
        if preview is None:
            return 404, _detail("import_preview_not_found", "The import preview expired.")
        profile = wish.get("target_instance", "default")
        if self.scope is not None and profile not in self.scope:
            return 403, _detail("import_target_unavailable", "profile_scope_denied")
        if profile not in self.connected:
            said = "Connect the CrossWatch tracker before importing."
            return 503, _detail("import_target_unavailable", said)
        wanted = wish.get("features", ["history"])
        rows = [r for r in preview["rows"] if r["status"] == "ready" and r["feature"] in wanted]
        if not self.loses_writes:
            tracker = self.trackers.setdefault(profile, {})
            tracker |= {row["key"]: _kept(row["item"]) for row in rows if row["key"] not in tracker}
        return 200, {"ok": True, "target_instance": profile, "applied": len(rows), "skipped": 0}

    def _status(self, profile: str) -> dict[str, Any]:
        states = []
        if profile in self.trackers:
            size = len(json.dumps(self.items(profile)))
            states.append({"name": "history.json", "size": size, "mtime": "2026-11-27T16:23:41Z"})
        snapshots = [{"name": name} for name in self.snapshots.get(profile, [])]
        return {
            "ok": True,
            "provider_instance": profile,
            "state_files": states,
            "snapshots": snapshots,
        }

    def _export(self, profile: str) -> bytes:
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
            if profile in self.trackers:
                history = {"ts": 1, "items": self.items(profile)}
                archive.writestr("history.json", json.dumps(history))
            for name in self.snapshots.get(profile, []):
                archive.writestr(f"snapshots/{name}", '{"ts":1,"items":{}}')
        return content.getvalue()

    def _import(self, call: Call) -> Answer:
        profile = self._known(call.query)
        _, name, content = call.form()
        try:
            history = json.loads(content)
            items = history.get("items", {})
        except (ValueError, TypeError):
            said = "Import failed; expected a valid CrossWatch tracker ZIP or JSON file."
            return 200, {"ok": False, "error": said}
        target = "state" if name == "history.json" else "snapshot"
        if target == "state" and not self.loses_writes:
            self.trackers[profile] = items
        return 200, {
            "ok": True,
            "provider_instance": profile,
            "target": target,
            "kind": "history",
            "name": name,
        }


def _detail(code: str, said: str) -> dict[str, Any]:
    return {"detail": {"code": code, "detail": said}}


def _rows(name: str, content: Any) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file. What is no list counts as one odd row."""
    feature = "watchlist" if "list" in name.lower() else "history"
    for item in content if isinstance(content, list) else [{}]:
        when = item.get("watched_at")
        if not item:
            feature = "watchlist"
        key = _key(item)
        if key and when and feature == "history":
            key += f"@{int(datetime.fromisoformat(when).timestamp())}"
        title = item.get("series_title") or item.get("title")
        yield {
            "feature": feature,
            "item": item,
            "key": key,
            "title": title,
            "watched_at": when,
            "reason": "",
        }


def _key(item: Mapping[str, Any]) -> str:
    """Return the canonical key of an item; "" if it has none."""
    is_episode = item.get("type") == "episode"
    ids = item.get("show_ids" if is_episode else "ids") or {}
    found = next((f"{name}:{ids[name]}".lower() for name in _IDS if ids.get(name)), "")
    if found and is_episode:
        found += f"#s{item['season']:02d}e{item['episode']:02d}"
    if not found and item.get("title") and not is_episode:
        found = f"movie|title:{item['title'].lower()}|year:{item.get('year') or ''}"
    return found


def _status(row: dict[str, Any], tracker: Mapping[str, Any], seen: set[str]) -> str:
    key = row["key"]
    if not key:
        status = "missing_identity"
    elif row["feature"] == "history" and not row["watched_at"]:
        status = "invalid"
    elif key in seen:
        status = "duplicate"
    else:
        status = "exists" if key in tracker else "ready"
    seen.add(key)
    row["reason"] = {"ready": "", "exists": "already_exists"}.get(status, status)
    return status


def _summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    names = ("ready", "exists", "duplicate", "missing_identity", "invalid", "unsupported")
    counts = {name: sum(row["status"] == name for row in rows) for name in names}
    kinds = {name: sum(row["feature"] == name for row in rows) for name in ("history", "watchlist")}
    return {
        "total": len(rows),
        "ready": counts["ready"],
        "exists": counts["exists"],
        "by_status": counts,
        "by_feature": kinds,
    }


def _kept(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return an item as the tracker keeps it: with fields of its own, and without ours."""
    kept = {name: value for name, value in item.items() if name != "provider_event_id"}
    if item["type"] == "episode":
        kept["title"] = f"S{item['season']:02d}E{item['episode']:02d}"
    return kept | {"watched": True}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, fake: FakeCrossWatch, tls: tuple[Path, Path] | None) -> None:
        self.fake = fake
        super().__init__(("127.0.0.1", 0), _Handler)
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.socket = context.wrap_socket(self.socket, server_side=True)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients hang up."""
        del request, client_address


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        """Answer a request."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        headers = {name.lower(): value for name, value in self.headers.items()}
        call = Call(self.command, parts.path, query, headers, body)
        status, answer = self.server.fake.answer(call)
        if call.name == self.server.fake.silent_at:
            self.rfile.read(1)  # until the client hangs up
            self.close_connection = True
            return
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        if status == 0:  # the connection breaks
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        if 300 <= status < 400:
            self.send_header("Location", content.decode())
        if status >= 500:
            self.close_connection = True  # without a word about it
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *args: Any) -> None:
        """Say nothing: what was asked is written down."""


@contextmanager
def crosswatch(tls: tuple[Path, Path] | None = None) -> Iterator[FakeCrossWatch]:
    """Yield a CrossWatch that is set up and has an empty tracker."""
    fake = FakeCrossWatch(tls)
    try:
        yield fake
    finally:
        fake.close()
