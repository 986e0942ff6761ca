"""Static files: `root`, `alias`, `index`, `types`, and what the static handler answers."""

from __future__ import annotations

from tests.conformance.scenario import Scenario, Table, get, request

HELLO = {"html/NAME/a.txt": "hello\n"}
SECRET = "/proc/sys/vm/compact_memory"
"""A file that nobody may read, root neither."""


def served(
    name: str,
    rule: str,
    directives: str = "",
    *sends: str,
    files: dict[str, str] | None = None,
    path: str = "PATH/a.txt",
    location: str = "PATH/",
    server: str = "",
    status: int | tuple[int, ...] = 200,
    logs: tuple[str, ...] = (),
) -> Scenario:
    """A location of files."""
    return Scenario(
        name,
        rule,
        directives,
        upstreams=(),
        proxy_pass="none",
        location=location,
        server=server,
        files=HELLO if files is None else files,
        requests=sends or (get(path=path),),
        status=status,
        logs=logs,
    )


def missing(name: str, rule: str, path: str = "PATH/b") -> Scenario:
    return served(name, rule, path=path, status=404, logs=('open() "PREFIX/',))


SERVING = (
    served("file", "the default root is html below the prefix"),
    served("head", "HEAD has the head alone", "", request("HEAD", path="PATH/a.txt")),
    served("old", "HTTP/1.0 too", "", "GET PATH/a.txt HTTP/1.0\r\n\r\n"),
    served("oldest", "HTTP/0.9 has the body alone", "", "GET PATH/a.txt\r\n", status=0),
    served("empty", "a file may be empty", files={"html/NAME/a.txt": ""}),
    served("blocks", "a file of several blocks", files={"html/NAME/a.txt": "0123456789" * 10_000}),
    served(
        "kept",
        "several on one connection",
        "",
        "GET PATH/a.txt HTTP/1.1\r\nHost: a\r\n\r\n",
        get(path="PATH/a.txt"),
        status=(200, 200),
    ),
    served(
        "body",
        "a body that nobody wants is read over",
        "",
        "GET PATH/a.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        get(path="PATH/a.txt"),
        status=(200, 200),
    ),
    served(
        "escaped",
        "the name is what the path decodes to",
        path="PATH/a%20b%3F.txt",
        files={"html/NAME/a b?.txt": "x"},
    ),
    served(
        "bytes", "in whatever bytes", path="PATH/%ff%e9.txt", files={"html/NAME/\xff\xe9.txt": "x"}
    ),
    served("query", "the query is no part of it", path="PATH/a.txt?b"),
    served("dots", "dots are resolved before", path="PATH/../NAME/./a.txt"),
    served(
        "link",
        "links are followed",
        path="PATH/l",
        files={"html/NAME/a.txt": "x", "html/NAME/l": "-> a.txt"},
    ),
    served(
        "link-outside",
        "out of the root too",
        path="PATH/l",
        files={"other/NAME": "x", "html/NAME/l": "-> ../../other/NAME"},
    ),
    served("outside", "where no location matches the server's root counts", location="PATH/x/"),
    missing("missing", "what is not there is a 404, and a line"),
    missing("missing-below", "below a file as well", path="PATH/a.txt/b"),
    missing("missing-long", "and with a name too long", path="PATH/" + "x" * 300),
    served(
        "missing-quiet",
        "log_not_found off leaves the line out",
        "log_not_found off;",
        path="PATH/b",
        status=404,
    ),
    served(
        "loop",
        "a loop of links is a 403",
        path="PATH/l",
        status=403,
        files={"html/NAME/l": "-> l"},
        logs=('open() "PREFIX/',),
    ),
    served(
        "forbidden",
        "so is a file that may not be read",
        path="PATH/l",
        status=403,
        files={"html/NAME/l": f"-> {SECRET}"},
        logs=('open() "PREFIX/',),
    ),
    served(
        "device",
        "what is no file is not there",
        path="PATH/l",
        status=404,
        files={"html/NAME/l": "-> /dev/null"},
        logs=('"PREFIX/html/device/l" is not a reg',),
    ),
    served(
        "post", "POST is refused", "", request("POST", path="PATH/a.txt", body="abc"), status=405
    ),
    served(
        "post-missing",
        "... if the file is there",
        "",
        request("POST", path="PATH/b"),
        status=404,
        logs=('open() "PREFIX/',),
    ),
    served("put", "other methods always", "", request("PUT", path="PATH/b"), status=405),
    served(
        "options", "all of them, for folders too", "", request("OPTIONS", path="PATH/"), status=405
    ),
    served(
        "folder",
        "a folder without its slash is a redirect",
        path="PATH/f?a=b",
        status=301,
        files={"html/NAME/f/": ""},
    ),
    served(
        "folder-post",
        "for POST as well",
        "",
        request("POST", path="PATH/f"),
        status=301,
        files={"html/NAME/f/": ""},
    ),
    served(
        "folder-escaped",
        "its name is escaped again",
        path="PATH/a%20b%3f",
        status=301,
        files={"html/NAME/a b?/": ""},
    ),
)

