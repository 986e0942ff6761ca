"""`sniproxy names`: what would be sent, beside what is sent (which tests/conformance shows)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sniproxy.cli import main
from sniproxy.config.lenient import parse_lenient
from sniproxy.diagnose.names import UpstreamNames, upstream_names

SITE = """
events {}
http {
    upstream Back { server 10.0.0.1:443; server 10.0.0.2:443 backup; }
    server {
        listen 127.0.0.1:8080;
        server_name a.test;
        proxy_ssl_trusted_certificate ca.pem;
        %s
    }
}
"""


def names_of(directives: str, host: str | None = None) -> list[UpstreamNames]:
    return upstream_names(parse_lenient("nginx.conf", {"nginx.conf": SITE % directives}), host)


def one(inside: str, target: str = "https://Back", host: str | None = None) -> UpstreamNames:
    (found,) = names_of(f"location / {{ proxy_pass {target}; {inside} }}", host)
    return found


ON = "proxy_ssl_server_name on;"


@pytest.mark.parametrize(
    ("inside", "target", "sent"),
    [
        ("", "https://o.test", "not sent: proxy_ssl_server_name is off"),
        ("proxy_ssl_name x.test;", "https://o.test", "not sent: proxy_ssl_server_name is off"),
        (ON, "https://O.test.:8443", "O.test."),
        (ON, "https://Back", "Back"),
        (ON, "https://10.0.0.1", "not sent: 10.0.0.1 is an address"),
        (ON, "https://[::1]:444", "not sent: [::1] is an address"),
        (f"{ON} proxy_ssl_name x.test:1;", "https://10.0.0.1", "x.test"),
        (f'{ON} proxy_ssl_name "";', "https://o.test", "not sent: the name is empty"),
        (f"{ON} proxy_ssl_name $host;", "https://o.test", "$host"),
        (ON, "https://$host", "$proxy_host"),
    ],
)
def test_the_server_name(inside: str, target: str, sent: str) -> None:
    assert one(inside, target).server_name == sent


@pytest.mark.parametrize(
    ("inside", "target", "sent"),
    [
        (f"{ON} proxy_ssl_name $host;", "https://o.test", "www.a.test"),
        (f"{ON} proxy_ssl_name $http_host;", "https://o.test", "WWW.a.test."),
        (f"{ON} proxy_ssl_name $arg_name;", "https://o.test", "not sent: the name is empty"),
        (ON, "https://$host/x", "www.a.test"),
    ],
)
def test_the_server_name_for_a_host(inside: str, target: str, sent: str) -> None:
    assert one(inside, target, host="WWW.a.test.:8080").server_name == sent


def test_what_is_verified() -> None:
    verified = one("proxy_ssl_verify on; proxy_ssl_verify_depth 3;")
    assert verified.verified == "Back by ca.pem, depth 3"
    assert one("").verified == "not verified"


def test_the_peers_are_those_of_the_group() -> None:
    assert one("").peers == ("10.0.0.1:443", "10.0.0.2:443")
    assert one("", "https://o.test").peers == ("o.test:443",)


def test_who_shares_sessions() -> None:
    found = names_of(
        "location /a { proxy_pass https://o.test; }"
        "location /b { proxy_pass https://O.test:443/x; proxy_ssl_verify on; }"
        "location /c { proxy_pass https://o.test; proxy_ssl_session_reuse off; }"
        "location /d { proxy_pass https://o.test:444; }"
        "location /e { proxy_pass http://o.test; }"
    )
    assert [entry.shares for entry in found] == [("a.test /b",), ("a.test /a",), (), ()]


def test_other_modules_with_tls() -> None:
    found = names_of(
        "location /a { grpc_pass grpcs://o.test:50051; }"
        "location /b { grpc_pass grpcs://o.test:50051; grpc_ssl_server_name on; "
        "grpc_ssl_name svc.test; grpc_ssl_verify on; grpc_ssl_trusted_certificate ca.pem; }"
        "location /c { grpc_pass grpc://o.test:50051; }"
        "location /d { uwsgi_pass suwsgi://app.test:3031; uwsgi_ssl_server_name on; }"
        "location /e { proxy_pass https://o.test; }"
    )
    assert [entry.location for entry in found] == [f"a.test /{name}" for name in "abde"]
    assert [entry.server_name for entry in found] == [
        "not sent: grpc_ssl_server_name is off",
        "svc.test",
        "app.test",
        "not sent: proxy_ssl_server_name is off",
    ]
    assert found[1].verified == "svc.test by ca.pem, depth 1"
    assert found[0].shares == ("a.test /b",)


STREAM = """
events {}
http { upstream g { server other.test:443; }
    server { listen 80; location / { proxy_pass https://g; } } }
stream {
    map $ssl_preread_server_name $origin { a.test one.test:8443; default two.test:8443; }
    upstream g { server one.test:443; server 10.0.0.1:443; }
    proxy_ssl on;
    server { listen 5000; proxy_pass g; }
    server { listen 5001; server_name b.test; proxy_pass g; proxy_ssl_server_name on;
        proxy_ssl_name $ssl_preread_server_name; }
    server { listen 5002; proxy_pass $origin; proxy_ssl_server_name on; proxy_ssl_verify on;
        proxy_ssl_trusted_certificate ca.pem; }
    server { listen 5003; proxy_pass unix:/run/a.sock; proxy_ssl_server_name on; }
    server { listen 5004; proxy_pass one.test:443; proxy_ssl off; }
}
"""


def test_servers_of_stream() -> None:
    parsed = parse_lenient("nginx.conf", {"nginx.conf": STREAM})
    _, *found = upstream_names(parsed)
    labels = ["stream 5000", "stream b.test 5001", "stream 5002", "stream 5003"]
    assert [entry.location for entry in found] == labels
    assert [entry.server_name for entry in found] == [
        "not sent: proxy_ssl_server_name is off",
        "$ssl_preread_server_name",
        "one.test or two.test",
        "unix",
    ]
    assert [entry.peers for entry in found] == [
        ("one.test:443", "10.0.0.1:443"),
        ("one.test:443", "10.0.0.1:443"),
        ("one.test:8443", "two.test:8443"),
        ("unix:/run/a.sock",),
    ]
    assert [entry.shares for entry in found] == [(labels[1],), (labels[0],), (), ()]
    assert found[2].verified.startswith("one.test by ca.pem, depth 1 or two.test by")
    assert upstream_names(parsed, "c.test")[2].server_name == "c.test"


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "site.conf"
    file.write_text(SITE % "location / { proxy_pass https://10.0.0.1; }")
    assert main(["names", str(file)]) == 0
    heading, row = capsys.readouterr().out.splitlines()
    assert heading.split()[:4] == ["LOCATION", "PASSED", "TO", "PEERS"]
    assert "not sent: proxy_ssl_server_name is off" in row
    assert main(["names", "--json", str(file)]) == 0
    assert json.loads(capsys.readouterr().out)[0]["location"] == "a.test /"


def test_the_command_on_what_is_no_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "site.conf"
    file.write_text("events {")
    assert main(["names", str(file)]) == 1
    assert capsys.readouterr().err.startswith("sniproxy: [emerg] unexpected end of file")


def test_what_sniproxy_lacks_is_skipped() -> None:
    (found,) = names_of(
        "geoip_country x.dat; location / { perl main::x; brotli_headers_x a; "
        f"proxy_ssl_protocols TLSv9; {ON} proxy_pass https://o.test; }}"
    )
    assert found.server_name == "o.test"


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("set $up https://b.test; location / { proxy_pass $up; ON }", ["b.test"]),
        ("set $up http://b.test; location / { proxy_pass $up; ON }", []),
        (
            "set $p https; set $s app; set $n 8000;"
            " location / { proxy_pass $p://$s:$n$request_uri; ON }",
            ["app"],
        ),
        (
            "location / { set $n c.test; proxy_pass https://10.0.0.1; proxy_ssl_name $n; ON }",
            ["c.test"],
        ),
        (
            "set $a https://x.test; if ($arg_a) { set $a https://y.test:444; }"
            " location / { proxy_pass $a; ON }",
            ["x.test or y.test"],
        ),
        ("location / { proxy_pass https://$arg_x; ON }", ["$proxy_host"]),
    ],
)
def test_known_values_of_variables(text: str, urls: list[str]) -> None:
    found = names_of(text.replace("ON", ON))
    assert [entry.server_name for entry in found] == urls


def test_known_values_of_a_map() -> None:
    values = "map $host $up { default b.test; c.test c.test:8443; }"
    text = SITE.replace("server {", f"{values} server {{", 1)
    text %= f"location / {{ proxy_pass https://$up; {ON} }}"
    (found,) = upstream_names(parse_lenient("nginx.conf", {"nginx.conf": text}))
    assert found.server_name == "b.test or c.test"
    assert found.peers == ("b.test:443", "c.test:8443")
