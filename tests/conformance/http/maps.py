"""`map`, `geo` and `split_clients`: variables by tables."""

from __future__ import annotations

from collections.abc import Iterator

from tests.conformance.scenario import Scenario, Table, get


def answered(name: str, rule: str, text: str, *requests: str, directives: str = "") -> Scenario:
    """The value of `text` is the answer."""
    return Scenario(
        name,
        rule,
        f'{directives} return 200 "{text}";',
        (),
        proxy_pass="none",
        location="PATH",
        requests=tuple(r.replace("Connection: close\r\n", "") for r in requests[:-1])
        + (requests[-1:] or (get(),)),
    )


def fielded(*values: str) -> tuple[str, ...]:
    return tuple(get(f"X: {value}") for value in values)


def maps() -> Iterator[Scenario]:
    yield answered(
        "exact",
        "a value is found whatever its case, else the default counts",
        "$exact",
        *fielded("a", "A", "b", "", "nosuch", "default", "hostnames", "*.c", ".d", "volatile"),
        get(),
    )
    yield answered("no-default", "without default it is empty", "($bare)", *fielded("a", "b"))
    yield answered(
        "hostnames",
        "hostnames allows wildcards, the longest first, and a dot at the end",
        "$names",
        *fielded(
            "a.test",
            "x.a.test",
            "x.y.a.test",
            "y.a.test",
            "A.TEST.",
            "b.test",
            "x.b.test",
            "c.org",
            "c.com.x",
            "c.",
            "c",
            ".a.test",
            "x.b.test..",
            "c.org.x",
            "d.c.org",
        ),
    )
    yield answered(
        "patterns",
        "regular expressions come after names, in file order; an empty value none",
        "$patterns",
        *fielded("abc", "ABC", "xyz1", "XYZ2", "exact", "", "123", "1234"),
    )
    yield answered(
        "captures",
        "a value may use what the expression has captured",
        "$captures $1 $word",
        *fielded("ab-cd", "12", "none"),
    )
    yield answered(
        "mixed",
        "a map of several variables, whose values are variables in turn",
        "$mixed",
        get("X: a", path="PATH?y=b"),
        get("X: a", path="PATH?y=c"),
        get("X: q"),
    )
    yield answered("included", "lines may stand in a file", "$included", *fielded("i", "j"))
    yield answered(
        "escaped",
        "a backslash takes a word its meaning",
        "$escaped",
        *fielded("default", "~x", "include", "hostnames"),
    )
    yield answered(
        "once",
        "a value is worked out once a request, unless it is volatile",
        "$once $often",
        *fielded("1"),
        directives="set $n a; set $seen $once$often; set $n b;",
    )
    yield answered(
        "set",
        "set changes a variable of a map",
        "$exact",
        *fielded("a"),
        directives="set $exact changed;",
    )
    yield Scenario(
        "condition",
        "a map chooses in an if",
        'if ($exact = "1") { return 404; } return 204;',
        (),
        proxy_pass="none",
        requests=(get("X: a"),),
        status=404,
    )
    yield answered(
        "prefix",
        "a map may define a name of a family of variables",
        "$http_mapped",
        get("X: a", "Mapped: x"),
    )
    yield answered("empty", "an empty map is empty", "[$empty]", *fielded("a"))
    yield answered("chain", "a map of a map", "$chain", *fielded("a", "b"))