ROOTS = (
    served("root", "root is put before the path", "root r;", files={"r/NAME/a.txt": "x"}),
    served(
        "root-slash",
        "its slash at the end makes no difference",
        "root r/;",
        path="PATH/b",
        status=404,
        logs=('open() "PREFIX/r/root-slash/b" failed',),
    ),
    served(
        "root-top",
        "root /",
        "root /;",
        path="PATH/b",
        status=404,
        logs=('open() "/root-top/b" failed',),
    ),
    served(
        "root-variable",
        "root may have variables",
        "root r/$arg_r;",
        path="PATH/a.txt?r=s",
        files={"r/s/NAME/a.txt": "x"},
    ),
    served(
        "root-variable-first",
        "and begin with one",
        "root $arg_r;",
        path="PATH/a.txt?r=s",
        files={"s/NAME/a.txt": "x"},
    ),
    served(
        "root-if",
        "an if may have another",
        "root r; if ($arg_a) { root s; }",
        path="PATH/a.txt?a=1",
        files={"s/NAME/a.txt": "x"},
    ),
    served(
        "root-nested",
        "a nested location has the root of the one around",
        "root r; location PATH/n/ { }",
        path="PATH/n/a",
        files={"r/NAME/n/a": "x"},
    ),
    served(
        "alias",
        "alias takes the place of the location's name",
        "alias al/;",
        files={"al/a.txt": "x"},
    ),
    served(
        "alias-no-slash",
        "whether they end in slashes or not",
        "alias al-;",
        files={"al-a.txt": "x"},
    ),
    served(
        "alias-exact",
        "it may be a file",
        "alias al/b.txt;",
        location="= PATH/x",
        path="PATH/x",
        files={"al/b.txt": "x"},
    ),
    served(
        "alias-regex",
        "in a regular expression it is the whole name",
        "alias al/$1;",
        location="~ ^PATH/(.*)$",
        files={"al/a.txt": "x"},
    ),
    served(
        "alias-nested",
        "a nested location takes it over as it is",
        "alias al/; location PATH/n/ { }",
        path="PATH/n/a",
        files={"al/n/a": "x"},
    ),
    served(
        "alias-nested-root",
        "... or has a root again",
        "alias al/; location PATH/n/ { root r; }",
        path="PATH/n/a",
        files={"r/NAME/n/a": "x"},
    ),
    served(
        "alias-rewritten",
        "alias does not go with a path rewritten",
        "alias al/; rewrite ^ /b break;",
        status=500,
        logs=('"alias" cannot be used in',),
    ),
    served(
        "alias-folder",
        "a folder below an alias",
        "alias al/;",
        path="PATH/f",
        status=301,
        files={"al/f/": ""},
    ),
    served(
        "document-root", "$document_root is what root says", "root /r; return 200 $document_root;"
    ),
    served("document-root-alias", "or alias", "alias /r/; return 200 $document_root;"),
    served(
        "request-filename",
        "$request_filename is the file",
        "root /r; return 200 $request_filename;",
    ),
    served(
        "request-filename-alias", "below an alias too", "alias /r/; return 200 $request_filename;"
    ),
    served(
        "request-filename-regex",
        "and in a regular expression",
        "alias /r/$1x; return 200 $request_filename;",
        location="~ ^PATH/(.*)$",
    ),
    served(
        "realpath-root",
        "$realpath_root has no links and dots",
        "root /proc/../dev/; return 200 $realpath_root;",
    ),
    served("if-file", "if may ask for the file", "if (-f $request_filename) { return 200 yes; }"),
)

