"""Who gets an answer: addresses, passwords, methods, and what another place says."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import replace

from sniproxy.testing.upstreams import catalog
from sniproxy.testing.upstreams.script import Expect, Send
from sniproxy.testing.upstreams.spec import Action, UpstreamSpec
from tests.conformance.scenario import Scenario, Table, get, request

FORBIDDEN = "access forbidden by rule, client: 127.0.0.1"
PLAIN = "http://PEER"
KEEP = "GET PATH HTTP/1.1\r\nHost: front.test\r\n"


def own(name: str, rule: str, directives: str, *requests: str, **more: object) -> Scenario:
    """A file answers: `return` comes before any check."""
    scenario = Scenario(
        name,
        rule,
        directives,
        (),
        proxy_pass="none",
        requests=requests or (get(),),
        files={"html/NAME": "let in\n", "html/users": USERS},
    )
    return replace(scenario, **more)  # type: ignore[arg-type]


def rules() -> Iterator[Scenario]:
    for name, rules, allowed in (
        ("deny-all", "deny all;", False),
        ("allow-all", "allow all; deny all;", True),
        ("deny-address", "deny 127.0.0.1;", False),
        ("deny-network", "deny 127.0.0.0/8;", False),
        ("deny-other", "deny 127.0.0.2; deny 10.0.0.0/8;", True),
        ("allow-first", "allow 127.0.0.0/8; deny 127.0.0.1;", True),
        ("allow-other", "allow 127.0.0.2; deny all;", False),
        ("deny-everything", "deny 0.0.0.0/0;", False),
        ("deny-ipv6", "deny ::1; deny ::/0;", True),
        ("deny-mapped", "deny ::ffff:127.0.0.1;", True),
        ("deny-unix", "deny unix:;", True),
        ("allow-alone", "allow 127.0.0.2;", True),
    ):
        yield own(
            name,
            "The first matching access rule decides, and a client without a match is allowed.",
            rules,
            status=200 if allowed else 403,
            logs=() if allowed else (FORBIDDEN,),
        )
    yield own(
        "error-page",
        "error_page replaces the page of a 403.",
        "deny all; error_page 403 = /page.html;",
        files={"html/page.html": "page\n"},
        logs=(FORBIDDEN,),
    )
    yield own(
        "error-page-denied",
        "If access to the page of error_page is denied too, the built-in page is sent.",
        "deny all; error_page 403 PATH;",
        status=403,
        logs=(FORBIDDEN,) * 2,
    )
    yield own(
        "return",
        "A return is executed before access rules are checked.",
        "deny all; return 204;",
        status=204,
    )
    yield own(
        "if",
        "An if block inherits the access rules around it.",
        "deny all; if ($arg_x) { expires off; }",
        get(path="PATH?x=1"),
        status=403,
        logs=(FORBIDDEN,),
    )
    for inner, status in (("", 403), ("allow all;", 200), ("deny 10.0.0.1;", 200)):
        yield Scenario(
            f"inherited-{status}-{len(inner)}",
            "Access rules are inherited by a location without rules of its own.",
            f"deny all; location PATH/in {{ {inner} }}",
            (),
            proxy_pass="none",
            requests=(get(path="PATH/in"),),
            files={"html/NAME/in": "in\n"},
            status=status,
            logs=(FORBIDDEN,) if status == 403 else (),
        )
    yield Scenario(
        "proxied",
        "A denied request is not sent to the upstream.",
        "deny all;",
        (catalog.PLAIN,),
        proxy_pass=PLAIN,
        status=403,
        logs=(FORBIDDEN,),
    )
    yield own(
        "missing",
        "Access rules are checked before the file is opened.",
        "deny all;",
        files={},
        status=403,
        logs=(FORBIDDEN,),
    )
    yield own(
        "post",
        "The body of a denied request is discarded.",
        "deny all;",
        request("POST", body="x" * 100),
        status=403,
        logs=(FORBIDDEN,),
    )


PASSWORDS: Mapping[str, str] = {
    "plain": "{PLAIN}secret",
    "sha": "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
    "ssha": "{SSHA}85f2vhDDzyWaDNppq37VzQGf2UI0NTY3",
    "apr1": "$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/",
    "md5": "$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1",
    "sha256": "$5$abcdefgh$gruCpC7VkOTspMQTTSAR8mtlO9Upms.fwqE5y16JVM.",
    "empty": "{PLAIN}",
}


def authorized(user: str, password: str) -> str:
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    return f"Authorization: Basic {token}"


LINES = [f"{name}:{pool}:comment\r\n" for name, pool in PASSWORDS.items()]
USERS = "".join(("# users\n\n", *LINES, "last:{PLAIN}x"))
BASIC = 'auth_basic "a realm"; auth_basic_user_file $document_root/users;'


def basic() -> Iterator[Scenario]:
    for name in PASSWORDS:
        right = "" if name == "empty" else "secret"
        yield password(f"basic-{name}", authorized(name, right))
        yield password(
            f"basic-{name}-wrong",
            authorized(name, "wrong"),
            401,
            f'user "{name}": password mismatch, client: 127.0.0.1',
        )
    yield password("basic-last", authorized("last", "x"))
    yield password(
        "basic-nobody", authorized("nobody", "x"), 401, 'user "nobody" was not found in "'
    )
    yield password(
        "basic-comment", authorized("# users", "x"), 401, 'user "# users" was not found in "'
    )
    no_credentials = "no user/password was provided for basic authentication, client: 127.0.0.1"
    for name, field in (
        ("none", "X: y"),
        ("bearer", "Authorization: Bearer x"),
        ("bad", "Authorization: Basic !"),
        ("no-colon", "Authorization: Basic dXNlcg=="),
        ("no-user", authorized("", "x")),
    ):
        yield password(f"basic-{name}", field, 401, no_credentials)
    yield own(
        "basic-off",
        "auth_basic off requires no password.",
        "auth_basic off; auth_basic_user_file x;",
    )
    yield own(
        "basic-no-file",
        "Without auth_basic_user_file no password is required.",
        "auth_basic realm;",
    )
    yield own(
        "basic-missing-file",
        "A missing auth_basic_user_file rejects every request.",
        "auth_basic realm; auth_basic_user_file nosuch;",
        get(authorized("a", "b")),
        status=403,
        logs=('open() "',),
    )
    yield own(
        "basic-variable",
        "The realm may contain variables, and a value of off requires no password.",
        "auth_basic $arg_realm; auth_basic_user_file $document_root/users;",
        KEEP.replace("PATH", "PATH?realm=here") + "\r\n",
        get(path="PATH?realm=off"),
        status=(401, 200),
        logs=(no_credentials,),
    )
    yield own(
        "basic-page",
        "The page of a 401 comes with WWW-Authenticate, even if that page is missing.",
        f"{BASIC} error_page 401 /absent.html;",
        status=404,
        files={"html/users": USERS},
        logs=(no_credentials, 'open() "'),
    )
    yield own(
        "basic-page-found",
        "The page that error_page sends for a 401 comes with WWW-Authenticate.",
        f"{BASIC} error_page 401 /found.html;",
        status=401,
        files={"html/found.html": "please\n", "html/users": USERS},
        logs=(no_credentials,),
    )
    yield own(
        "basic-before-file",
        "The password is checked before the file is opened.",
        BASIC,
        files={},
        status=401,
        logs=(no_credentials,),
    )


def password(name: str, field: str, status: int = 200, *logs: str) -> Scenario:
    return own(
        name,
        "A password in auth_basic_user_file is accepted in every supported format.",
        BASIC,
        get(field),
        status=status,
        logs=logs,
    )


def satisfying() -> Iterator[Scenario]:
    no_credentials = "no user/password was provided for basic authentication"
    good = authorized("plain", "secret")
    for kind in ("any", "all"):
        for rule, allowed in (("allow all;", True), ("deny all;", False), ("", None)):
            for who, field in (("user", good), ("nobody", "X: y")):
                name = f"satisfy-{kind}-{(rule or 'none').partition(' ')[0]}-{who}"
                lets_in = [allowed, who == "user"] if allowed is not None else [who == "user"]
                okay = any(lets_in) if kind == "any" else all(lets_in)
                status = 200 if okay else 401
                logs: tuple[str, ...] = () if who == "user" else (no_credentials,)
                if kind == "all" and allowed is False:
                    status, logs = 403, (FORBIDDEN,)
                if kind == "any" and allowed:
                    logs = ()
                yield own(
                    name,
                    "satisfy all needs all access checks to succeed, satisfy any needs one.",
                    f"satisfy {kind}; {rule} {BASIC}",
                    get(field),
                    status=status,
                    logs=logs,
                )
    yield own(
        "satisfy-any-deny",
        "With satisfy any and no password required, access rules alone decide.",
        "satisfy any; deny all;",
        status=403,
        logs=(FORBIDDEN,),
    )


def methods() -> Iterator[Scenario]:
    for method, allowed in (
        ("GET", True),
        ("HEAD", True),
        ("POST", False),
        ("DELETE", False),
        ("FROBNICATE", False),
    ):
        yield Scenario(
            f"limit-except-{method}",
            "limit_except applies to all methods except those listed.",
            "limit_except get { deny all; }",
            (catalog.PLAIN,),
            proxy_pass=PLAIN,
            requests=(request(method),),
            status=200 if allowed else 403,
            logs=() if allowed else (FORBIDDEN,),
        )
    yield Scenario(
        "limit-except-proxied",
        "limit_except may have a proxy_pass for the limited methods.",
        "limit_except GET { proxy_pass http://PEER2; }",
        (catalog.PLAIN, catalog.PLAIN),
        proxy_pass=PLAIN,
        requests=(KEEP + "\r\n", request("POST", body="x")),
    )
    yield Scenario(
        "limit-except-rewrite",
        "Rewrite directives around limit_except are not executed for limited methods.",
        "limit_except GET { allow all; } return 204;",
        (),
        proxy_pass="none",
        requests=(KEEP + "\r\n", request("POST")),
        status=(204, 404),
        logs=('open() "',),
    )
    yield Scenario(
        "limit-except-basic",
        "limit_except may require a password for the limited methods.",
        f"limit_except GET POST {{ {BASIC} }}",
        (catalog.PLAIN,),
        proxy_pass=PLAIN,
        files={"html/users": USERS},
        requests=(request("PUT", authorized("plain", "secret")),),
    )


def answering(status: str, head: str = "", body: str = "") -> UpstreamSpec:
    text = f"HTTP/1.1 {status}\r\n{head}Content-Length: {len(body)}\r\n\r\n{body}"
    return catalog.fixed_response("said", text.encode())


def answering_a_head(status: str) -> UpstreamSpec:
    """Answers as soon as the head of a request has arrived."""
    answer = f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n"
    return UpstreamSpec(
        "hasty",
        "answers a head",
        tls=None,
        response=Action(),
        script=(Expect("\r\n\r\n"), Send(answer)),
    )


def requests() -> Iterator[Scenario]:
    auth_request = (
        "auth_request PATH/auth; location = PATH/auth { internal; proxy_pass http://PEER2; "
        "proxy_pass_request_body off; proxy_set_header Content-Length ''; "
        "proxy_set_header X-Original-URI $request_uri; }"
    )
    for text, status in (
        ("200 OK", 200),
        ("204 No Content", 200),
        ("401 Unauthorized", 401),
        ("403 Forbidden", 403),
        ("404 Not Found", 500),
        ("302 Found", 500),
        ("500 Oops", 500),
        ("201 Created", 200),
    ):
        unexpected = (
            (f"auth request unexpected status: {text[:3]} while sending",) if status == 500 else ()
        )
        yield Scenario(
            f"request-{text[:3]}",
            "The status of the subrequest decides whether the request is allowed.",
            auth_request,
            (
                catalog.PLAIN,
                answering(text, "WWW-Authenticate: Custom a\r\nX-User: me\r\n", "body"),
            ),
            proxy_pass=PLAIN,
            status=status,
            logs=unexpected,
        )
    yield Scenario(
        "request-set",
        "auth_request_set stores a header of the subrequest's response in a variable.",
        f"{auth_request} auth_request_set $user $upstream_http_x_user; "
        "auth_request_set $code $upstream_status; proxy_set_header X-User $user-$code;",
        (catalog.PLAIN, answering("200 OK", "X-User: me\r\n")),
        proxy_pass=PLAIN,
    )
    yield Scenario(
        "request-post",
        "The request body is sent to the upstream, and not in the subrequest.",
        auth_request,
        (catalog.PLAIN, answering("200 OK")),
        proxy_pass=PLAIN,
        requests=(request("POST", body="hello"),),
    )
    for name, directives in (
        ("default", ""),
        ("no-body", "proxy_pass_request_body off;"),
        ("no-length", "proxy_set_header Content-Length '';"),
    ):
        yield Scenario(
            f"request-post-{name}",
            "The subrequest is a GET without a body, which keeps Content-Length unless removed.",
            "auth_request PATH/auth; location = PATH/auth { internal; proxy_pass http://PEER2; "
            f"{directives} proxy_set_header X-Length $content_length; }}",
            (catalog.PLAIN, answering_a_head("200 OK")),
            proxy_pass=PLAIN,
            requests=(request("POST", body="hello"),),
        )
    yield Scenario(
        "request-post-chunked",
        "A chunked body has no length, so that the subrequest has none either.",
        "auth_request PATH/auth; location = PATH/auth { internal; proxy_pass http://PEER2; }",
        (catalog.PLAIN, answering("200 OK")),
        proxy_pass=PLAIN,
        requests=(
            "POST PATH HTTP/1.1\r\nHost: front.test\r\nConnection: close\r\n"
            "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        ),
    )
    yield Scenario(
        "request-post-too-large",
        "The limit of the subrequest's location counts for a body that it does not have.",
        "auth_request PATH/auth; location = PATH/auth { internal; proxy_pass http://PEER2; "
        "client_max_body_size 1; }",
        (catalog.PLAIN, answering("200 OK")),
        proxy_pass=PLAIN,
        requests=(request("POST", body="hello"),),
        status=500,
        logs=(
            "client intended to send too large body: 5 bytes",
            "auth request unexpected status: 413",
        ),
    )
    yield Scenario(
        "request-down",
        "If the subrequest fails, the request is answered with 500.",
        auth_request,
        (catalog.PLAIN, catalog.ABSENT),
        proxy_pass=PLAIN,
        status=500,
        logs=(catalog.ABSENT.expected_log, "auth request unexpected status: 502"),
    )
    yield Scenario(
        "request-return",
        "The subrequest may be answered by a return.",
        "auth_request PATH/auth; location = PATH/auth { internal; return 403; }",
        (catalog.PLAIN,),
        proxy_pass=PLAIN,
        status=403,
    )
    yield Scenario(
        "request-off",
        "auth_request off makes no subrequest.",
        "auth_request PATH/auth; location = PATH/auth { return 403; } "
        "location PATH/in { auth_request off; proxy_pass http://PEER; }",
        (catalog.PLAIN,),
        proxy_pass="none",
        requests=(get(path="PATH/in"),),
    )
    yield Scenario(
        "request-logged",
        "log_subrequest logs the subrequest in the access log.",
        "log_subrequest on; " + auth_request,
        (catalog.PLAIN, answering("200 OK", "", "body")),
        proxy_pass=PLAIN,
        access_log_lines=2,
    )
    yield Scenario(
        "request-satisfied",
        "With satisfy any, an allowed address needs no subrequest.",
        f"satisfy any; allow all; {auth_request}",
        (catalog.PLAIN, answering("403 Forbidden")),
        proxy_pass=PLAIN,
    )


TABLE = Table("access", (*rules(), *basic(), *satisfying(), *methods(), *requests()))