def geos() -> Iterator[Scenario]:
    yield answered("geo", "geo goes by the client's address", "$geo")
    yield answered(
        "geo-of",
        "or by that in a variable",
        "$geo_of",
        *fielded(
            "10.1.2.3",
            "10.1.2.99",
            "10.9.9.9",
            "192.0.2.1",
            "::1",
            "2001:db8::1",
            "2001:db8:1::1",
            "::ffff:10.1.2.3",
            "nonsense",
            "",
            "255.255.255.255",
            "010.01.2.3",
            "10.1.2",
        ),
    )
    yield answered(
        "geo-ranges",
        "or by ranges",
        "$geo_ranges",
        *fielded(
            "10.0.0.0",
            "10.0.0.10",
            "10.0.0.20",
            "10.0.0.30",
            "10.1.0.5",
            "10.0.255.255",
            "192.0.2.7",
            "::1",
            "x",
        ),
    )
    for kind in ("geo_proxy", "geo_recursive"):
        yield answered(
            kind.replace("_", "-"),
            "proxies are believed in X-Forwarded-For",
            f"${kind}",
            *(
                get(*(f"X-Forwarded-For: {one}" for one in fields))
                for fields in (
                    ("10.0.0.1",),
                    ("10.0.0.1, 192.0.2.1",),
                    ("10.0.0.1,127.0.0.1",),
                    ("10.0.0.1", "127.0.0.1"),
                    ("10.0.0.1:80",),
                    ("x",),
                    ("x, 127.0.0.1",),
                    (),
                    ("127.0.0.1",),
                    ("10.0.0.1 ,, ",),
                    ("",),
                    ("127.0.0.1, 127.0.0.1",),
                    ("[2001:db8::1]:80",),
                    ("2001:db8::1",),
                )
            ),
        )


def splits() -> Iterator[Scenario]:
    yield answered(
        "split",
        "split_clients shares out by a hash",
        "$split $split_rest",
        *(get(f"X: {'ab' * (n % 5)}{n}") for n in range(30)),
        get(),
    )


MAPS = """
    map $http_x $exact { default other; a 1; B 2; "" none; *.c star; .d dot; }
    map $http_x $bare { a 1; }
    map $http_x $names {
        hostnames;
        default other; a.test exact; *.a.test star; *.y.a.test longer; .b.test dotted;
        c.* tail; c.com.* longtail; d.c.org exact2;
    }
    map $http_x $patterns { default other; ~^a lower; ~*^a caseless; ~*z\\d$ z; exact plain;
        "~^\\d{3}$" three; ~^$ never; }
    map $http_x $captures { ~^(?<word>\\w+)-(\\w+)$ "$2-$word"; ~(\\d)(\\d) $2$1; }
    map $http_x-$arg_y $mixed { default "$uri:$http_x"; a-b "both $arg_y"; }
    map $http_x $included { include *.map.test; i 1; j 2; }
    map $http_x $escaped { \\default d; \\~x tilde; \\include i; default other; }
    map $n $once { default $n; }
    map $n $often { volatile; default $n; }
    map $exact $chain { 1 one; default "not one"; }
    map $http_x $http_mapped { default mapped; }
    map $http_x $empty { }
    geo $geo { default other; 127.0.0.0/8 loop; 127.0.0.1 here; }
    geo $http_x $geo_of { default other; 10.0.0.0/8 ten; 10.1.2.0/24 c; 10.1.2.3 host; ::1 loop;
        2001:db8::/32 doc; 2001:db8:1::/48 doc1; 192.0.2.1 x;
        delete 192.0.2.1; }
    geo $http_x $geo_ranges { ranges; default other; 10.0.0.0-10.1.255.255 big;
        10.0.0.10-10.0.0.20 small; 192.0.2.0-192.0.2.9 doc; }
    geo $geo_proxy { proxy 127.0.0.0/8; default other; 10.0.0.1 ten; 127.0.0.1 here;
        2001:db8::1 doc; }
    geo $geo_recursive { proxy 127.0.0.0/8; proxy_recursive; default other; 10.0.0.1 ten;
        127.0.0.1 here; 2001:db8::1 doc; }
    split_clients $http_x $split { 10% ten; 25.55% quarter; * rest; }
    split_clients "x$http_x" $split_rest { 50% half; .5% little; }
"""

TABLE = Table("maps", (*maps(), *geos(), *splits()), http=MAPS)
