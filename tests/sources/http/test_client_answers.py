"""What an answer can look like on the wire, and what is made of it."""

from __future__ import annotations

import gzip
import json
import math
import tracemalloc
import zlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import respx
from hypothesis import HealthCheck, given, settings, strategies as st

from tautulli_import.errors import (
    ConfigurationError,
    NotFoundError,
    SourceDamagedError,
    SourceUnreachableError,
    TautulliImportError,
    UnansweredError,
    UnauthorisedError,
)
from tautulli_import.sources.http.access import Access, parse_address
from tautulli_import.sources.http.client import Tautulli
from tests.support.over_http import no_waiting

URL = "http://tautulli.example:8181/api/v2"
KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def client() -> Iterator[Tautulli]:
    """Yield a client that waits for nothing."""
    found = Tautulli(Access(parse_address(URL), KEY))
    with no_waiting():
        yield found
    found.close()


@pytest.fixture
def route(respx_mock: respx.MockRouter) -> respx.Route:
    """Where answers are laid out."""
    return respx_mock.post(URL)


def answer(body: bytes, status: int = 200, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, stream=httpx.ByteStream(body), headers=named)


def always(route: respx.Route, body: bytes, status: int = 200, **headers: str) -> None:
    """Answer so, however often it is asked."""
    route.mock(side_effect=lambda _: answer(body, status, **headers))


def success(data: str, **more: str) -> bytes:
    """Return an answer that says success, with these data as they are written."""
    fields = "".join(f', "{name}": {value}' for name, value in more.items())
    return (
        f'{{"response": {{"result": "success", "message": null, "data": {data}{fields}}}}}'.encode()
    )


def data(client: Tautulli) -> dict[str, Any]:
    return client.ask("get_history", dict[str, Any])


def error(client: Tautulli) -> TautulliImportError:
    with pytest.raises(TautulliImportError) as caught:
        data(client)
    assert str(caught.value).startswith(f"{URL} get_history")
    assert caught.value.hint
    return caught.value


# Whole answers, written oddly.


@pytest.mark.parametrize(
    "body",
    [
        success('{"a": 1}'),
        b"\n\t " + success('{"a": 1}') + b"\n\n",
        success('{"a": 1}').ljust(600),
        b"\xef\xbb\xbf" + success('{"a": 1}'),
        success('{"a": 1}').decode().encode("utf-16"),
        success('{"a": 0, "a": 1}'),
        success('{"a": 1}', more="[1, 2]", result='"success"'),
        b'{"response": null, "response": {"result": "success", "data": {"a": 1}}}',
        b'{"other": 1, "response": {"data": {"a": 1}, "result": "success"}}',
        success('{"a": 1}', message="12"),
        success('{"a": 1}', message='["x"]'),
    ],
    ids=range(11),
)
@pytest.mark.parametrize("kind", ["application/json", "text/html", "", "application/x; charset=x"])
def test_an_answer_is_known_by_what_is_in_it(
    client: Tautulli, route: respx.Route, body: bytes, kind: str
) -> None:
    always(route, body, Content_Type=kind)
    assert data(client) == {"a": 1}
    assert route.call_count == 1


def test_what_json_does_not_know_and_python_writes_is_understood(
    client: Tautulli, route: respx.Route
) -> None:
    always(route, success('{"a": NaN, "b": Infinity, "c": -Infinity, "d": 1e999}'))
    found = data(client)
    assert math.isnan(found["a"])
    assert (found["b"], found["c"], found["d"]) == (math.inf, -math.inf, math.inf)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("123456789012345678901234567890", 123456789012345678901234567890),
        ("-9223372036854775809", -9223372036854775809),
        ("1e5", 1e5),
        ("-0", 0),
        ('"\\ud800"', "\ud800"),
        ('"\\ud83c\\udf7f"', "\N{POPCORN}"),
        ('"\\u0000"', "\0"),
        ('"' + "x" * 100_000 + '"', "x" * 100_000),
        ("[" * 200 + "]" * 200, None),
    ],
    ids=range(9),
)
def test_odd_values_are_taken_as_they_are(
    client: Tautulli, route: respx.Route, written: str, value: object
) -> None:
    always(route, success(f'{{"a": {written}}}'))
    assert data(client)["a"] == value or value is None


def test_an_answer_can_be_compressed(client: Tautulli, route: respx.Route) -> None:
    body = success('{"a": 1}')
    route.mock(
        side_effect=[
            answer(gzip.compress(body), Content_Encoding="gzip"),
            answer(zlib.compress(body), Content_Encoding="deflate"),
            answer(body, Content_Encoding="identity"),
            answer(body, Content_Encoding="unheard-of"),
        ]
    )
    assert [data(client) for _ in range(4)] == [{"a": 1}] * 4


# Answers that are none.