INDEXES = (
    served(
        "index", "a folder is its index.html", path="PATH/", files={"html/NAME/index.html": "i"}
    ),
    served(
        "index-head",
        "HEAD too",
        "",
        request("HEAD", path="PATH/"),
        files={"html/NAME/index.html": "i"},
    ),
    served(
        "index-post",
        "POST finds it and is refused",
        "",
        request("POST", path="PATH/"),
        files={"html/NAME/index.html": "i"},
        status=405,
    ),
    served("index-named", "index says which file", "index a.txt;", path="PATH/"),
    served("index-several", "the first that is there", "index x y a.txt;", path="PATH/"),
    served("index-twice", "said in several lines", "index x; index a.txt;", path="PATH/"),
    served("index-variable", "with variables", "index $arg_i.txt;", path="PATH/?i=a"),
    served(
        "index-below", "below the folder", "index b/c;", path="PATH/", files={"html/NAME/b/c": "x"}
    ),
    served(
        "index-folder",
        "a folder found as index gets its slash",
        "index b;",
        path="PATH/",
        files={"html/NAME/b/": ""},
        status=301,
    ),
    served(
        "index-absolute",
        "a path is another place",
        "index x /there;",
        path="PATH/?a",
        server="location = /there { return 200 $uri?$args; }",
    ),
    served(
        "index-redirected",
        "the index file is looked for anew",
        "index a.txt;",
        path="PATH/?a",
        server="location = PATH/a.txt { return 200 $uri?$args; }",
    ),
    served(
        "index-proxied",
        "so it may come from elsewhere",
        "index a.php;",
        path="PATH/",
        files={"html/NAME/a.php": ""},
        server="location ~ PATH/.*php$ { return 200 php; }",
    ),
    served(
        "index-none",
        "a folder without one is forbidden",
        path="PATH/",
        status=403,
        logs=('directory index of "PREFIX/html/index-none/" is forbidden',),
    ),
    served(
        "index-missing",
        "a folder that is not there is a 404",
        path="PATH/f/",
        status=404,
        logs=('"PREFIX/html/index-missing/f/index.html" is not found',),
    ),
    served(
        "index-missing-quiet", "log_not_found off", "log_not_found off;", path="PATH/f/", status=404
    ),
    served(
        "index-in-file",
        "a file is no folder",
        path="PATH/a.txt/",
        status=404,
        logs=('"PREFIX/html/index-in-file/a.txt/index.html" is not found',),
    ),
    served(
        "index-long",
        "a name too long is not there",
        path=f"PATH/{'x' * 300}/",
        status=404,
        logs=('"PREFIX/html/index-long/xxx',),
    ),
    served(
        "index-loop",
        "a loop is forbidden",
        path="PATH/",
        status=403,
        files={"html/NAME/index.html": "-> index.html"},
    ),
    served(
        "index-loop-folder",
        "of the folder too",
        path="PATH/l/",
        status=403,
        files={"html/NAME/l": "-> l"},
    ),
    served(
        "index-alias", "below an alias", "alias al/;", path="PATH/", files={"al/index.html": "i"}
    ),
    served(
        "index-alias-no-slash",
        "whose end it is put to",
        "alias al-;",
        path="PATH/",
        files={"al-index.html": "i"},
    ),
    served(
        "index-alias-file",
        "an alias that is a file is no folder",
        "alias al-file;",
        path="PATH/",
        files={"al-file": "x"},
        status=500,
        logs=('"PREFIX/al-fileindex.html" is not a directory',),
    ),
    served(
        "index-alias-regex",
        "in a regular expression the name is put to the alias",
        "alias al/$1; index a.txt;",
        location="~ ^PATH/(.*/)$",
        path="PATH/f/",
        files={"al/f/a.txt": "x", "html/NAME/f/a.txt": "y"},
    ),
    served(
        "index-cycle",
        "an index that leads back is a cycle",
        "index /NAME/;",
        path="PATH/",
        status=500,
        logs=("rewrite or internal redirection cycle while internally",),
    ),
)

