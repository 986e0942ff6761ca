"""`try_files`: what is looked for, what becomes of the path, and the fallback."""

from __future__ import annotations

from collections.abc import Mapping

from sniproxy.testing.upstreams import catalog
from tests.conformance.scenario import Scenario, Table, get, request

SHOW = "location PATH/to { return 200 $uri?$args; }"
HELLO = {"html/NAME/a.txt": "hello\n", "html/NAME/f/index.html": "index\n"}


def tried(
    name: str,
    rule: str,
    directives: str,
    *,
    path: str = "PATH/a.txt",
    sends: str = "",
    location: str = "PATH/",
    files: Mapping[str, str] = HELLO,
    server: str = SHOW,
    status: int | tuple[int, ...] = 200,
    logs: tuple[str, ...] = (),
) -> Scenario:
    return Scenario(
        name,
        rule,
        directives,
        upstreams=(),
        proxy_pass="none",
        location=location,
        server=server,
        files=files,
        requests=(sends or get(path=path),),
        status=status,
        logs=logs,
    )


FILES = (
    tried("file", "a file that is there answers", "try_files $uri =404;"),
    tried("second", "the next one where it is not", "try_files $uri $uri.txt =404;", path="PATH/a"),
    tried(
        "static",
        "a name without variables is put below the root",
        "try_files /there =404;",
        files={"html/there": "x"},
    ),
    tried(
        "no-slash",
        "to the very end of the root's name",
        "try_files there =404;",
        files={"htmlthere": "x"},
    ),
    tried(
        "folder-is-none", "a folder is no file", "try_files $uri =404;", path="PATH/f", status=404
    ),
    tried(
        "folder",
        "a slash at the end asks for a folder",
        "try_files $uri/ $uri =404;",
        path="PATH/f/",
    ),
    tried(
        "folder-no-slash",
        "a folder that is found gets its slash from the handler",
        "try_files $uri $uri/ =404;",
        path="PATH/f",
        status=301,
    ),
    tried("file-is-none", "a file is no folder", "try_files $uri/ =404;", status=404),
    tried(
        "type",
        "the type is that of the name found",
        "types { a/b x; } try_files $uri.x =404;",
        path="PATH/b.txt",
        files={"html/NAME/b.txt.x": "x"},
    ),
    tried("empty", "an empty name is the root", 'try_files "" =404;', status=404),
    tried(
        "loop",
        "a loop of links is logged",
        "try_files $uri =404;",
        path="PATH/l",
        files={"html/NAME/l": "-> l"},
        status=404,
        logs=('stat() "PREFIX/',),
    ),
    tried(
        "below-file",
        "what lies below a file is not there",
        "try_files $uri =404;",
        path="PATH/a.txt/b",
        status=404,
    ),
    tried(
        "long",
        "nor is a name too long",
        "try_files $uri =404;",
        path=f"PATH/{'x' * 300}",
        status=404,
    ),
    tried("head", "HEAD", "try_files $uri =404;", sends=request("HEAD", path="PATH/a.txt")),
    tried(
        "post",
        "a method is no matter",
        "try_files $uri =404;",
        sends=request("POST", path="PATH/a.txt"),
        status=405,
    ),
    tried(
        "last-slash",
        "a slash at the end of the last is part of a path",
        "try_files $uri $uri/ PATH/f/;",
        path="PATH/b",
    ),
)

FALLBACKS = (
    tried(
        "fallback", "the last one is another place", "try_files $uri PATH/to;", path="PATH/b?a=1"
    ),
    tried(
        "fallback-args",
        "its arguments have to be said",
        "try_files $uri PATH/to?x&$args;",
        path="PATH/b?a=1",
    ),
    tried(
        "fallback-variable",
        "it may have variables",
        "try_files /x PATH/to$uri$is_args$args;",
        path="PATH/b?a=1",
    ),
    tried(
        "fallback-self",
        "one that is not there is a cycle",
        "try_files $uri PATH/b;",
        path="PATH/b",
        status=500,
        logs=("rewrite or internal redirection cycle while internally",),
    ),
    tried("fallback-file", "one that is there is not", "try_files $uri PATH/a.txt;", path="PATH/b"),
    tried(
        "named",
        "a named location",
        "try_files $uri @NAME;",
        path="PATH/b?c",
        server="location @NAME { return 200 $uri?$args; }",
    ),
    tried(
        "named-missing",
        "that is not there",
        "try_files $uri @NAME;",
        path="PATH/b",
        status=500,
        logs=('could not find named location "@named-missing"',),
    ),
    tried(
        "named-tries",
        "that tries files itself",
        "try_files $uri @NAME;",
        path="PATH/b",
        files={"r/NAME/b": "x"},
        server="location @NAME { root r; try_files $uri =404; }",
    ),
    tried("code", "a status", "try_files $uri =418;", path="PATH/b", status=418),
    tried("code-403", "with its page", "try_files $uri =403;", path="PATH/b", status=403),
    tried(
        "code-page",
        "or another one",
        "try_files $uri =403; error_page 403 PATH/to;",
        path="PATH/b",
        status=403,
    ),
    tried("code-204", "without content", "try_files $uri =204;", path="PATH/b", status=204),
    tried("code-444", "or silence", "try_files $uri =444;", path="PATH/b", status=0),
    tried(
        "fallback-no-slash",
        "a fallback that is no path leaves all locations",
        "try_files $uri b;",
        path="PATH/x",
        files={"htmlb": "x"},
    ),
)