@pytest.mark.sampled(4)
@pytest.mark.parametrize(
    "body",
    [
        *(b"", b" ", b"\0", b"null", b"[]", b"{}", b'"text"', b"0", b"true", b"nothing"),
        *(b'{"response": 1}', b'{"response": []}', b'{"response": null}', b'{"response": "x"}'),
        *(success('{"a": 1}')[:-1], success('{"a": 1}')[:20], success('{"a": 1}') * 2),
        *(success("'a'"), success('{"a": 01}'), success('{"a": 1,}'), success("{a: 1}")),
        *(success('"text"'), success("[]"), success("null"), success("1"), success("true")),
        b'{"response": {"result": "success"}}',
        success('{"a": "\\x"}'),
        success('{"a": "\n"}'),
        success('{"a": ' + "9" * 5000 + "}"),
        success('{"a": "?"}').replace(b"?", b"\xff"),
        success('{"a": 1}').replace(b"null", b'"\xff"'),
        success('{"?": 1}').replace(b"?", b"\xc3"),
        success("[" * 100_000),
        success("[" * 100_000 + "]" * 100_000),
        b'{"a":' * 100_000,
        b"\xff\xfe" + success('{"a": 1}'),
        b"\x80\x02}q\x00.",
        bytes(range(256)),
    ],
    ids=lambda body: ascii(body)[:40],
)
def test_what_is_no_answer_is_an_error_after_some_tries(
    client: Tautulli, route: respx.Route, body: bytes
) -> None:
    always(route, body, Content_Type="application/json")
    told = error(client)
    assert isinstance(told, UnansweredError | SourceDamagedError)
    assert 1 < route.call_count < 7
    assert len(str(told)) < 300


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=200,
)
@given(
    st.one_of(
        st.binary(max_size=60),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner),
            max_leaves=6,
        ).map(lambda value: json.dumps({"response": value}).encode()),
        st.text(max_size=10).map(success),
    ),
    st.sampled_from([200, 201, 204, 206, 299, 300, 304, 400, 418, 451, 499, 500, 507, 599]),
)
def test_whatever_comes_is_data_or_an_error(
    client: Tautulli, route: respx.Route, body: bytes, status: int
) -> None:
    always(route, body, status)
    found: dict[str, Any] = {}
    sentence = URL
    try:
        found = data(client)
    except TautulliImportError as told:
        sentence = f"{told} {told.hint}"
    assert isinstance(found, dict)
    assert sentence.startswith(URL)


def test_a_body_that_cannot_be_unpacked_is_tried_again(
    client: Tautulli, route: respx.Route
) -> None:
    whole = gzip.compress(success('{"a": 1}'))
    route.mock(
        side_effect=[
            answer(b"no gzip", Content_Encoding="gzip"),
            answer(whole[:-20], Content_Encoding="gzip"),
            answer(whole, Content_Encoding="gzip"),
        ]
    )
    assert data(client) == {"a": 1}
    assert route.call_count == 3
    always(route, b"no gzip", Content_Encoding="gzip")
    assert "cannot be decompressed" in str(error(client))


