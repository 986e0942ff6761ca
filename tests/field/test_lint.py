"""What `diagnose -c` finds in configurations from bug reports, and what --fix makes of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from sniproxy import config
from sniproxy.diagnose.config_file import new_error
from sniproxy.testing.upstreams.catalog import ALL
from tests.diagnose.conftest import Diagnose, RunUpstreams

PROXY_MANAGER = """
    server {
        listen 80; server_name a.test;
        set $forward_scheme http; set $server "app"; set $port 8000;
        location / { proxy_pass $forward_scheme://$server:$port$request_uri; }
    }
"""

NOTHING_TO_SAY = {
    "proxy manager": PROXY_MANAGER,
    "set of a whole URL": """
        server { listen 80; set $up http://app:8000; location / { proxy_pass $up; } }
    """,
    "set in the location": """
        server { listen 80; location / { set $proto "http"; proxy_pass $proto://app; } }
    """,
    "set by another variable": """
        server { listen 80; location / {
            set $proto http; set $url $proto://app; proxy_pass $url; } }
    """,
    "braces": "server { listen 80; set $p http; location / { proxy_pass ${p}://app; } }",
    "map with http only": """
        map $host $up { default http://a.test; b.test http://b.test:81; }
        server { listen 80; location / { proxy_pass $up; } }
    """,
    "$scheme of a plain listener": "server { listen 80; location / { proxy_pass $scheme://app; } }",
    "no listen at all": "server { location / { proxy_pass $scheme://app; } }",
}
NEEDS_SNI = {
    "proxy manager, https": PROXY_MANAGER.replace("http;", "https;"),
    "map with one https": """
        map $host $up { default http://a.test; b.test https://b.test; }
        server { listen 80; location / { proxy_pass $up; } }
    """,
    "set in an if": """
        server { listen 80; set $p http; if ($arg_tls) { set $p https; }
                 location / { proxy_pass $p://app; } }
    """,
    "unknown": "server { listen 80; location / { proxy_pass $arg_up; } }",
    "in an if": """
        server { listen 80; location / {
            if ($arg_a) { proxy_pass https://a.test; }
            return 404; } }
    """,
    "in limit_except": """
        server { listen 80; location / {
            limit_except GET { proxy_pass https://a.test; }
            return 404; } }
    """,
}


def written(directory: Path, http: str) -> Path:
    file = directory / "nginx.conf"
    file.write_text(f"events {{}}\nhttp {{\nresolver 127.0.0.1;\n{http}\n}}\n")
    return file


@pytest.mark.parametrize("name", NOTHING_TO_SAY)
def test_plain_http_needs_nothing(name: str, tmp_path: Path, diagnose: Diagnose) -> None:
    file = written(tmp_path, NOTHING_TO_SAY[name])
    before = file.read_text()
    output = diagnose("-c", str(file), "--offline", "--fix")
    assert (output.status, file.read_text()) == (0, before), output.text


@pytest.mark.parametrize("name", NEEDS_SNI)
def test_a_fixed_file_passes_the_reader(name: str, tmp_path: Path, diagnose: Diagnose) -> None:
    file = written(tmp_path, NEEDS_SNI[name])
    output = diagnose("-c", str(file), "--offline", "--fix")
    assert output.status == 3, output.text
    assert "proxy_ssl_server_name on;" in file.read_text()
    config.load(file)
    assert diagnose("-c", str(file), "--offline").status == 0


def test_listen_443_without_ssl(tmp_path: Path, diagnose: Diagnose) -> None:
    file = written(
        tmp_path,
        "server { listen 443; server_name a.test; ssl_certificate a.pem; ssl_certificate_key a.key;"
        "\nssl_protocols TLSv1.2;\nlocation / { proxy_pass https://b.test; "
        "proxy_ssl_server_name on; } }",
    )
    output = diagnose("-c", str(file), "--offline", "--fix")
    text = file.read_text()
    assert output.status == 3
    assert "listen 443 ssl;" in text
    assert "proxy_ssl_certificate" not in text
    assert "proxy_ssl_protocols" not in text
    config.load(file)


def test_the_reader_of_t_judges_what_would_be_written(tmp_path: Path) -> None:
    """A new error stops --fix; one that was there before does not."""
    location = "location / {{ proxy_pass https://a.test; {} }}"
    file = written(tmp_path, f"server {{ {location.format('')} }}")
    name, text = str(file), file.read_text()
    in_an_if = location.format("if ($arg_a) { proxy_ssl_server_name on; }")
    bad = text.replace(location.format(""), in_an_if)
    good = text.replace(location.format(""), location.format("proxy_ssl_server_name on;"))
    assert new_error(name, {name: good}) == ""
    assert "not allowed here" in new_error(name, {name: bad})
    file.write_text(bad)
    assert new_error(name, {name: bad}) == ""


OTHER_MODULES = {
    "grpc": ("http", "server { listen 80; location / { grpc_pass grpcs://a.test:443; } }", 3),
    "grpc to an address": ("http", "server { location / { grpc_pass grpcs://10.0.0.1:443; } }", 4),
    "grpc with SNI": (
        "http",
        "server { grpc_ssl_server_name on; location / { grpc_pass grpcs://a.test:443; } }",
        0,
    ),
    "uwsgi": ("http", "server { location / { uwsgi_pass suwsgi://a.test:443; } }", 3),
    "uwsgi with SNI": (
        "http",
        "server { uwsgi_ssl_server_name on; location / { uwsgi_pass suwsgi://a.test:443; } }",
        0,
    ),
    "grpc without TLS": ("http", "server { location / { grpc_pass grpc://a.test:80; } }", 0),
    "stream": ("stream", "server { listen 1; proxy_pass a.test:443; proxy_ssl on; }", 3),
    "stream to a group": (
        "stream",
        "upstream g { server a.test:443; } server { listen 1; proxy_pass g; proxy_ssl on; }",
        3,
    ),
    "stream without TLS": ("stream", "server { listen 1; proxy_pass a.test:443; }", 0),
}


@pytest.mark.parametrize("name", OTHER_MODULES)
def test_other_modules(name: str, tmp_path: Path, diagnose: Diagnose) -> None:
    block, text, status = OTHER_MODULES[name]
    file = tmp_path / "nginx.conf"
    file.write_text(f"events {{}}\n{block} {{\n{text}\n}}\n")
    output = diagnose("-c", str(file), "--offline", "--fix")
    assert output.status == status, output.text
    assert ("sends no SNI" in output.text) == bool(status)
    if status == 3:
        assert diagnose("-c", str(file), "--offline").status == 0


def test_two_hosts_of_one_group_are_judged_as_they_are(tmp_path: Path, diagnose: Diagnose) -> None:
    locations = "".join(
        f"location /{one}/ {{ proxy_pass https://g; proxy_set_header Host {one}.test; }} "
        for one in "ab"
    )
    file = written(
        tmp_path, f"upstream g {{ server 10.0.0.1:443; keepalive 4; }} server {{ {locations} }}"
    )
    output = diagnose("-c", str(file), "--offline")
    assert output.status == 3, output.text
    assert "after the changes proposed here" in output.text


def test_plain_http_is_written_only_when_queried_for(
    tmp_path: Path, diagnose: Diagnose, run_upstreams: RunUpstreams
) -> None:
    with run_upstreams(ALL["plain-http"]) as (peer,):
        url = f"https://127.0.0.1:{peer.port}"
        file = written(tmp_path, f"server {{ location / {{ proxy_pass {url}; }} }}")
        before = file.read_text()
        output = diagnose("-c", str(file), "--fix")
        assert (output.status, file.read_text()) == (4, before), output.text
        assert "gives up encryption" in output.text
        output = diagnose("-c", str(file), "--fix", "--allow-insecure")
        assert output.status == 3
        assert f"proxy_pass http://127.0.0.1:{peer.port};" in file.read_text()
        output = diagnose(f"{url}/")
        assert "# This gives up encryption" in output.text