ALIASES = (
    tried(
        "alias",
        "below an alias the location's name is taken off",
        "alias al/; try_files $uri =404;",
        files={"al/a.txt": "x"},
    ),
    tried(
        "alias-static",
        "but not off a name without variables",
        "alias al/; try_files b.txt =404;",
        files={"al/b.txt": "x"},
    ),
    tried(
        "alias-other",
        "nor off one that does not begin with it",
        "alias al/; try_files $arg_f =404;",
        path="PATH/x?f=b.txt",
        files={"al/b.txt": "x"},
    ),
    tried(
        "alias-fallback",
        "it is taken off the fallback too",
        "alias al/; try_files x $uri/b;",
        path="PATH/to",
        files={},
        server="",
        status=404,
        logs=("open()",),
    ),
    tried(
        "alias-folder",
        "a folder",
        "alias al/; try_files $uri $uri/ =404;",
        path="PATH/f/",
        files={"al/f/index.html": "i"},
    ),
    tried(
        "alias-regex",
        "below an alias of a regular expression the name follows it",
        "alias al/; try_files $1 =404;",
        location="~ ^PATH/(.*)$",
        files={"al/a.txt": "x"},
    ),
    tried(
        "alias-regex-missing",
        "or does not",
        "alias none/; try_files $1 =404;",
        location="~ ^PATH/(.*)$",
        status=404,
    ),
    tried(
        "alias-rewritten",
        "an alias does not go with a path rewritten",
        "alias al/; rewrite ^ /b break; try_files $uri =404;",
        status=500,
        logs=('"alias" cannot be used in location',),
    ),
)

PROXIES = (
    Scenario(
        "proxied",
        "files first, then the upstream",
        "try_files $uri @NAME;",
        (catalog.PLAIN,),
        proxy_pass="none",
        location="PATH/",
        requests=(get(path="PATH/b%20c?d"),),
        server="location @NAME { proxy_pass http://PEER; }",
    ),
    Scenario(
        "proxied-file",
        "a file that is there never gets to it",
        "try_files $uri @NAME;",
        (catalog.PLAIN,),
        proxy_pass="none",
        location="PATH/",
        files=HELLO,
        requests=(get(path="PATH/a.txt"),),
        server="location @NAME { proxy_pass http://PEER; }",
    ),
    Scenario(
        "same-location",
        "a proxy's own location may try files: they change its path",
        "try_files $uri.txt =404;",
        (catalog.PLAIN,),
        proxy_pass="http://PEER/x/",
        location="PATH/",
        files=HELLO,
        requests=(get(path="PATH/a"),),
    ),
    Scenario(
        "same-location-whole",
        "... which a proxy without a path does not look at",
        "try_files $uri.txt =404;",
        (catalog.PLAIN,),
        proxy_pass="http://PEER",
        location="PATH/",
        files=HELLO,
        requests=(get(path="PATH/a"),),
    ),
    tried(
        "in-if",
        "an if in the location leaves try_files out",
        "if ($arg_a) { set $b 1; } try_files /nowhere PATH/to;",
        path="PATH/a.txt?a=1",
    ),
    tried(
        "nested",
        "so does a nested location",
        "try_files /nowhere PATH/to; location PATH/n/ { }",
        path="PATH/n/a",
        files={"html/NAME/n/a": "x"},
    ),
    tried(
        "server",
        "those of the server are for what no location matches",
        "",
        sends=get(path="/elsewhere", host="outside.test"),
        status=418,
    ),
    tried(
        "server-location",
        "... and for nothing else",
        "",
        sends=get(path="/inside/x", host="outside.test"),
        status=404,
        logs=("open()",),
    ),
)

TABLE = Table(
    "trying",
    (*FILES, *FALLBACKS, *ALIASES, *PROXIES),
    http="""
    server {
        listen FRONT;
        server_name outside.test;
        try_files $uri =418;
        location /inside { }
    }""",
)
