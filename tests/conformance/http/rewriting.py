"""The rewrite module: `set`, `if`, `rewrite`, `break`, `return`, and how they work together."""

from __future__ import annotations

from sniproxy.testing.upstreams import catalog
from tests.conformance.scenario import Scenario, Table, get

SHOW = 'return 200 "$uri?$args";'
OTHER = f"location PATH/to {{ {SHOW} }}"


def written(
    name: str,
    rule: str,
    directives: str,
    server: str = OTHER,
    *,
    path: str = "PATH/x",
    fields: tuple[str, ...] = (),
    status: int = 200,
    logs: tuple[str, ...] = (),
) -> Scenario:
    return Scenario(
        name,
        rule,
        directives,
        upstreams=(),
        proxy_pass="none",
        server=server,
        location="PATH/",
        requests=(get(*fields, path=path),),
        status=status,
        logs=logs,
    )


def proxied(name: str, rule: str, directives: str, *, path: str = "PATH/x") -> Scenario:
    """Something that shows in what an upstream gets to see."""
    return Scenario(
        name,
        rule,
        directives,
        (catalog.PLAIN,),
        proxy_pass="http://PEER",
        location="PATH/",
        requests=(get(path=path),),
    )


def when(
    name: str, condition: str, *, path: str = "PATH/x", fields: tuple[str, ...] = ()
) -> Scenario:
    rule = f"if ({condition})"
    return written(
        name,
        rule,
        f"if ({condition}) {{ return 200 yes; }} return 200 no;",
        path=path,
        fields=fields,
    )


