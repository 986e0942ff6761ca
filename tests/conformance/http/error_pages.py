"""`error_page` and what goes with it: internal redirects, named locations, `internal`."""

from __future__ import annotations

from sniproxy.testing.upstreams import catalog
from tests.conformance.scenario import GET, Scenario, Table, get, request

NO_PEER = "proxy_pass http://127.0.0.1:1;"
PAGE = 'location = PATH/page { return 200 "page of $request_uri, now $uri?$args $status"; }'


def paged(
    name: str,
    rule: str,
    directives: str,
    server: str = PAGE,
    *,
    sends: str = GET,
    status: int,
    logs: tuple[str, ...] = (),
) -> Scenario:
    return Scenario(
        name,
        rule,
        directives,
        upstreams=(),
        proxy_pass="none",
        server=server,
        requests=(sends,),
        status=status,
        logs=logs,
    )


def refused(
    name: str,
    rule: str,
    directives: str,
    server: str = PAGE,
    *,
    status: int,
    more: tuple[str, ...] = (),
) -> Scenario:
    """The same behind a `proxy_pass` to where nobody listens."""
    logs = ("connect() failed", *more)
    return paged(name, rule, f"{NO_PEER} {directives}", server, status=status, logs=logs)


SCENARIOS = (
    paged(
        "path",
        "a path answers in place of the page, under the same status",
        "error_page 404 PATH/page; return 404;",
        status=404,
    ),
    paged(
        "args",
        "the path may have arguments",
        "error_page 404 PATH/page?a=b; return 404;",
        status=404,
    ),
    paged(
        "status-set",
        "=CODE is what the client sees",
        "error_page 404 =201 PATH/page; return 404;",
        status=201,
    ),
    paged(
        "status-of-page",
        "= leaves the status to what answers",
        "error_page 404 = PATH/page; return 404;",
        status=200,
    ),
    paged(
        "several",
        "a page may be for several statuses",
        "error_page 403 404 PATH/page; return 403;",
        status=403,
    ),
    paged(
        "first",
        "the first page for a status counts",
        "error_page 404 =201 PATH/page; error_page 404 =202 PATH/page; return 404;",
        status=201,
    ),
    paged(
        "other-status",
        "other statuses have nginx's own page",
        "error_page 404 PATH/page; return 403;",
        status=403,
    ),
    paged(
        "redirect",
        "anything else is a redirect",
        "error_page 404 http://other.test/; return 404;",
        status=302,
    ),
    paged(
        "redirect-status",
        "... with a status of its own",
        "error_page 404 =301 http://other.test/$uri; return 404;",
        status=301,
    ),
    paged(
        "redirect-other-status",
        "... if it is one of a redirect",
        "error_page 404 =404 http://other.test/; return 404;",
        status=302,
    ),
    paged(
        "variable",
        "the path may have variables",
        "error_page 404 PATH/$arg_p?x; return 404;",
        sends=get(path="PATH?p=page"),
        status=404,
    ),
    paged(
        "missing",
        "an error of the page has nginx's own page, and is what the client sees",
        "error_page 404 PATH/nowhere; return 404;",
        "location = PATH/nowhere { return 403; }",
        status=403,
    ),
    paged(
        "recursive",
        "... unless recursive_error_pages says otherwise",
        "recursive_error_pages on; error_page 404 PATH/two; return 404;",
        "location = PATH/two { recursive_error_pages on; error_page 403 =202 PATH/page;"
        " return 403; }" + PAGE,
        status=202,
    ),
    paged(
        "head",
        "HEAD stays HEAD",
        "error_page 404 PATH/page; return 404;",
        sends=request("HEAD"),
        status=404,
    ),
    paged(
        "post",
        "POST becomes GET",
        "error_page 405 PATH/m; return 405;",
        "location = PATH/m { return 200 $request_method; }",
        sends=request("POST", body="abc"),
        status=405,
    ),
    paged(
        "success",
        "an answer that is none of nginx's own is left alone",
        "error_page 404 PATH/page; return 200 mine;",
        status=200,
    ),
    paged(
        "text", "so is one with a text", "error_page 404 PATH/page; return 404 mine;", status=404
    ),
    paged(
        "internal",
        "an internal location is not there for clients",
        "internal; return 200 hidden;",
        status=404,
    ),
    paged(
        "internal-redirect",
        "... but for redirects",
        "error_page 404 PATH/in; return 404;",
        "location = PATH/in { internal; return 200 shown; }",
        status=404,
    ),
    refused(
        "upstream",
        "the 502 of an upstream that fails has a page too",
        "error_page 502 PATH/page;",
        status=502,
    ),
    refused(
        "upstream-named",
        "... in a named location",
        "error_page 502 = @NAME;",
        "location @NAME { return 200 $uri; }",
        status=200,
    ),
    refused(
        "named-missing",
        "a named location that is not there is a 500",
        "error_page 502 @nowhere;",
        status=500,
        more=("could not find named location",),
    ),
    Scenario(
        "fallback",
        "a named location proxies what the client asked for",
        "error_page 404 = @fallback; return 404;",
        upstreams=(catalog.PLAIN,),
        proxy_pass="none",
        server="location @fallback { proxy_pass http://PEER; }",
        requests=(get(path="PATH/a%20b?c"),),
        location="PATH",
    ),
    Scenario(
        "proxied-page",
        "a page may come from an upstream, under the normalised path",
        "error_page 404 PATH/a%20b; return 404;",
        upstreams=(catalog.PLAIN,),
        proxy_pass="none",
        server="location PATH/ { proxy_pass http://PEER; }",
        status=404,
    ),
)

TABLE = Table("error-pages", SCENARIOS)
