"""Which name is sent as SNI, which one is verified: `proxy_ssl_name` in all its spellings."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from sniproxy.testing.upstreams import catalog
from sniproxy.testing.upstreams.catalog import name_mismatch
from tests.conformance.scenario import Scenario, Table, get


@dataclass(frozen=True, slots=True)
class Name:
    """A spelling of `proxy_ssl_name`; the upstream's certificate names upstream.test."""

    slug: str
    directive: str
    """The argument of `proxy_ssl_name`; "" leaves it unset."""
    rule: str
    sni: str | None
    """What goes on the wire when SNI is on."""
    verified: str
    """The name that is looked for on the certificate."""
    matches: bool


NAMES = (
    Name(
        "default",
        "",
        "The name is $proxy_host by default, and an address is not sent as SNI.",
        None,
        "127.0.0.1",
        False,
    ),
    Name("right", "upstream.test", "The name is sent and verified.", "upstream.test", "", True),
    Name(
        "wrong",
        "wrong.test",
        "Any name is sent as SNI, whether the certificate matches it or not.",
        "wrong.test",
        "wrong.test",
        False,
    ),
    Name("empty", '""', "An empty name is not sent and matches nothing.", None, "", False),
    Name(
        "address",
        "127.0.0.1",
        "An address is not sent, and addresses on the certificate are not consulted.",
        None,
        "127.0.0.1",
        False,
    ),
    Name("bracketed", "[::1]", "A name that begins with [ is not sent.", None, "[::1]", False),
    Name(
        "bracketed-port",
        "[::1]:8443",
        "A port after the bracket is stripped.",
        None,
        "[::1]",
        False,
    ),
    Name("port", "upstream.test:8443", "A port is stripped.", "upstream.test", "", True),
    Name(
        "colons",
        "a:b:c",
        "Everything from the first colon on is stripped as a port.",
        "a",
        "a",
        False,
    ),
    Name("host", "$host", "The client's Host may be the name.", "upstream.test", "", True),
    Name(
        "argument",
        "$arg_name",
        "Any variable may be the name.",
        "other.groups.test",
        "",
        True,
    ),
    Name(
        "mixed",
        "$arg_name.$host",
        "The name is evaluated as a whole.",
        "other.groups.test.upstream.test",
        "other.groups.test.upstream.test",
        False,
    ),
    Name(
        "upper",
        "UPSTREAM.TEST",
        "Case is kept on the wire and does not matter to the certificate.",
        "UPSTREAM.TEST",
        "",
        True,
    ),
    Name(
        "dot",
        "upstream.test.",
        "A trailing dot is kept on the wire and matches no certificate.",
        "upstream.test.",
        "upstream.test.",
        False,
    ),
    Name(
        "underscore",
        "up_stream.test",
        "A name may contain an underscore.",
        "up_stream.test",
        "",
        True,
    ),
    Name(
        "wildcard",
        "any.wild.test",
        "A wildcard matches one label.",
        "any.wild.test",
        "",
        True,
    ),
    Name(
        "deep-wildcard",
        "a.b.wild.test",
        "A wildcard does not match two labels.",
        "a.b.wild.test",
        "a.b.wild.test",
        False,
    ),
    Name(
        "bare-wildcard",
        "wild.test",
        "A wildcard does not match an empty label.",
        "wild.test",
        "wild.test",
        False,
    ),
    Name(
        "partial-wildcard",
        "foo.part.test",
        "A wildcard may be a part of a label.",
        "foo.part.test",
        "",
        True,
    ),
    Name(
        "leading-dot",
        ".wild.test",
        "A name with a leading dot matches a wildcard certificate.",
        ".wild.test",
        "",
        True,
    ),
)

SNI = {"unset": "", "off": "proxy_ssl_server_name off;", "on": "proxy_ssl_server_name on;"}
VERIFY = {
    "unset": "",
    "on": "proxy_ssl_verify on; proxy_ssl_trusted_certificate root.pem;",
}


def scenario(name: Name, sni: str, verify: str) -> Scenario:
    refused = verify == "on" and not name.matches
    directives = [SNI[sni], VERIFY[verify]]
    if name.directive:
        directives.append(f"proxy_ssl_name {name.directive};")
    return Scenario(
        f"sni-{sni}-name-{name.slug}-verify-{verify}",
        name.rule,
        " ".join(directives),
        requests=(get(path="PATH?name=other.groups.test", host="upstream.test"),),
        status=502 if refused else 200,
        sni=name.sni if sni == "on" else None,
        logs=(name_mismatch(name.verified),) if refused else (),
    )


COMBINED = tuple(scenario(*row) for row in product(NAMES, SNI, VERIFY))


def needing_sni(name: Name) -> Scenario:
    """The same names to an upstream that does not talk without the right SNI."""
    welcome = name.sni == "upstream.test"
    return Scenario(
        f"needed-{name.slug}",
        f"{name.rule} This upstream rejects any SNI but its own with alert 112.",
        f"{SNI['on']} proxy_ssl_name {name.directive};" if name.directive else SNI["on"],
        upstreams=(catalog.NEEDS_SNI,),
        requests=(get(path="PATH?name=other.groups.test", host="upstream.test"),),
        status=200 if welcome else 502,
        sni=name.sni,
        logs=() if welcome else (catalog.UNRECOGNIZED_NAME,),
    )


TABLE = Table("names", (*COMBINED, *(needing_sni(name) for name in NAMES)))
