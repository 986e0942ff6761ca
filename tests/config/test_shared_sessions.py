"""The warning about locations that share TLS sessions but verify differently."""

from __future__ import annotations

import pytest

from sniproxy import config

VERIFIED = "proxy_ssl_verify on; proxy_ssl_trusted_certificate a.pem;"
NAMED = "proxy_ssl_server_name on; proxy_ssl_name"


def differing(one: str, other: str, to: tuple[str, str] = ("127.0.0.1", "127.0.0.1:443")) -> str:
    """The differences named by the warning for two locations; "" without a warning."""
    text = (
        "events {} http { upstream group { server 127.0.0.1:1; }\n"
        "server { listen 127.0.0.1:18080;\n"
        f"location /one {{ proxy_pass https://{to[0]}; {one} }}\n"
        f"location = /other {{ proxy_pass https://{to[1]}; {other} }}\n"
        "}}"
    )
    warnings = config.parse(text, name="FILE").warnings
    if not warnings:
        return ""
    (warning,) = warnings
    before, _, rest = warning.partition(" and differ in ")
    assert before.startswith('location "/one" and location "= /other" share the TLS sessions of "')
    assert warning.endswith(' (fix: "proxy_ssl_session_reuse off") in FILE:4')
    return rest.partition(":")[0]


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        ("", "", ""),
        (VERIFIED, VERIFIED, ""),
        ("", VERIFIED, "proxy_ssl_verify"),
        (VERIFIED, VERIFIED.replace("a.pem", "b.pem"), "proxy_ssl_trusted_certificate"),
        (VERIFIED, f"{VERIFIED} proxy_ssl_crl a.crl;", "proxy_ssl_crl"),
        (VERIFIED, f"{VERIFIED} proxy_ssl_verify_depth 2;", "proxy_ssl_verify_depth"),
        (
            f"{VERIFIED} {NAMED} a.test;",
            f"{VERIFIED} {NAMED} b.test; proxy_ssl_verify_depth 2;",
            "proxy_ssl_verify_depth and proxy_ssl_name",
        ),
        (f"{NAMED} a.test;", f"{NAMED} b.test;", "proxy_ssl_name"),
        (f"{NAMED} a.test;", f"{NAMED} a.test;", ""),
        (f"{NAMED} a.test;", "proxy_ssl_server_name on;", "proxy_ssl_name"),
        # A name that is neither sent nor verified; a CA that is not used.
        ("proxy_ssl_name a.test;", "proxy_ssl_name b.test;", ""),
        ("proxy_ssl_trusted_certificate a.pem;", "proxy_ssl_trusted_certificate b.pem;", ""),
        (VERIFIED, "proxy_ssl_session_reuse off;", ""),
        (f"{VERIFIED} proxy_ssl_session_reuse off;", "", ""),
    ],
)
def test_locations_that_differ_cause_a_warning(one: str, other: str, words: str) -> None:
    assert differing(one, other) == words


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [
        ("127.0.0.1", "127.0.0.1:444", False),
        ("127.0.0.1:444/x", "127.0.0.1:444", True),
        ("group", "GROUP", True),
        ("group", "127.0.0.1:1", False),
    ],
)
def test_peers_are_identified_by_address_or_group(first: str, second: str, shared: bool) -> None:
    assert bool(differing("", VERIFIED, (first, second))) is shared


def test_one_warning_per_upstream() -> None:
    locations = "".join(
        f"location /{name} {{ proxy_pass https://127.0.0.1; {NAMED} {name}.test; }}\n"
        for name in "abc"
    )
    text = f"events {{}} http {{ server {{ listen 127.0.0.1:18080;\n{locations}}}}}"
    assert len(config.parse(text, name="FILE").warnings) == 1


def test_servers_of_stream_share_sessions() -> None:
    text = (
        "events {} stream { proxy_ssl on; upstream group { server 127.0.0.1:1; }\n"
        "server { listen 1; proxy_pass group; }\n"
        f"server {{ listen 2; proxy_pass GROUP; {VERIFIED} }}\n"
        f"server {{ listen 3; proxy_pass 127.0.0.1:1; {VERIFIED} }}\n"
        f"server {{ listen 4; proxy_pass 127.0.0.1:1; {VERIFIED} proxy_ssl off; }}}}"
    )
    (warning,) = config.parse(text, name="FILE").warnings
    assert warning == (
        'server in FILE:2 and server in FILE:3 share the TLS sessions of "GROUP" and differ in '
        "proxy_ssl_verify: a resumed session keeps the certificate and the verification result "
        'of its original handshake (fix: "proxy_ssl_session_reuse off") in FILE:3'
    )
