"""Upstreams on UNIX sockets, compared with nginx: names, URIs, log lines, groups."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sniproxy.testing.upstreams.certificates import ensure_certificates
from tests.compare_nginx import NginxPair, get, paired_with_nginx, served
from tests.conformance.observation import error_lines
from tests.nginx import NGINX

ECHO = "SNI '$ssl_server_name', Host $http_host, $request_uri"

LOCATIONS = {
    "plain": "proxy_pass http://unix:ROOM/plain.sock;",
    "uri": "proxy_pass http://unix:ROOM/plain.sock:/new/;",
    "uri-without-slash": "proxy_pass http://unix:ROOM/plain.sock:/new;",
    "tls": "proxy_pass https://unix:ROOM/tls.sock; proxy_ssl_server_name on;",
    "tls-named": "proxy_pass https://unix:ROOM/tls.sock; proxy_ssl_server_name on;"
    " proxy_ssl_name upstream.test;",
    "tls-verified": "proxy_pass https://unix:ROOM/tls.sock; proxy_ssl_verify on;"
    " proxy_ssl_trusted_certificate ROOM/root.pem;",
    "tls-host": "proxy_pass https://unix:ROOM/tls.sock; proxy_ssl_server_name on;"
    " proxy_ssl_name $proxy_host;",
    "absent": "proxy_pass http://unix:ROOM/absent.sock;",
    "absent-uri": "proxy_pass http://unix:ROOM/absent.sock:/new/;",
    "group": "proxy_pass http://group;",
    "failing-group": "proxy_pass http://failing;",
    "variable": "proxy_pass http://unix:$arg_path;",
    "variable-tls": "proxy_pass https://unix:$arg_path; proxy_ssl_server_name on;",
}
TARGETS = [
    *(f"/{name}/a%20b?c" for name in LOCATIONS if not name.startswith("variable")),
    "/variable/a%20b?path=ROOM/plain.sock",
    "/variable/a?path=ROOM/plain.sock:/new?x=y",
    "/variable/a?path=ROOM/other.sock",
    "/variable/a?path=ROOM/absent-too.sock:/u",
    "/variable/a?path=",
    "/variable/a?path=:/x",
    "/variable-tls/a?path=ROOM/tls.sock",
]


@pytest.fixture(scope="module")
def room() -> Iterator[Path]:
    # Paths of UNIX sockets must be short.
    with tempfile.TemporaryDirectory(prefix="s") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def both(room: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NginxPair]:
    folder = ensure_certificates(tmp_path_factory.mktemp("certificates"))
    (room / "root.pem").write_bytes((folder / "root.pem").read_bytes())
    with contextlib.ExitStack() as stack:
        live = f"""
            access_log off;
            server {{ listen unix:{room}/plain.sock;
                      listen unix:{room}/other.sock; return 200 "{ECHO}"; }}
            server {{ listen unix:{room}/tls.sock ssl; return 200 "{ECHO}";
                      ssl_certificate {folder}/good.pem; ssl_certificate_key {folder}/good.key; }}
        """
        stack.enter_context(served(NGINX, tmp_path_factory.mktemp("live"), live))
        http = (
            'log_format f \'$uri "$proxy_host" "$proxy_port" $upstream_addr $upstream_status\';'
            "access_log access.log f;"
            "upstream group { server unix:ROOM/plain.sock; server unix:ROOM/other.sock; }"
            "upstream failing { server unix:ROOM/absent.sock; server unix:ROOM/plain.sock; }"
            "server { listen 127.0.0.1:@PORT@;"
        )
        http += "".join(f"location /{name}/ {{ {text} }}\n" for name, text in LOCATIONS.items())
        http = http.replace("ROOM", str(room)) + "}"
        yield stack.enter_context(paired_with_nginx(tmp_path_factory.mktemp("both"), http))


@pytest.mark.nginx
@pytest.mark.parametrize("target", TARGETS)
def test_beside_nginx(both: NginxPair, room: Path, target: str) -> None:
    seen = []
    for one in both.both:
        answers = one.ask([get(target.replace("ROOM", str(room)))] * 2)
        lines = one.log(lines=2)
        errors = [
            re.sub(r"\*\d+ ", "", line)
            for line in error_lines("\n".join(one.log("error.log")))
            if not re.match(r"\[(info|notice)\]", line)
        ]
        seen.append(([(one.status, one.body) for one in answers], lines, errors))
    ours, nginxs = seen
    assert ours == nginxs
