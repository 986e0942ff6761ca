"""The charset of responses: `charset`, `source_charset`, `override_charset`, `charset_map`."""

from __future__ import annotations

from collections.abc import Iterator

from sniproxy.testing.upstreams import catalog
from sniproxy.testing.upstreams.spec import UpstreamSpec
from tests.conformance.scenario import Scenario, Table

PLAIN = "http://PEER"
KOI8_R = "a\xc0\xc1\xff"
UTF_8 = "a\xd1\x8e\xe2\x82\xac\xff"


def answering(fields: str, body: str = "hello") -> UpstreamSpec:
    """An upstream whose response has these fields."""
    head = f"HTTP/1.1 200 OK\r\n{fields}Content-Length: {len(body)}\r\n\r\n"
    return catalog.fixed_response("answers", f"{head}{body}".encode("latin-1"))


def passed(
    name: str,
    rule: str,
    directives: str,
    fields: str,
    body: str = "hello",
    *,
    logs: tuple[str, ...] = (),
) -> Scenario:
    """The response of an upstream."""
    upstreams = (answering(fields, body),)
    return Scenario(name, rule, directives, upstreams, proxy_pass=PLAIN, logs=logs)


def scenarios() -> Iterator[Scenario]:
    html = "Content-Type: text/html\r\n"
    yield passed("name", "charset is added to Content-Type.", "charset utf-8;", html)
    yield passed(
        "present",
        "A charset that the upstream names stays.",
        "charset utf-8;",
        "Content-Type: text/html; charset=koi8-r\r\n",
    )
    yield passed(
        "type",
        "Types that charset_types does not list get none.",
        "charset utf-8;",
        "Content-Type: text/css\r\n",
    )
    yield passed(
        "types",
        "charset_types lists more types.",
        "charset utf-8; charset_types text/css;",
        "Content-Type: text/css\r\n",
    )
    yield passed(
        "override",
        "With override_charset a response is converted from the charset that the upstream names.",
        "charset utf-8; override_charset on;",
        "Content-Type: text/html; charset=koi8-r\r\n",
        KOI8_R,
    )
    yield passed(
        "to-utf8",
        "A conversion to UTF-8 changes the length, and unknown bytes become question marks.",
        "charset utf-8; source_charset koi8-r;",
        html,
        KOI8_R,
    )
    yield passed(
        "from-utf8",
        "Characters that the charset lacks become HTML entities.",
        "charset koi8-r; source_charset utf-8;",
        html,
        UTF_8,
    )
    yield passed(
        "bytes",
        "A conversion of bytes keeps the length.",
        "charset koi8-r; source_charset windows-1251;",
        html,
        "\xfe\xe0\x80z",
    )
    yield passed(
        "encoded",
        "A response with a Content-Encoding is not converted.",
        "charset utf-8; source_charset koi8-r;",
        f"{html}Content-Encoding: br\r\n",
        KOI8_R,
    )
    yield passed(
        "asked",
        "X-Accel-Charset chooses a charset that the configuration names.",
        "",
        f"{html}X-Accel-Charset: utf-8\r\n",
    )
    yield passed(
        "asked-unknown",
        "An X-Accel-Charset that the configuration does not name is logged.",
        "charset utf-8;",
        f"{html}X-Accel-Charset: latin-7\r\n",
        logs=('unknown charset "latin-7" to override',),
    )
    yield passed(
        "unmapped",
        "Without a charset_map the response is not converted, which is logged.",
        "charset windows-1251; override_charset on;",
        "Content-Type: text/html; charset=utf-8\r\n",
        logs=('no "charset_map" between the charsets "utf-8" and "windows-1251"',),
    )
    yield Scenario(
        "redirect",
        "The page of a redirect gets no charset.",
        "charset utf-8; return 302 /;",
        (),
        proxy_pass="none",
        status=302,
    )


TABLE = Table(
    "charsets",
    tuple(scenarios()),
    before=(
        "charset_map koi8-r utf-8 { C0 D18E; C1 D0B0; } "
        "charset_map windows-1251 koi8-r { FE C0; E0 C1; }"
    ),
)
