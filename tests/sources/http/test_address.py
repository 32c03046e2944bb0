"""Where Tautulli is: whatever people paste becomes an address, or an error that quotes nothing."""

from __future__ import annotations

import string
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from hypothesis import example, given, strategies as st

from tautulli_import.errors import ConfigurationError
from tautulli_import.formatting import harmless
from tautulli_import.sources.http.access import Access, parse_address
from tautulli_import.state.file import StateFile
from tautulli_import.web.address import Address, is_nearby


@pytest.mark.parametrize(
    ("text", "base"),
    [
        # As it stands in the browser, on whichever page.
        ("http://192.168.1.10:8181", "http://192.168.1.10:8181"),
        ("http://192.168.1.10:8181/", "http://192.168.1.10:8181"),
        ("http://192.168.1.10:8181/home", "http://192.168.1.10:8181"),
        ("http://192.168.1.10:8181/home/", "http://192.168.1.10:8181"),
        ("http://192.168.1.10:8181/home#tab-1", "http://192.168.1.10:8181"),
        ("http://192.168.1.10:8181/#", "http://192.168.1.10:8181"),
        ("http://192.168.1.10:8181/history#user=1", "http://192.168.1.10:8181"),
        ("http://192.168.1.10:8181/history?transcode_decision=all", "http://192.168.1.10:8181"),
        ("http://192.168.1.10:8181/user?user_id=1", "http://192.168.1.10:8181"),
        ("http://192.168.1.10:8181/library?section_id=2", "http://192.168.1.10:8181"),
        ("http://192.168.1.10:8181/settings#tab_tabs-web_interface", "http://192.168.1.10:8181"),
        ("http://nas:8181/auth/login?redirect_uri=/home", "http://nas:8181"),
        ("http://nas:8181/info?rating_key=1", "http://nas:8181"),
        ("http://nas:8181/index.html", "http://nas:8181"),
        ("http://nas:8181/graphs", "http://nas:8181"),
        ("http://nas:8181/newsletters", "http://nas:8181"),
        # The API itself, with or without a key.
        ("http://nas:8181/api/v2", "http://nas:8181"),
        ("http://nas:8181/api/v2?apikey=abc&cmd=get_history", "http://nas:8181"),
        ("nas:8181/api/v2/", "http://nas:8181"),
        # An HTTP root, alone and before a page.
        ("https://example.org/tautulli", "https://example.org/tautulli"),
        ("https://example.org/tautulli/", "https://example.org/tautulli"),
        ("https://example.org/tautulli/home#x", "https://example.org/tautulli"),
        ("https://example.org/media/tautulli/history", "https://example.org/media/tautulli"),
        ("https://example.org//tautulli///home", "https://example.org/tautulli"),
        ("https://example.org/Tautulli/HOME", "https://example.org/Tautulli"),
        ("https://example.org/my%20stats/home", "https://example.org/my%20stats"),
        ("https://example.org/homepage", "https://example.org/homepage"),
        # Without a scheme, in capitals, with blanks around it.
        ("nas", "http://nas"),
        ("nas:8181", "http://nas:8181"),
        ("localhost:8181/home", "http://localhost:8181"),
        ("192.168.1.10:8181/tautulli", "http://192.168.1.10:8181/tautulli"),
        ("HTTP://NAS:8181", "http://nas:8181"),
        ("HTTPS://Example.ORG/Tautulli", "https://example.org/Tautulli"),
        ("  http://nas:8181 \n", "http://nas:8181"),
        ("http://nas:", "http://nas"),
        ("https://nas:443", "https://nas:443"),
        ("http://nas:1", "http://nas:1"),
        ("http://nas:65535", "http://nas:65535"),
        # IPv6 has brackets.
        ("http://[::1]:8181/home", "http://[::1]:8181"),
        ("[2001:DB8::1]:8181", "http://[2001:db8::1]:8181"),
        ("https://[2001:db8::1]/tautulli", "https://[2001:db8::1]/tautulli"),
        # Names beyond ASCII.
        ("http://müller.example/", "http://müller.example"),
        ("http://xn--mller-kva.example", "http://xn--mller-kva.example"),
        ("http://my_nas:8181", "http://my_nas:8181"),
    ],
)
def test_what_people_paste_is_an_address(text: str, base: str) -> None:
    assert parse_address(text) == Address(base)


@pytest.mark.parametrize(
    ("text", "auth"),
    [
        ("http://me:secret@nas/home", ("me", "secret")),
        ("me:secret@nas:8181", ("me", "secret")),
        ("https://me@nas", ("me", "")),
        ("https://:secret@nas", ("", "secret")),
        ("https://@nas", None),
        ("https://me:p%40ss%3Aw%2Frd%20%25@nas", ("me", "p@ss:w/rd %")),
        ("https://me%40example.org:x@nas", ("me@example.org", "x")),
        ("https://me:a:b:c@nas", ("me", "a:b:c")),
        ("https://me:p@ss@nas", ("me", "p@ss")),
        ("https://me:p%zz@nas", ("me", "p%zz")),
        ("https://J%C3%BCrgen:gr%C3%BCn@nas", ("Jürgen", "grün")),
        ("https://ME:SECRET@NAS", ("ME", "SECRET")),
    ],
)
def test_a_user_and_a_password_are_for_the_proxy(text: str, auth: tuple[str, str] | None) -> None:
    address = parse_address(text)
    assert address.auth == auth
    assert "@" not in address.base
    assert address.base.partition("://")[2].lower().startswith("nas")


