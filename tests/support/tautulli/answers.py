"""What the real thing answers: every command, every error, and the pages beside the API."""

import json
import re
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.support.tautulli import tables
from tests.support.tautulli.asked import Asked
from tests.support.tautulli.download import download_database
from tests.support.tautulli.history import get_history
from tests.support.tautulli.state import BrokenError, State

__all__ = ["Answer", "answer", "encode", "page"]

_JSON = "application/json;charset=UTF-8"

_Data = dict[str, Any] | list[dict[str, Any]]


@dataclass
class Answer:
    """A whole answer, not yet on its way."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    #: The data of an answer that says success, to be changed by faults.
    data: object = None

    @property
    def rows(self) -> int:
        """How many rows it brings."""
        rows = self.data.get("data") if isinstance(self.data, dict) else self.data
        return len(rows) if isinstance(rows, list) else 0


def answer(state: State, asked: Asked, key: str | None, root: str, origin: str) -> Answer:
    """Return the answer to a request by this key, to a server that lives at `root`."""
    # What begins with two slashes begins with a host, so that `//api/v2` is `/v2`.
    path = re.sub("/+", "/", unquote(urlsplit(asked.path).path))
    inner = path.removeprefix(root) if root else path
    if root and not (path == root or path.startswith(f"{root}/")):
        return page(404, f"The path '{path}' was not found.")
    if inner in {"", "/"}:
        if root and not inner:
            query = f"?{urlsplit(asked.path).query}" if "?" in asked.path else ""
            return page(301, "Moved.", Location=f"{origin}{root}/{query}")
        return page(303, "It is elsewhere.", Location=f"{origin}{root}/home")
    parts = [part for part in inner.split("/") if part]
    if parts[:1] != ["api"]:
        if asked.method == "POST":  # its protection against forged requests comes first
            return _error_page(403, "Request forbidden -- authorization will not help")
        return _error_page(404, f"The path '{path}' was not found.")
    if len(parts) < 2 or "v2" not in parts[1]:
        return encode(200, "error", "Please use the /api/v2 endpoint.")
    return _api(state, asked, key)


def page(status: int, text: str, **headers: str) -> Answer:
    """Return a page for people."""
    html = (
        f"<!DOCTYPE html>\n<html><head><title>{status}</title></head><body>{text}</body></html>\n"
    )
    return Answer(status, html.encode(), {"Content-Type": "text/html;charset=utf-8", **headers})


def encode(status: int, result: str, message: str | None, data: object = None) -> Answer:
    """Return an answer of the API, in its envelope."""
    data = {} if data is None else data
    whole = {"response": {"result": result, "message": message, "data": data}}
    try:
        body = json.dumps(whole, ensure_ascii=False).encode()
    except (TypeError, ValueError):
        # Of bytes in a column there is no JSON, and the failure is no longer the API's own.
        return _error_page(500, "The server encountered an unexpected condition.")
    return Answer(status, body, {"Content-Type": _JSON}, data)


def _error_page(status: int, message: str) -> Answer:
    """Return an error from outside the API, padded as some browsers once liked it."""
    title = {403: "403 Forbidden", 404: "404 Not Found", 500: "500 Internal Server Error"}[status]
    body = json.dumps({"status": title, "message": message, "error": True}).encode()
    return Answer(status, body.ljust(513), {"Content-Type": "application/json"})


def _api(state: State, asked: Asked, key: str | None) -> Answer:
    """Refuse in the order of the real one, which looks at the command before the key."""
    commands = ", ".join(sorted(COMMANDS))
    refusal = ""
    if not state.settings["api_enabled"]:
        refusal = "API not enabled"
    elif key is None:
        refusal = "Parameter apikey is required"
    elif "cmd" not in asked.params:
        refusal = f"Parameter cmd is required. Possible commands are: {commands}"
    elif asked.cmd not in COMMANDS:
        refusal = f"Unknown command: {asked.cmd}. Possible commands are: {commands}"
    elif key != state.key:
        refusal = "Invalid apikey"
    if refusal:
        return encode(400, "error", refusal)
    try:
        data = COMMANDS[asked.cmd](state, asked)
    except BrokenError:
        return encode(500, "error", "Check the logs for errors")
    if isinstance(data, Answer):
        return data
    return encode(400, "error", None) if data is None else encode(200, "success", None, data)


def _status(state: State, asked: Asked) -> Answer:
    if asked.params.get("check") != "database":
        return encode(200, "success", "Ok")
    try:
        with state.reading() as conn:
            (found,) = conn.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.Error as error:
        found = str(error)
    if found == "ok":
        return encode(200, "success", "Database ok", {"integrity_check": found})
    return encode(400, "error", "Database not ok", {"integrity_check": found})


def _server_status(state: State, _: Asked) -> _Data:
    return {"connected": state.plex_up}


def _server_id(state: State, asked: Asked) -> _Data:
    found = state.plex_up and asked.params.get("hostname") and asked.params.get("port")
    return {"identifier": state.settings["identifier"] if found else None}


def _server_info(state: State, _: Asked) -> _Data:
    return {
        "pms_name": "A Plex Server",
        "pms_version": "1.41.0.0000-invented",
        "pms_platform": "Linux",
        "pms_ip": "192.0.2.1",
        "pms_port": 32400,
        "pms_ssl": 0,
        "pms_url": "http://192.0.2.1:32400",
        "pms_url_manual": 0,
        "pms_identifier": state.settings["identifier"],
        "pms_plexpass": 1,
    }


def _tautulli_info(state: State, _: Asked) -> _Data:
    return {
        "tautulli_install_type": "docker",
        "tautulli_version": state.settings["version"],
        "tautulli_branch": "master",
        "tautulli_commit": "0" * 40,
        "tautulli_platform": "Linux",
        "tautulli_platform_release": "6.1.0",
        "tautulli_platform_version": "#1 SMP",
        "tautulli_platform_linux_distro": "",
        "tautulli_platform_device_name": "tautulli",
        "tautulli_python_version": "3.11.2",
    }


def _settings(state: State, asked: Asked) -> _Data | None:
    if asked.params.keys() - {"cmd", "key"}:
        raise BrokenError("this command takes no other parameter")
    watched = ("movie_watched_percent", "music_watched_percent", "tv_watched_percent")
    monitoring = {
        "buffer_threshold": 10,
        "buffer_wait": 900,
        "logging_ignore_interval": 120,
        "monitoring_interval": 60,
        **{name: state.settings[name] for name in (*watched, "watched_marker")},
        "notify_concurrent_threshold": 2,
        "refresh_libraries_interval": 12,
        "refresh_users_interval": 12,
    }
    general = {"api_enabled": 1, "api_key": state.key, "http_password": "not to be asked for"}
    pms = {"pms_identifier": state.settings["identifier"], "pms_token": "not to be asked for"}
    sections: dict[str, Any] = {"General": general, "Monitoring": monitoring, "PMS": pms}
    wanted = asked.params.get("key")
    return sections.get(wanted) if wanted else sections


def _metadata(state: State, asked: Asked) -> _Data:
    key = asked.params.get("rating_key", "")
    return state.plex.get(int(key), {}) if state.plex_up and key.isdecimal() else {}


def _download(state: State, asked: Asked) -> Answer:
    content = download_database(state, asked)
    if content is None:
        text = b"Error downloading database. Check the logs."
        return Answer(500, text, {"Content-Type": "text/html;charset=utf-8"})
    name = 'attachment; filename="tautulli.db"'
    headers = {"Content-Type": "application/x-download", "Content-Disposition": name}
    return Answer(200, content, headers | {"Accept-Ranges": "bytes"})


#: Every command there is, and what answers it; None is an answer that says error.
COMMANDS: dict[str, Callable[[State, Asked], Answer | _Data | None]] = {
    "download_database": _download,
    "get_history": get_history,
    "get_libraries": tables.get_libraries,
    "get_libraries_table": tables.get_libraries_table,
    "get_library_names": tables.get_library_names,
    "get_metadata": _metadata,
    "get_server_id": _server_id,
    "get_server_info": _server_info,
    "get_settings": _settings,
    "get_tautulli_info": _tautulli_info,
    "get_user_names": tables.get_user_names,
    "get_users": tables.get_users,
    "get_users_table": tables.get_users_table,
    "server_status": _server_status,
    "status": _status,
}
