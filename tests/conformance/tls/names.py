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
        "the name is $proxy_host by default, and an address is not sent as SNI",
        None,
        "127.0.0.1",
        False,
    ),
    Name("right", "upstream.test", "the name is sent and verified", "upstream.test", "", True),
    Name(
        "wrong",
        "wrong.test",
        "any name is sent, the right one or not",
        "wrong.test",
        "wrong.test",
        False,
    ),
    Name("empty", '""', "an empty name is not sent and matches nothing", None, "", False),
    Name(
        "address",
        "127.0.0.1",
        "an address is not sent, and addresses on the certificate are not consulted",
        None,
        "127.0.0.1",
        False,
    ),
    Name("bracketed", "[::1]", "a name that begins with [ is not sent", None, "[::1]", False),
    Name(
        "bracketed-port",
        "[::1]:8443",
        "a port behind the bracket is stripped",
        None,
        "[::1]",
        False,
    ),
    Name("port", "upstream.test:8443", "a port is stripped", "upstream.test", "", True),
    Name("colons", "a:b:c", "everything from the first colon on is a port", "a", "a", False),
    Name("host", "$host", "the client's Host may be the name", "upstream.test", "", True),
    Name(
        "argument",
        "$arg_name",
        "any variable may be the name",
        "other.groups.test",
        "",
        True,
    ),
    Name(
        "mixed",
        "$arg_name.$host",
        "the name is evaluated as a whole",
        "other.groups.test.upstream.test",
        "other.groups.test.upstream.test",
        False,
    ),
    Name(
        "upper",
        "UPSTREAM.TEST",
        "case is kept on the wire and does not matter to the certificate",
        "UPSTREAM.TEST",
        "",
        True,
    ),
    Name(
        "dot",
        "upstream.test.",
        "a trailing dot is kept on the wire and matches no certificate",
        "upstream.test.",
        "upstream.test.",
        False,
    ),
    Name("underscore", "up_stream.test", "an underscore is no matter", "up_stream.test", "", True),
    Name(
        "wildcard",
        "any.wild.test",
        "a wildcard stands for one label",
        "any.wild.test",
        "",
        True,
    ),
    Name(
        "deep-wildcard",
        "a.b.wild.test",
        "a wildcard does not stand for two labels",
        "a.b.wild.test",
        "a.b.wild.test",
        False,
    ),
    Name(
        "bare-wildcard",
        "wild.test",
        "a wildcard does not stand for nothing",
        "wild.test",
        "wild.test",
        False,
    ),
    Name(
        "partial-wildcard",
        "foo.part.test",
        "a wildcard may be a part of a label",
        "foo.part.test",
        "",
        True,
    ),
    Name(
        "leading-dot",
        ".wild.test",
        "a name with a leading dot stands for all names below it",
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
        f"without the right SNI the upstream refuses with alert 112; {name.rule}",
        f"{SNI['on']} proxy_ssl_name {name.directive};" if name.directive else SNI["on"],
        upstreams=(catalog.NEEDS_SNI,),
        requests=(get(path="PATH?name=other.groups.test", host="upstream.test"),),
        status=200 if welcome else 502,
        sni=name.sni,
        logs=() if welcome else (catalog.UNRECOGNIZED_NAME,),
    )


TABLE = Table("names", (*COMBINED, *(needing_sni(name) for name in NAMES)))