SCENARIOS = (
    written("set", "set gives a variable a value", 'set $a 1; set $b "$a-$a"; return 200 $b;'),
    written("set-twice", "the last value counts", "set $a 1; set $a 2; return 200 $a;"),
    written(
        "set-args",
        "set $args changes the arguments",
        "set $args x=1; return 200 $args;",
        path="PATH/x?y",
    ),
    written("set-case", "variables have no case", "set $Abc 1; return 200 $aBC;"),
    written(
        "rewrite",
        "rewrite changes the path and looks for its location",
        "rewrite ^ PATH/to;",
        path="PATH/x?a=1",
    ),
    written(
        "rewrite-last",
        "last does the same at once",
        "rewrite ^ PATH/to last; return 403;",
        path="PATH/x?a=1",
    ),
    written(
        "rewrite-goes-on",
        "without a flag the statements go on",
        "rewrite ^ PATH/to; return 200 $uri;",
    ),
    written(
        "rewrite-twice",
        "rewrites follow each other",
        "rewrite x$ PATH/two; rewrite two$ PATH/to last;",
    ),
    written(
        "rewrite-no-match",
        "a pattern that does not match changes nothing",
        "rewrite ^/y PATH/to last; return 200 $uri;",
    ),
    written(
        "rewrite-break",
        "break stays in the location",
        "rewrite ^ PATH/to break; return 403;",
        status=404,
        logs=("open()",),
    ),
    written(
        "rewrite-captures",
        "captures are $1 to $9",
        "rewrite ^(.*)/(a)(b)?$ PATH/to/$3$2$1 last;",
        path="PATH/a",
    ),
    written(
        "rewrite-named",
        "captures have names",
        "rewrite /(?<who>[a-z]+)$ PATH/to/$who last;",
        path="PATH/abc",
    ),
    written(
        "rewrite-args",
        "new arguments come before the old ones",
        "rewrite ^ PATH/to?new=1 last;",
        path="PATH/x?a=1",
    ),
    written(
        "rewrite-args-dropped",
        "a question mark at the end drops the old ones",
        "rewrite ^ PATH/to? last;",
        path="PATH/x?a=1",
    ),
    written(
        "rewrite-args-replaced",
        "... also behind new ones",
        "rewrite ^ PATH/to?new=1? last;",
        path="PATH/x?a=1",
    ),
    written(
        "rewrite-args-escaped",
        "captures of an escaped path are escaped in arguments",
        "rewrite ^PATH/(.*)$ PATH/to?x=$1 last;",
        path="PATH/a%20b+%26c",
    ),
    written(
        "rewrite-args-plain",
        "... of a plain one they are not",
        "rewrite ^PATH/(.*)$ PATH/to?x=$1 last;",
        path="PATH/a&b",
    ),
    written(
        "rewrite-redirect",
        "redirect is a 302",
        "rewrite ^PATH/(.*)$ PATH/to/$1 redirect;",
        path="PATH/x?a=1",
        status=302,
    ),
    *(
        written(
            f"rewrite-redirect-question-{number}",
            "An escaped question mark ends the path, behind which escapes stay.",
            directive,
            path=path,
            status=302,
        )
        for number, (directive, path) in enumerate(
            (
                ("rewrite ^PATH/(.*)$ PATH/to/$1?$args redirect;", "PATH/x%3Fa^b<c}d?q^<}"),
                ("rewrite ^PATH/(.*)$ PATH/to/$1? redirect;", "PATH/x%3F^<}%7C"),
                ("rewrite ^PATH/(.*)$ PATH/to/$1 redirect;", "PATH/a%20b%3f%5E%7B|?a"),
                ("rewrite ^ PATH/to?a=$arg_a redirect;", "PATH/%3F?a=^<}%3F"),
                ("rewrite ^PATH/(.*)$ PATH/to/$1 redirect;", "PATH/a%5Eb^c%7C"),
            )
        )
    ),
    *(
        written(
            f"empty-args-{number}",
            "An empty query counts as one if a rewrite, a redirect or a fragment leaves it.",
            directives,
            path=path,
        )
        for number, (directives, path) in enumerate(
            (
                ("return 200 $args|$query_string|$is_args;", "PATH/x?"),
                ("add_header X-Args -$args; return 200 a;", "PATH/x?#a"),
                ("add_header X-Args -$args; return 200 a;", "PATH/x#?a"),
                ("rewrite ^ PATH/to?;", "PATH/x?a=1"),
                ("rewrite ^ PATH/to;", "PATH/x"),
                ("set $args ''; add_header X-Args -$args; return 200 a;", "PATH/x?a=1"),
                ("error_page 404 = PATH/to?; return 404;", "PATH/x?a=1"),
                ("error_page 404 = PATH/to; return 404;", "PATH/x?a=1"),
                ("error_page 404 = PATH/to?$args; return 404;", "PATH/x"),
            )
        )
    ),
    written(
        "rewrite-permanent",
        "permanent is a 301",
        "rewrite ^PATH/(.*)$ PATH/to/$1 permanent;",
        status=301,
    ),
    written(
        "rewrite-absolute",
        "so is an address a 302",
        "rewrite ^PATH/(.*)$ http://other.test/$1;",
        path="PATH/x?a=1",
        status=302,
    ),
    written(
        "rewrite-absolute-permanent",
        "... or a 301",
        "rewrite ^PATH/(.*)$ https://other.test/$1 permanent;",
        status=301,
    ),
    written(
        "rewrite-redirect-args",
        "a redirect's own arguments come first",
        "rewrite ^ http://other.test/?b=2;",
        path="PATH/x?a=1",
        status=302,
    ),
    written(
        "rewrite-redirect-escaped",
        "captures of an escaped path are escaped in redirects",
        "rewrite ^PATH/(.*)$ http://other.test/$1;",
        path="PATH/a%20b%2Fc%3Fd%C3%A9",
        status=302,
    ),
    written(
        "rewrite-cycle",
        "a path that is rewritten for ever is a 500",
        "rewrite ^ PATH/x last;",
        status=500,
        logs=("rewrite or internal redirection cycle",),
    ),
    written(
        "break", "break ends the statements", "break; return 403;", status=404, logs=("open()",)
    ),
    written("return-after-set", "return may show what was set", 'set $a "x y"; return 200 "$a";'),
    written(
        "return-before",
        "what stands behind a return is not reached",
        "return 200 first; return 200 second;",
    ),
    when("if-variable", "$arg_a", path="PATH/x?a=1"),
    when("if-zero", "$arg_a", path="PATH/x?a=0"),
    when("if-empty", "$arg_a", path="PATH/x?a="),
    when("if-absent", "$arg_a"),
    when("if-zeros", "$arg_a", path="PATH/x?a=00"),
    when("if-equal", "$arg_a = b", path="PATH/x?a=b"),
    when("if-not-equal", "$arg_a != b", path="PATH/x?a=c"),
    when("if-equal-variable", "$arg_a = $arg_b", path="PATH/x?a=1&b=1"),
    when("if-matches", "$http_user_agent ~ Mo.illa", fields=("User-Agent: Mozilla",)),
    when("if-matches-case", "$http_user_agent ~ mozilla", fields=("User-Agent: Mozilla",)),
    when("if-caseless", "$http_user_agent ~* mozilla", fields=("User-Agent: Mozilla",)),
    when("if-not-matches", "$http_user_agent !~ a", fields=("User-Agent: Mozilla",)),
    when("if-not-caseless", "$http_user_agent !~* A", fields=("User-Agent: Mozilla",)),
    when("if-file", "-f /etc/passwd"),
    when("if-no-file", "!-f /etc/passwd"),
    when("if-directory", "-d /etc"),
    when("if-exists", "-e /etc/nothing"),
    when("if-executable", "-x /bin/sh"),
    when("if-blanks", " $arg_a = b ", path="PATH/x?a=b"),
    written(
        "if-captures",
        "an if's captures hold inside and after it",
        'if ($arg_a ~ "(.)(.)") { set $b $2$1; } return 200 $b$1;',
        path="PATH/x?a=xy",
    ),
    written(
        "if-set",
        "set holds after the if",
        "set $a 1; if ($arg_b) { set $a 2; } return 200 $a;",
        path="PATH/x?b=1",
    ),
    written(
        "if-break",
        "break inside an if ends all",
        "if ($arg_b) { break; } return 403;",
        path="PATH/x?b=1",
        status=404,
        logs=("open()",),
    ),
    written(
        "if-rewrite",
        "a rewrite may stand inside",
        "if ($arg_b) { rewrite ^ PATH/to last; } return 403;",
        path="PATH/x?b=1",
    ),
    written(
        "if-error-page",
        "settings inside count where the condition holds",
        "error_page 403 =201 PATH/to; if ($arg_b) { error_page 403 =202 PATH/to; return 403; }"
        " return 403;",
        path="PATH/x?b=1",
        status=202,
    ),
    written(
        "if-last-counts",
        "of several ifs the last one that holds counts",
        "if ($arg_a) { error_page 403 =201 PATH/to; }"
        " if ($arg_b) { error_page 403 =202 PATH/to; }"
        " return 403;",
        path="PATH/x?a=1&b=1",
        status=202,
    ),
    proxied(
        "proxied-last",
        "a rewritten path goes to the upstream escaped",
        "rewrite ^PATH/(.*)$ /new/$1 break;",
        path="PATH/a%20b%2Fc?q=1",
    ),
    proxied(
        "proxied-set",
        "without a rewrite the client's own target goes on",
        "set $a 1;",
        path="PATH/a%20b?q",
    ),
    proxied("proxied-args", "set $args is seen there", "set $args z=9;", path="PATH/a?q"),
    proxied(
        "proxied-if",
        "proxy_pass holds inside an if",
        "if ($arg_q) { set $x 1; }",
        path="PATH/a?q=1",
    ),
    Scenario(
        "proxied-break-uri",
        "a rewrite that breaks makes the path part of proxy_pass moot",
        "rewrite ^PATH/(.*)$ /new/$1 break;",
        (catalog.PLAIN,),
        proxy_pass="http://PEER/base/",
        location="PATH/",
        requests=(get(path="PATH/a?q=1"),),
    ),
    Scenario(
        "proxied-other",
        "an if may proxy elsewhere",
        "if ($arg_q) { proxy_pass http://PEER2; }",
        (catalog.PLAIN, catalog.PLAIN),
        proxy_pass="http://PEER",
        location="PATH/",
        requests=(get(path="PATH/a?q=1"),),
    ),
)


