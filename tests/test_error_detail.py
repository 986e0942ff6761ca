"""The 502 that explains itself (`error_detail`), on the running product."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import pytest

from sniproxy.embed import ThreadProxy
from sniproxy.handlers import error_detail
from sniproxy.http.pages import error_page
from sniproxy.models import Level
from sniproxy.testing.fixtures import DevelopmentCA, ProxyFactory, UpstreamFactory
from sniproxy.testing.upstreams import reserve_port
from sniproxy.testing.upstreams.catalog.log_messages import SHORT_TIMEOUTS, VERIFY

PATIENCE = 20.0
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
MACHINE = {"Accept": "application/json"}

CONFIG = """
events {}
http {
    %(http)s
    server {
        listen 127.0.0.1:0;
        error_detail on;
        location / { proxy_pass %(upstream)s; %(said)s }
        location /good/ { return 200 good; }
        %(server)s
    }
}
"""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    content_type: str
    length: int
    body: str

    @property
    def value(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.body)
        return value


class Client:
    """One kept connection."""

    def __init__(self, proxy: ThreadProxy) -> None:
        host, port = proxy.addresses[0]
        self.connection = http.client.HTTPConnection(host, port, timeout=PATIENCE)
        self.connection.connect()
        self.sock = self.connection.sock

    def __call__(
        self, path: str = "/", headers: dict[str, str] | None = None, method: str = "GET"
    ) -> Answer:
        self.connection.request(method, path, headers=headers or {})
        assert self.connection.sock is self.sock, "kept"
        response = self.connection.getresponse()
        body = response.read().decode()
        kind, length = response.headers["Content-Type"], int(response.headers["Content-Length"])
        return Answer(response.status, kind, length, body)


class Stage:
    def __init__(self, serve: ProxyFactory) -> None:
        self._serve = serve
        self._clients: list[Client] = []

    def __call__(
        self, upstream: str, output: str = "", *, http: str = "", server: str = ""
    ) -> tuple[ThreadProxy, Client]:
        parts = {"upstream": upstream, "said": output, "http": http, "server": server}
        proxy = self._serve(CONFIG % parts)
        self._clients.append(Client(proxy))
        return proxy, self._clients[-1]

    def close(self) -> None:
        for client in self._clients:
            client.connection.close()


@pytest.fixture
def stage(sniproxy_serve: ProxyFactory) -> Iterator[Stage]:
    made = Stage(sniproxy_serve)
    yield made
    made.close()


@pytest.fixture
def no_peer() -> Iterator[str]:
    """An address where nobody listens."""
    with reserve_port() as held:
        yield f"127.0.0.1:{held.getsockname()[1]}"


def lines(proxy: ThreadProxy) -> list[str]:
    return [record.line for record in proxy.error_log if record.level.label == "error"]


@pytest.mark.parametrize(
    ("upstream_spec", "output", "status", "cause", "directive"),
    [
        ("needs-sni-112", "", 502, "sni-missing", "proxy_ssl_server_name on;"),
        ("plain-http", "", 502, "plain-http-upstream", "proxy_pass http://{address};"),
        ("absent", "", 502, "connect-failed", None),
        ("expired", VERIFY, 502, "verify-expired", None),
        ("wrong-host", VERIFY, 502, "name-mismatch", "proxy_ssl_name &lt;"),
        ("no-response", SHORT_TIMEOUTS, 504, "timeout", "proxy_read_timeout"),
        ("bad-header", "", 502, "invalid-response", None),
    ],
)
def test_error_detail_of_each_upstream_fault(
    stage: Stage,
    tls_upstream: UpstreamFactory,
    upstream_spec: str,
    output: str,
    status: int,
    cause: str,
    directive: str | None,
) -> None:
    peer = tls_upstream(upstream_spec)
    proxy, client = stage(peer.url, output.replace("root.pem", str(peer.root)))
    text, page, machine = client(), client(headers=BROWSER), client(headers=MACHINE)
    first, second, third = lines(proxy)
    assert [answer.status for answer in (text, page, machine)] == [status] * 3
    assert [answer.content_type for answer in (text, page, machine)] == [
        "text/plain; charset=utf-8",
        "text/html",
        "application/json",
    ]
    own = error_page(status).decode()
    assert text.body.startswith(f"{own[own.index('<title>') + 7 : own.index('</title>')]}\n")
    assert f"[{cause}]" in text.body
    assert first.partition(": *")[2].split()[1] in text.body
    assert page.body.startswith("<!doctype html>\n")
    assert own[own.index("<body>") + 6 : own.index("</body>")].strip() in page.body
    assert escape(second) in page.body
    assert machine.value["status"] == status
    assert machine.value["lines"] == [third]
    (group,) = machine.value["groups"]
    assert group["causes"][0] == cause
    assert escape(group["details"][0]["title"]) in page.body
    if directive is not None:
        assert directive.format(address=peer.address) in page.body
    assert client("/good/").body == "good", "the connection is kept"


def test_error_detail_for_head_has_no_body(stage: Stage, no_peer: str) -> None:
    _, client = stage(f"http://{no_peer}")
    for headers in ({}, BROWSER, MACHINE):
        head = client(headers=headers, method="HEAD")
        whole = client(headers=headers)
        assert (head.status, head.body) == (502, "")
        # The connection's number and the method make a difference, and nothing else does.
        assert head.content_type == whole.content_type
        assert head.length > 500
    assert client("/good/").body == "good"


def test_error_detail_off_gives_the_page_of_nginx(stage: Stage, no_peer: str) -> None:
    _, client = stage(f"http://{no_peer}", "error_detail off;")
    own = error_page(502).decode()
    for headers in ({}, BROWSER, MACHINE):
        assert client(headers=headers) == Answer(502, "text/html", len(own), own)


def test_other_statuses_have_the_page_of_nginx(stage: Stage, no_peer: str) -> None:
    server = "location /502/ { return 502; } location /own/ { error_page 502 /502/; "
    server += f"proxy_pass http://{no_peer}; }}"
    _, client = stage(f"http://{no_peer}", server=server)
    own = error_page(502).decode()
    for path in ("/502/", "/own/"):
        assert client(path) == Answer(502, "text/html", len(own), own)


def test_error_page_takes_precedence(stage: Stage, no_peer: str) -> None:
    own = "error_page 502 =503 /sorry/; error_page 504 /sorry/;"
    server = f"""
        location /sorry/ {{ return 200 sorry; }}
        location /back/ {{ error_page 502 @back; proxy_pass http://{no_peer}/front/; }}
        location @back {{ proxy_pass http://{no_peer}; }}
    """
    proxy, client = stage(f"http://{no_peer}", own, server=server)
    assert (client().status, client().body) == (503, "sorry")
    failed = client("/back/", MACHINE)
    assert failed.status == 502
    assert failed.value["lines"] == lines(proxy)[-1:], "each program reports its own lines"


@pytest.mark.parametrize("log", ["error_log stderr emerg;", ""])
def test_error_detail_has_the_lines_of_all_attempts(
    stage: Stage, no_peer: str, tls_upstream: UpstreamFactory, log: str
) -> None:
    """Whatever the log takes."""
    peer = tls_upstream("needs-sni-112")
    group = f"{log} upstream both {{ server {peer.address}; server {no_peer}; }}"
    proxy, client = stage("https://both", http=group)
    value = client(headers=MACHINE).value
    assert value["lines"] == lines(proxy)
    assert [one["causes"][0] for one in value["groups"]] == ["connect-failed", "sni-missing"]
    no_peer_left = client(headers=MACHINE).value
    assert no_peer_left["lines"] == lines(proxy)[2:]
    assert [one["causes"] for one in no_peer_left["groups"]] == [["no-live-upstreams"]]


def test_error_detail_of_unresolvable_name(stage: Stage) -> None:
    proxy, client = stage("http://$arg_to")
    answer = client("/?to=nowhere.test")
    assert answer.status == 502
    assert "no resolver defined to resolve nowhere.test" in answer.body
    assert len(lines(proxy)) == 1


def test_error_detail_masks_secrets(
    stage: Stage, tls_upstream: UpstreamFactory, dev_ca: DevelopmentCA, tmp_path: Path
) -> None:
    issued = dev_ca.issue("client.test")
    passwords = tmp_path / "passwords"
    passwords.write_text("words\n")
    output = f"""
        proxy_ssl_certificate {issued.certificate}; proxy_ssl_certificate_key {issued.key};
        proxy_ssl_password_file {passwords};
        proxy_set_header Authorization "Bearer upstream-secret";
    """
    _, client = stage(tls_upstream("needs-sni-112").url, output)
    files = (issued.key, issued.certificate, passwords.name)
    secrets = {"Authorization": "Basic Y2xpZW50", "Cookie": "session=client-secret"}
    for headers in ({}, BROWSER, MACHINE):
        answer = client(headers=headers | secrets)
        assert "sni-missing" in answer.body or "no SNI" in answer.body
        for secret in (*files, "Y2xpZW50", "upstream-secret", "client-secret"):
            assert secret not in answer.body


def test_error_detail_is_hidden_from_remote_clients(
    stage: Stage, no_peer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is near here."""
    monkeypatch.setattr(error_detail, "LOCAL", ())
    proxy, client = stage(f"http://{no_peer}")
    own = error_page(502).decode()
    for headers in ({}, BROWSER, MACHINE):
        assert client(headers=headers) == Answer(502, "text/html", len(own), own)
    (warning,) = [record for record in proxy.error_log if record.level is Level.WARN]
    assert warning.message == error_detail.ERROR_DETAIL_REFUSED
    assert (warning.client, warning.request) == ("127.0.0.1", "GET / HTTP/1.1")


def test_an_address_that_a_client_has_sent_does_not_make_it_local(
    stage: Stage, no_peer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `set_real_ip_from` for everybody, a client may claim any address."""
    monkeypatch.setattr(error_detail, "LOCAL", error_detail._networks("10.0.0.0/8"))
    _, client = stage(f"http://{no_peer}", http="set_real_ip_from 0.0.0.0/0;")
    assert client(headers={"X-Real-IP": "10.1.2.3"}).body == error_page(502).decode()
    monkeypatch.setattr(error_detail, "LOCAL", error_detail._networks("127.0.0.0/8"))
    assert client(headers={"X-Real-IP": "192.0.2.1"}).body == error_page(502).decode()
    assert client(headers={"X-Real-IP": "127.0.0.2"}).body != error_page(502).decode()