@pytest.mark.parametrize(
    "text",
    [
        *("", "   ", "\n", "/", "//", "///nas", "/tautulli", "http://"),
        *("http:///home", "https://?x", "http://#", "http://@", "http://:8181", "http://me:pw@"),
        *("ftp://nas", "file:///etc/passwd", "javascript:alert(1)", "javascript://nas", "ws://nas"),
        *("http://nas:port", "http://nas:99999", "http://nas:-1", "http://nas:8181:8181"),
        *("http://[::1", "http://::1:8181", "http://[nonsense]", "http://[]"),
        *("http://my nas:8181", "http://nas:81 81", "http://nas/my stats", "my nas"),
        *("http://nas<script>", 'http://"nas"', "http://nas/{}", "http://nas|x", "http://na\\s"),
        *("http://nas\x01", "http://\x7fnas", "http://nas\x00/home", "http://nas/\x1b[31m"),
        *("http://\udcff", "http://nas/\udcff", "http://\N{PILE OF POO}", "http://xn--a"),
        *("http://..", "http://nas..example", "http://nas\u202eexample"),
        f"http://{'n' * 64}.example",  # no name that can be looked up has so long a part
    ],
    ids=lambda text: ascii(text)[:30],
)
def test_what_is_no_address_is_an_error_that_quotes_nothing(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_address(text)
    assert str(caught.value).startswith("The URL of Tautulli ")
    assert "http://192.168.1.10:8181" in caught.value.hint
    assert len(str(caught.value)) < 100


PASTED = st.one_of(
    st.text(max_size=40),
    st.from_regex(r"(https?://)?([a-z:%@]{0,8}@)?[\w.\-\[\]:%]{1,20}(/[^\s]{0,10}){0,3}"),
    st.builds(
        "{}{}{}{}".format,
        st.sampled_from(["", "http://", "HTTPS://", "ftp://", "//"]),
        st.text(string.printable, max_size=12),
        st.sampled_from(["", ":8181", ":", ":x", ":99999"]),
        st.text(max_size=20),
    ),
)


@given(PASTED)
@example("http://\N{PILE OF POO}")
@example("http://xn--a")
@example("http://nas\x01")
@example("http://\udcff")
@example("http://nas/\udcff")
@example("http://me:\udcff@nas")
@example("http://[fe80::1%25eth0]")
def test_whatever_is_pasted_is_an_address_that_can_be_asked_or_an_error(text: str) -> None:
    try:
        address = parse_address(text)
    except ConfigurationError as error:
        told = f"{error} {error.hint}"
    else:
        told = ""
        _can_be_asked(address)
    word = text.strip()
    assert len(word) < 12 or word not in told


def _can_be_asked(address: Address) -> None:
    assert address.base.startswith(("http://", "https://"))
    assert not address.base.endswith("/")
    assert address.base.encode()
    if address.auth:
        httpx.BasicAuth(*address.auth)
    request = httpx.Request("POST", Access(address, "k").endpoint)
    assert request.url.path.endswith("/api/v2")
    assert request.url.host
    assert not request.url.query
    assert not request.url.userinfo


@given(st.text(min_size=1, max_size=30), st.text(min_size=1, max_size=30))
def test_any_user_and_password_can_be_written_down(user: str, password: str) -> None:
    def escaped(text: str) -> str:
        return quote(text.encode("utf-8", "surrogatepass"), safe="")

    try:
        whole = f"{user}{password}".encode()
    except UnicodeEncodeError:
        return
    url = f"https://{escaped(user)}:{escaped(password)}@nas:8181/tautulli"
    if harmless(f"{user}{password}") != f"{user}{password}":
        with pytest.raises(ConfigurationError, match="control characters"):
            parse_address(url)
        return
    address = parse_address(url)
    assert whole == "".join(address.auth or ()).encode()
    assert address == Address("https://nas:8181/tautulli", (user, password))


def test_its_repr_does_not_tell_the_password() -> None:
    assert "secret" not in repr(parse_address("http://me:secret@nas"))


@pytest.mark.parametrize("text", ["http://nas", "http://müller.example/ä", "http://[::1]:8181"])
def test_every_address_has_a_state_file_of_its_own(text: str, tmp_path: Path) -> None:
    files = set()
    for base in (parse_address(text).base, parse_address(f"{text}/tautulli").base):
        state = StateFile(tmp_path, base)
        files.add(state.path)
        state.close()
    assert len(files) == 2


@pytest.mark.parametrize(
    ("host", "nearby"),
    [
        *((host, True) for host in ("localhost", "NAS", "tautulli.local", "nas.local.", "::1")),
        *((host, True) for host in ("127.0.0.1", "10.1.2.3", "172.31.0.1", "192.168.1.10")),
        *((host, True) for host in ("169.254.1.1", "100.64.0.1", "fd00::1", "fe80::1%eth0")),
        *((host, True) for host in ("::ffff:10.0.0.1",)),
        *((host, False) for host in ("tautulli.example", "8.8.8.8", "172.32.0.1", "100.128.0.1")),
        *((host, False) for host in ("2001:db8::1", "::ffff:8.8.8.8", "notlocal.example")),
    ],
)
def test_a_host_in_a_private_network_is_known_without_dns(host: str, nearby: bool) -> None:
    assert is_nearby(host) == nearby