def unset(
    name: str, rule: str, directives: str, *logs: str, path: str = "PATH/x", server: str = OTHER
) -> Scenario:
    return written(name, rule, directives, server, path=path, logs=logs)


WARNING = 'using uninitialized "later" variable'
LOGGED = (
    unset(
        "unset",
        "A variable that is used before its set is empty, and warned of once.",
        'if ($arg_q) { set $later 1; } return 200 "[$later][$later]";',
        WARNING,
    ),
    unset(
        "unset-after",
        "A variable that was set is not warned of.",
        'set $later ""; return 200 "[$later]";',
    ),
    unset(
        "unset-off",
        "With uninitialized_variable_warn off there is no warning.",
        'uninitialized_variable_warn off; return 200 "[$later]";',
        server="if ($arg_never) { set $later 1; }",
    ),
    unset(
        "unset-in-condition",
        "A condition of if warns, too.",
        "if ($later) { return 200 yes; } return 200 no;",
        WARNING,
    ),
    unset(
        "unset-capture",
        "A named capture that did not match is not warned of.",
        'if ($uri ~ "/(?<named>z+)$") { return 200 yes; } return 200 "[$named]";',
    ),
    unset(
        "unset-redefined",
        "A variable of nginx's keeps its value until it is set.",
        'if ($arg_q) { set $http_x mine; } return 200 "[$http_x]";',
    ),
    unset(
        "redefined",
        "set replaces the value of a variable that may be changed.",
        "set $http_x mine; set $msie set; set $ssl_protocol none; "
        'return 200 "[$http_x][$msie][$ssl_protocol]";',
    ),
    unset(
        "log-match",
        "rewrite_log writes what matched and what it became.",
        "rewrite_log on; rewrite ^PATH/(x)(y?)$ PATH/to/$1 last;",
        '"^/log-match/(x)(y?)$" matches "/log-match/x", client:',
        'rewritten data: "/log-match/to/x", args: "a=b", client:',
        path="PATH/x?a=b",
    ),
    unset(
        "log-no-match",
        "rewrite_log writes what did not match.",
        f"rewrite_log on; rewrite ^/other PATH/to; {SHOW}",
        '"^/other" does not match "/log-no-match/x"',
    ),
    unset(
        "log-args",
        "rewrite_log shows the arguments as they become.",
        f"rewrite_log on; rewrite x$ PATH/y?c=d; rewrite y$ PATH/to? last; {SHOW}",
        '"x$" matches',
        'rewritten data: "/log-args/y", args: "c=d&a=b"',
        '"y$" matches',
        'rewritten data: "/log-args/to", args: ""',
        path="PATH/x?a=b",
    ),
    written(
        "log-redirect",
        "rewrite_log shows redirects.",
        "rewrite_log on; rewrite ^ http://other.test/%41$uri permanent;",
        path="PATH/x?a=b",
        status=301,
        logs=('"^" matches', 'rewritten redirect: "http://other.test/'),
    ),
    unset(
        "log-if",
        "rewrite_log shows the regular expressions of if.",
        f'rewrite_log on; if ($uri ~ ^/log) {{ set $a 1; }} if ($uri !~* "X$") {{ set $a 2; }} '
        f"if ($uri ~ nothing) {{ set $a 3; }} {SHOW}",
        '"^/log" matches "/log-if/x"',
        '"X$" matches "/log-if/x"',
        '"nothing" does not match "/log-if/x"',
    ),
    written(
        "zero-length",
        "A rewrite to an empty URI is an internal error.",
        'rewrite ^ "$arg_none";',
        status=500,
        logs=("the rewritten URI has a zero length",),
    ),
)

TABLE = Table("rewriting", (*SCENARIOS, *LOGGED))
