"""Fields changed by the headers-more module."""

from __future__ import annotations

from collections.abc import Iterator

from tests.conformance.http.charsets import PLAIN, answering
from tests.conformance.scenario import Scenario, Table, get


def changed(
    name: str, rule: str, directives: str, fields: str = "X-A: 1\r\nX-B: 2\r\n"
) -> Scenario:
    """The response of an upstream."""
    return Scenario(name, rule, directives, (answering(fields),), proxy_pass=PLAIN)


def requested(name: str, rule: str, directives: str, *fields: str) -> Scenario:
    """What the upstream receives."""
    upstreams, requests = (answering(""),), (get(*fields),)
    return Scenario(name, rule, directives, upstreams, proxy_pass=PLAIN, requests=requests)


def scenarios() -> Iterator[Scenario]:
    yield changed(
        "set",
        "more_set_headers replaces a field where it stands, and appends a new one.",
        'more_set_headers "X-A: new" "X-C: 3";',
    )
    yield changed("clear", "more_clear_headers removes fields.", "more_clear_headers X-A;")
    yield changed(
        "wildcard", "An asterisk stands for the rest of names.", 'more_clear_headers "X-*";'
    )
    yield changed(
        "status",
        "With -s it applies to these statuses only.",
        'more_set_headers -s "404 500" "X-A: new"; more_set_headers -s 200 "X-B: new";',
    )
    yield changed(
        "type",
        "With -t it applies to these media types only.",
        'more_set_headers -t "text/css" "X-A: new"; more_set_headers -t text/html "X-B: new";',
        "Content-Type: text/html; charset=a\r\nX-A: 1\r\nX-B: 2\r\n",
    )
    yield changed(
        "append", "With -a a field is added beside others.", 'more_set_headers -a "X-A: more";'
    )
    yield changed("server", "It replaces the Server field too.", 'more_set_headers "Server: mine";')
    yield changed(
        "before-add",
        "It applies before add_header, which it does not see.",
        "add_header X-A added; more_clear_headers X-A;",
    )
    yield changed(
        "inherit",
        "Commands of outer levels run before those of the location.",
        'more_set_headers "X-Outer: inner";',
    )
    yield requested(
        "input",
        "more_set_input_headers changes what the upstream receives.",
        'more_set_input_headers "X-A: new" "X-B: $host";',
        "X-A: 1",
    )
    yield requested(
        "input-replace",
        "With -r only fields that are there are set.",
        'more_set_input_headers -r "X-A: new" "X-B: new";',
        "X-A: 1",
    )
    yield requested(
        "input-clear",
        "more_clear_input_headers removes fields, by wildcards too.",
        'more_clear_input_headers "X-*" Cookie;',
        "X-A: 1",
        "Cookie: a",
        "Y: z",
    )


TABLE = Table("more-headers", tuple(scenarios()), before='more_set_headers "X-Outer: outer";')
