"""TOML configurations: the meaning of each form, and errors with their lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from sniproxy import config
from sniproxy.config.model import Config
from sniproxy.config.toml import read_toml
from sniproxy.config.toml_lines import key_lines
from sniproxy.config.tree import BlockEnd, Statement
from sniproxy.models import ConfigError

SITE = """\
error_log = "stderr error"

[[http.server]]
listen = "127.0.0.1:8443 ssl"
server_name = ["7bu.top", "*.7bu.top"]
ssl_certificate = "auto"

[http.server.location."/"]
proxy_pass = "https://203.0.113.240"
proxy_ssl_server_name = true
proxy_ssl_name = "7bu.top"
proxy_set_header = { Host = "$host", X-Forwarded-For = "$proxy_add_x_forwarded_for" }

[http.upstream.backend]
server = ["127.0.0.1:9443 weight=2", "127.0.0.1:9444 backup"]
"""


def toml(text: str) -> Config:
    return config.parse(text, "toml", "site.toml")


def as_nginx(text: str) -> str:
    """The statements of a TOML text in nginx.conf syntax, one per line."""
    lines = []
    for item in read_toml(text.encode().decode("latin-1"), "F"):
        if isinstance(item, Statement):
            end = " {" if item.opens_block else ";"
            lines.append(" ".join([item.name, *map(repr, item.args)]) + end)
        elif isinstance(item, BlockEnd):
            lines.append("}")
    return "\n".join(lines).removesuffix("events {\n}").strip()


def test_site_in_toml_equals_nginx_conf() -> None:
    read = toml(SITE)
    assert read.http is not None
    [server] = read.http.servers
    assert [name.name for output in server.core.server_name for name in output] == [
        "7bu.top",
        "*.7bu.top",
    ]
    assert server.place.line == 3
    [location] = server.default_location.locations
    assert location.proxy.ssl_server_name
    assert [header.name for header in location.proxy.proxy_set_header] == [
        "Host",
        "X-Forwarded-For",
    ]
    assert [peer.weight for peer in read.http.groups["backend"].settings.server] == [2, 1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('pid = "a b"', "pid 'a b';"),
        ("user = \"a 'b c'\"", "user 'a' 'b c';"),
        ('user = ""', "user '';"),
        ("daemon = true", "daemon 'on';"),
        ("daemon = false", "daemon 'off';"),
        ("worker_processes = 2", "worker_processes '2';"),
        ('worker_processes = "auto"', "worker_processes 'auto';"),
        ('env = ["A", "B"]', "env 'A';\nenv 'B';"),
        ('error_log = ["a", "b info"]', "error_log 'a';\nerror_log 'b' 'info';"),
        ("http.server = {listen = 80}", "http {\nserver {\nlisten '80';\n}\n}"),
        (
            "[[http.server]]\nlisten = 80\n[[http.server]]\nlisten = 81",
            "http {\nserver {\nlisten '80';\n}\nserver {\nlisten '81';\n}\n}",
        ),
        (
            '[http.server.location]\n"= /" = {}\n"~ ^/a b{2}$" = {}\n"@x" = {}\n'
            '"/" = {}\n"^~/" = {}',
            "http {\nserver {\nlocation '=' '/' {\n}\nlocation '~' '^/a b{2}$' {\n}\n"
            "location '@x' {\n}\nlocation '/' {\n}\nlocation '^~/' {\n}\n}\n}",
        ),
        (
            'http.access_log = "l main"\nhttp.log_format.main = "a b"',
            "http {\nlog_format 'main' 'a b';\naccess_log 'l' 'main';\n}",
        ),
        (
            'http.proxy_set_header = ["A \\"b c\\"", {B = 1, C = ["x", "y z"]}]',
            "http {\nproxy_set_header 'A' 'b c';\nproxy_set_header 'B' '1';\n"
            "proxy_set_header 'C' 'x';\nproxy_set_header 'C' 'y z';\n}",
        ),
        ("http.access_log = false", "http {\naccess_log 'off';\n}"),
        (
            "[http.types]\n'text/html' = 'html htm'\n'a/b' = ['b', 'c']\ninclude = 'more'",
            "http {\ntypes {\ntext/html 'html' 'htm';\na/b 'b' 'c';\ninclude 'more';\n}\n}",
        ),
        ("[http.server]\n[http]\nsendfile = true", "http {\nsendfile 'on';\nserver {\n}\n}"),
        ('pid = "\xe9"', "pid '\xc3\xa9';"),
        ("events.use = 'epoll'", "events {\nuse 'epoll';\n}"),
    ],
)
def test_value_forms_become_statements(text: str, expected: str) -> None:
    assert as_nginx(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a", "invalid TOML: expected '=' after a key in a key/value pair in site.toml:1"),
        ("\n\na = ", "invalid TOML: invalid value in site.toml:3"),
        ('a = "x', "invalid TOML: unterminated string in site.toml:1"),
        ("a = 1\na = 2", "invalid TOML: cannot overwrite a value in site.toml:2"),
        ("[http", "invalid TOML: expected ']' at the end of a table declaration in site.toml:1"),
        ("a = " + "[" * 20000, "invalid TOML: nested too deeply in site.toml:1"),
        ("\nfoo = 1", 'unknown directive "foo" in site.toml:2'),
        (
            "\n[http.server.location.'/']\nproxy_ssl_nam = 'a'",
            'unknown directive "proxy_ssl_nam", did you mean "proxy_ssl_name"? in site.toml:3',
        ),
        (
            "[htpt.server]",
            'unknown directive "htpt", did you mean "http"? in site.toml:1',
        ),
        ("[http]\nlisten = 80", '"listen" directive is not allowed here in site.toml:2'),
        (
            "[http]\nproxy_ssl_verify = 1",
            'invalid type of "proxy_ssl_verify": a number instead of true or false in site.toml:2',
        ),
        (
            "[http]\nproxy_ssl_verify = {}",
            'invalid type of "proxy_ssl_verify": a table instead of true or false in site.toml:2',
        ),
        (
            "[http]\nproxy_ssl_verify = 'maybe'",
            'invalid value "maybe" in "proxy_ssl_verify" directive, it must be "on" or "off" '
            "in site.toml:2",
        ),
        (
            "[http.server]\nlisten = [\n80,\ntrue]",
            'invalid type of "listen": a boolean instead of a string or a list in site.toml:4',
        ),
        (
            "[http.server]\nlisten = [[80]]",
            'invalid type of "listen": a list instead of a string or a list in site.toml:2',
        ),
        (
            "pid = 2020-01-01",
            'invalid type of "pid": a date or time instead of a string or a list in site.toml:1',
        ),
        ("http = 1", 'invalid type of "http": a number instead of a table in site.toml:1'),
        (
            "[http]\nupstream = 'a'",
            'invalid type of "upstream": a string instead of a table of tables by name '
            "in site.toml:2",
        ),
        (
            "http.server = [1]",
            'invalid type of "server": a number instead of a table in site.toml:1',
        ),
        (
            "[http.server]\nreturn = {a = 1}",
            'invalid type of "return": a table instead of a string or a list in site.toml:2',
        ),
        (
            "user = 'a; b'",
            'invalid value "a; b" of "user": unbalanced quotes, or an unquoted '
            "character that ends a directive in site.toml:1",
        ),
        ("user = 'a b c'", 'invalid number of arguments in "user" directive in site.toml:1'),
        ("daemon = [true, true]", '"daemon" directive is duplicate in site.toml:1'),
        ("[http.upstream.a]", "no servers are inside upstream in site.toml:1"),
        (
            "[http.server]\nlocation.'/a'.location.'/b' = {}",
            'location "/b" is outside location "/a" in site.toml:2',
        ),
        (
            "[http.server]\nrules = ['set $a b']",
            '"rules" is not supported by sniproxy yet in site.toml:2',
        ),
        (
            "[mail]\nserver = 1",
            '"mail" directive is not supported by sniproxy: mail protocols are not proxied '
            "in site.toml:1",
        ),
        (
            "[http.server]\nlisten = '8443 ssl'",
            'no "ssl_certificate" is defined for the "listen ... ssl" directive in site.toml:1',
        ),
        ("events = [{}, {}]", '"events" directive is duplicate in site.toml:1'),
        (
            "include = '/nowhere'",
            'open() "/nowhere" failed (2: No such file or directory) in site.toml:1',
        ),
    ],
)
def test_invalid_toml_is_an_error_with_its_line(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        toml(text)
    assert str(caught.value) == message


def test_invalid_utf_8_is_an_error_with_its_line() -> None:
    with pytest.raises(ConfigError) as caught:
        config.parse(b"a = 1\nb = '\xff'", "toml", "site.toml")
    assert str(caught.value) == "invalid UTF-8 in site.toml:2"


def test_toml_and_nginx_conf_include_each_other(tmp_path: Path) -> None:
    (tmp_path / "main.toml").write_text('[http]\ninclude = ["a.toml", "b.conf"]')
    (tmp_path / "a.toml").write_text("[[server]]\nlisten = 8001")
    (tmp_path / "b.conf").write_text("server { listen 8002; }")
    read = config.load(tmp_path / "main.toml")
    assert read.http is not None
    assert [server.core.listen[0].address.port for server in read.http.servers] == [8001, 8002]
    assert [Path(name).name for name, _ in read.sources] == ["main.toml", "a.toml", "b.conf"]


def test_key_lines() -> None:
    lines = key_lines(
        'a = """\n x = 1\n"""  # y = 2\nb.c = [\n  1, # ]\n  {d = "}",\n e = 2}]\n'
        "[t.'u.v']\nw = '''\n'''''\n\"\\u0078\" = 1979-05-27 07:32:00\n"
        "[[l]]\nm = 1\n[[l]]\nm = 1.5\n[l.n]\no = 1\n"
    )
    assert [lines.child(key).line for key in "abtl"] == [1, 4, 8, 12]
    in_list = lines.child("b").child("c")
    assert [in_list.child(0).line, in_list.child(1).line, in_list.child(1).child("e").line] == [
        5,
        6,
        7,
    ]
    assert [lines.child("t").child("u.v").child(key).line for key in "wx"] == [9, 11]
    tables = lines.child("l")
    assert [tables.child(0).child("m").line, tables.child(1).child("m").line] == [13, 15]
    assert tables.child(1).child("n").child("o").line == 17