def test_a_body_without_end_is_given_up(
    client: Tautulli, route: respx.Route, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tautulli_import.sources.http.client._MOST_BYTES", 1 << 20)
    sent = 0

    class Endless(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            nonlocal sent
            while True:
                sent += 1 << 16
                yield b" " * (1 << 16)

    route.mock(httpx.Response(200, stream=Endless()))
    told = error(client)
    assert type(told) is UnansweredError
    assert "more than 1 MB" in str(told)
    assert sent < 2 << 20
    assert route.call_count == 1


def test_a_small_body_that_unpacks_to_a_large_one_is_given_up(
    client: Tautulli, route: respx.Route, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tautulli_import.sources.http.client._MOST_BYTES", 1 << 20)
    packed = gzip.compress(b" " * (8 << 20))
    assert len(packed) < 1 << 15
    always(route, packed, Content_Encoding="gzip")
    assert type(error(client)) is UnansweredError


# Pages, and where they come from.


Page = tuple[int, bytes, type[TautulliImportError]]


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ((200, b"<html><title>Authelia</title>", NotFoundError), "a web page (Authelia), not with"),
        ((200, b"\n\n<!doctype html><p>Hi", NotFoundError), "a web page (Hi), not with data"),
        ((200, b"<html></html>", NotFoundError), "a web page, not with data"),
        ((401, b"<h1>401</h1>", UnauthorisedError), "answered 401: 401."),
        ((404, b"<title>404 Not Found</title>", NotFoundError), "no Tautulli at this path"),
        ((404, b"", NotFoundError), "answered 404; there is no Tautulli at this path"),
        ((451, b"no", NotFoundError), "answered 451: no."),
        ((502, b"<center>nginx</center>", SourceUnreachableError), "answered 502: nginx."),
        ((504, b"", UnansweredError), "answered 504."),
        ((520, b"error code: 520", SourceUnreachableError), "answered 520: error code: 520."),
        ((599, b"\xff\xfe", SourceUnreachableError), "answered 599"),
    ],
)
def test_a_page_is_told_from_an_answer(
    client: Tautulli, route: respx.Route, page: Page, said: str
) -> None:
    status, body, kind = page
    always(route, body, status, Content_Type="application/json")
    told = error(client)
    assert type(told) is kind
    assert said in str(told)


def test_a_page_in_the_middle_passes(client: Tautulli, route: respx.Route) -> None:
    whole = answer(success('{"a": 1}'))
    page = answer(b"<html>Restarting</html>", Content_Type="text/html")
    gone = answer(b"<html>Not found</html>", 404)
    route.mock(side_effect=[whole, page, page, whole, gone, whole])
    assert [data(client) for _ in range(3)] == [{"a": 1}] * 3


@pytest.mark.parametrize(
    ("challenge", "hint"),
    [
        ('Basic realm="x"', "https://user:password@host"),
        ("basic", "https://user:password@host"),
        ("Bearer", "Allow /api/v2"),
        ("", "Allow /api/v2"),
    ],
)
def test_a_login_is_told_by_what_it_asks_for(
    client: Tautulli, route: respx.Route, challenge: str, hint: str
) -> None:
    always(route, b"<p>No", 401, WWW_Authenticate=challenge)
    told = error(client)
    assert hint in told.hint
    assert told.exit_code == 4


# Redirects.


@pytest.mark.parametrize("status", [301, 302, 308])
@pytest.mark.parametrize(
    ("location", "said"),
    [
        (f"/home?apikey={KEY}", ("/home,", "HTTP root")),
        (f"/auth/login?redirect_uri=/api/v2%3Fapikey%3D{KEY}", ("/auth/login,", "login")),
        ("https://tautulli.example/api/v2", ("https://", "--url https://tautulli.example")),
        ("https://me:secret@proxy.example/login", ("https://proxy.example/login,", "login")),
        (f"http://evil.example/{KEY}", ("http://evil.example/…,", "login")),
        (f"//evil.example/?{KEY}", ("//evil.example/,", "login")),
        ("", ("another address", "HTTP root")),
        ("/" + "long/" * 2000, ("to /long/", "HTTP root")),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_a_redirect_is_explained_and_not_followed(
    client: Tautulli, route: respx.Route, status: int, location: str, said: tuple[str, str]
) -> None:
    always(route, b"<p>It is elsewhere", status, Location=location)
    told = error(client)
    assert type(told) is ConfigurationError
    assert said[0] in str(told)
    assert said[1] in told.hint
    assert KEY not in f"{told} {told.hint}"
    assert "secret" not in f"{told} {told.hint}"
    assert len(str(told)) < 500
    assert route.call_count == 1


@pytest.mark.parametrize(
    "location",
    [
        *("https://auth.example/api/v2", "https://tautulli.example.evil.example/api/v2"),
        # Another program on the same machine, such as its login.
        *("http://tautulli.example:9091/api/v2", "https://tautulli.example:9091/api/v2"),
    ],
)
def test_a_redirect_to_another_host_is_a_login_and_no_address_to_try(
    client: Tautulli, route: respx.Route, location: str
) -> None:
    always(route, b"", 302, Location=location)
    hint = error(client).hint
    assert "asks for a login" in hint
    assert "--url" not in hint


@pytest.mark.parametrize(
    ("location", "address"),
    [
        ("https://tautulli.example/api/v2?cmd=x", "https://tautulli.example"),
        ("https://TAUTULLI.example:8181/api/v2", "https://TAUTULLI.example:8181"),
        ("/tautulli/api/v2", "http://tautulli.example:8181/tautulli"),
    ],
)
def test_an_address_on_the_same_host_is_suggested(
    client: Tautulli, route: respx.Route, location: str, address: str
) -> None:
    always(route, b"", 301, Location=location)
    assert error(client).hint == f"Use that address: --url {address}"


@pytest.mark.parametrize("location", ["http://[", "http://[::1]:x/", "\x7f", "http://a b/", "::"])
def test_a_redirect_to_nowhere_is_an_error_like_any_other(
    client: Tautulli, route: respx.Route, location: str
) -> None:
    always(route, b"", 302, Location=location)
    assert isinstance(error(client), ConfigurationError | UnansweredError)


def test_a_redirect_without_a_place_is_explained(client: Tautulli, route: respx.Route) -> None:
    always(route, b"", 302)
    assert "redirects to another address" in str(error(client))


def test_cookies_and_odd_headers_change_nothing(client: Tautulli, route: respx.Route) -> None:
    odd = {"Set-Cookie": "a=\x01; Domain=example; Max-Age=x", "X-Ödd": "ü", "Date": "never"}
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in odd.items()]
    route.mock(httpx.Response(200, content=success('{"a": 1}'), headers=headers))
    for _ in range(2):
        assert data(client) == {"a": 1}


@pytest.mark.parametrize("one", [b"[],", b'"a ",'])
def test_a_message_of_millions_of_values_takes_no_memory(
    client: Tautulli, route: respx.Route, one: bytes
) -> None:
    many = b"[" + one * (3_000_000 // len(one)) + b"0]"
    always(route, b'{"response": {"result": "error", "message": ' + many + b', "data": {}}}')
    tracemalloc.start()
    try:
        assert "an error without a message" in str(error(client))
        assert tracemalloc.get_traced_memory()[1] < 5 * len(many)
    finally:
        tracemalloc.stop()