TYPES = (
    served(
        "type-html",
        "without types html is known",
        path="PATH/a.html",
        files={"html/NAME/a.html": "x"},
    ),
    served("type-gif", "and gif", path="PATH/a.GIF", files={"html/NAME/a.GIF": "x"}),
    served("type-jpg", "and jpg", path="PATH/a.jpg", files={"html/NAME/a.jpg": "x"}),
    served(
        "type-default", "all else is text/plain", path="PATH/a.css", files={"html/NAME/a.css": "x"}
    ),
    served("type-default-type", "or what default_type says", "default_type x/y;"),
    served("type-none", "which may be nothing", 'default_type "";'),
    served("types", "types says it by endings", "types { a/b txt c; d/e F; }"),
    served("types-case", "in any case", "types { a/b TXT; }"),
    served(
        "types-replaced",
        "then html is not known any more",
        "types { a/b txt; }",
        path="PATH/a.html",
        files={"html/NAME/a.html": "x"},
    ),
    served("types-empty", "no types at all", "types { } default_type a/b;"),
    served(
        "types-several",
        "several add up, the last for an ending counts",
        "types { a/b txt; } types { c/d txt x; }",
    ),
    served(
        "types-nested",
        "a location inside has them too",
        "types { a/b txt; } location PATH/n/ { }",
        path="PATH/n/a.txt",
        files={"html/NAME/n/a.txt": "x"},
    ),
    served(
        "types-nested-own",
        "unless it has its own",
        "types { a/b txt; } location PATH/n/ { types { c/d x; } }",
        path="PATH/n/a.txt",
        files={"html/NAME/n/a.txt": "x"},
    ),
    served(
        "type-dots",
        "the last ending counts",
        "types { a/b gz; }",
        path="PATH/a.tar.gz",
        files={"html/NAME/a.tar.gz": "x"},
    ),
    served(
        "type-hidden",
        "a hidden file has none",
        "types { a/b txt; }",
        path="PATH/.txt",
        files={"html/NAME/.txt": "x"},
    ),
    served(
        "type-return",
        "a text of return has the type of the path",
        "return 200 x;",
        path="PATH/a.html",
    ),
    served("type-return-default", "or the default type", "default_type a/b; return 200 x;"),
    served(
        "type-index", "an index file has its own", path="PATH/", files={"html/NAME/index.html": "i"}
    ),
)

REDIRECTS = (
    served(
        "relative",
        "absolute_redirect off leaves the redirect as it is",
        "absolute_redirect off;",
        path="PATH/f?a",
        status=301,
        files={"html/NAME/f/": ""},
    ),
    served(
        "relative-return", "that of return too", "absolute_redirect off; return 302 /x;", status=302
    ),
    served("absolute-return", "another host is left alone", "return 302 http://a/x;", status=302),
    served(
        "server-name",
        "server_name_in_redirect",
        "server_name_in_redirect on;",
        "GET PATH/f HTTP/1.1\r\nHost: other.test\r\nConnection: close\r\n\r\n",
        status=301,
        files={"html/NAME/f/": ""},
    ),
    served(
        "no-port",
        "port_in_redirect off",
        "port_in_redirect off;",
        path="PATH/f",
        status=301,
        files={"html/NAME/f/": ""},
    ),
    served(
        "no-host",
        "without a Host the address is the host",
        "",
        "GET PATH/f HTTP/1.0\r\n\r\n",
        status=301,
        files={"html/NAME/f/": ""},
    ),
    served(
        "padding",
        "error pages are padded for some browsers",
        "return 404;",
        get("User-Agent: Chrome/1", path="PATH/a.txt"),
        status=404,
    ),
    served(
        "padding-off",
        "unless msie_padding is off",
        "msie_padding off; return 404;",
        get("User-Agent: Chrome/1", path="PATH/a.txt"),
        status=404,
    ),
)

PAGES = (
    served(
        "page",
        "a file may be the page of an error",
        "error_page 404 PATH/404.html;",
        path="PATH/b",
        files={"html/NAME/404.html": "not here"},
        status=404,
        logs=('open() "PREFIX/html/page/b" failed',),
    ),
    served(
        "page-range",
        "of which no parts can be had",
        "error_page 404 PATH/404.html;",
        get("Range: bytes=0-1", "If-None-Match: *", path="PATH/b"),
        files={"html/NAME/404.html": "not here"},
        status=404,
        logs=("open()",),
    ),
    served(
        "page-status",
        "... unless it is a 200",
        "error_page 404 =200 PATH/404.html;",
        get("Range: bytes=0-1", path="PATH/b"),
        files={"html/NAME/404.html": "not here"},
        status=206,
        logs=("open()",),
    ),
    served(
        "page-missing",
        "a page that is not there",
        "error_page 404 PATH/404.html;",
        path="PATH/b",
        status=404,
        logs=("open()", "open()"),
    ),
    served(
        "page-named",
        "or a named location serves it",
        "error_page 404 @NAME;",
        path="PATH/b",
        server="location @NAME { root r; }",
        files={"r/NAME/b": "x"},
        status=404,
        logs=("open()",),
    ),
    Scenario(
        "page-of-upstream",
        "behind a proxy",
        "error_page 502 /502.html;",
        (),
        proxy_pass="http://127.0.0.1:1",
        server="location = /502.html { root r; }",
        files={"r/502.html": "sorry"},
        status=502,
        logs=("connect() failed",),
    ),
)

TABLE = Table("files", (*SERVING, *ROOTS, *INDEXES, *TYPES, *REDIRECTS, *PAGES))
