"""A Tautulli to test against: a real HTTP server over a database that a test has made.

It answers what Tautulli 2.17.2 was measured to answer, and lies, breaks off or falls silent when
a test wants that. Nothing here imports the importer: what checks it must not share its mistakes.

    with FakeTautulli(database) as tautulli:
        tautulli.faults.append(on("get_history", times(2, status(502))))
        ...
        assert tautulli.asked("get_history")[-1].rows == 4
"""

from tests.support.tautulli.asked import Asked
from tests.support.tautulli.faults import (
    after,
    broken_json,
    chunked,
    close,
    empty_success,
    fewer_rows,
    hang,
    hang_up,
    html,
    json_error,
    not_an_object,
    on,
    redirect,
    repeated_page,
    reset,
    retry_after,
    shrinking_total,
    slow,
    status,
    times,
    truncated,
    when,
    with_data,
    with_rows,
    without,
    wrong_types,
)
from tests.support.tautulli.reply import Change, Fault, Reply
from tests.support.tautulli.server import KEY, FakeTautulli
from tests.support.tautulli.state import FEATURES
from tests.support.tautulli.tls import certificate

__all__ = [
    "FEATURES",
    "KEY",
    "Asked",
    "Change",
    "FakeTautulli",
    "Fault",
    "Reply",
    "after",
    "broken_json",
    "certificate",
    "chunked",
    "close",
    "empty_success",
    "fewer_rows",
    "hang",
    "hang_up",
    "html",
    "json_error",
    "not_an_object",
    "on",
    "redirect",
    "repeated_page",
    "reset",
    "retry_after",
    "shrinking_total",
    "slow",
    "status",
    "times",
    "truncated",
    "when",
    "with_data",
    "with_rows",
    "without",
    "wrong_types",
]
