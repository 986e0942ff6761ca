"""Clients of others through `stream {}`: curl, Chromium, OpenSSL, PostgreSQL, Redis, DNS."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

import sniproxy
from sniproxy.testing.dns import DNSQuery, a, open_name_server, reply
from sniproxy.testing.upstreams import generate_certificates, reserve_port
from tests.browser import chromium
from tests.stream.sessions import wait_until

POSTGRES = Path("/usr/lib/postgresql/15/bin")

SITES = """
events {{}}
http {{
    access_log off;
    server {{
        listen 127.0.0.1:0 ssl;
        ssl_certificate {folder}/good.pem;
        ssl_certificate_key {folder}/good.key;
        return 200 "the first site, asked for $ssl_server_name";
    }}
    server {{
        listen 127.0.0.2:0 ssl;
        ssl_certificate {folder}/second.pem;
        ssl_certificate_key {folder}/second.key;
        return 200 "the second site, asked for $ssl_server_name";
    }}
}}
"""
ROUTER = """
events {{}}
stream {{
    map $ssl_preread_server_name $site {{
        upstream.test 127.0.0.1:{first};
        second.test 127.0.0.2:{second};
        default "";
    }}
    server {{ listen 127.0.0.1:0; ssl_preread on; proxy_pass $site; }}
}}
"""


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    generate_certificates(folder)
    return folder


@pytest.fixture
def router(certificates: Path) -> Iterator[sniproxy.ThreadProxy]:
    with sniproxy.serve_in_thread(SITES.format(folder=certificates)) as sites:
        first, second = (port for _, port in sites.addresses)
        with sniproxy.serve_in_thread(ROUTER.format(first=first, second=second)) as proxy:
            yield proxy


def run(*command: str, text: str = "", **variables: str) -> str:
    environment = {**os.environ, **variables}
    done = subprocess.run(
        command,
        input=text,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


@pytest.mark.needs("curl")
@pytest.mark.parametrize(
    ("name", "site"), [("upstream.test", "the first site"), ("second.test", "the second site")]
)
def test_curl_verifies_the_certificate_of_the_site_itself(
    router: sniproxy.ThreadProxy, certificates: Path, name: str, site: str
) -> None:
    port = router.addresses[0][1]
    root = str(certificates / "root.pem")
    page = run(
        *("curl", "-sS", "--cacert", root, "--connect-to", f"{name}:443:127.0.0.1:{port}"),
        f"https://{name}/",
    )
    assert page == f"{site}, asked for {name}"
    router.wait_for(lambda: router.sessions)
    assert router.sessions[0].server_name == name
    assert router.sessions[0].status == 200


@pytest.mark.needs("chromium", "certutil")
def test_chromium_verifies_the_certificates_of_both_sites(
    router: sniproxy.ThreadProxy, certificates: Path, tmp_path: Path
) -> None:
    database = tmp_path / ".pki" / "nssdb"
    database.mkdir(parents=True)
    certutil = ("certutil", "-d", f"sql:{database}")
    run(*certutil, "-N", "--empty-password")
    run(*certutil, "-A", "-t", "C,,", "-n", "root", "-i", str(certificates / "root.pem"))
    rules = f"--host-resolver-rules=MAP *.test 127.0.0.1:{router.addresses[0][1]}"
    for name, site in (("upstream.test", "the first site"), ("second.test", "the second site")):
        page = chromium(tmp_path, rules, "--dump-dom", f"https://{name}/").stdout
        assert f"{site}, asked for {name}" in page


@pytest.mark.needs("openssl")
def test_openssl_without_sni_reaches_no_site(
    router: sniproxy.ThreadProxy, certificates: Path
) -> None:
    address = f"127.0.0.1:{router.addresses[0][1]}"
    done = subprocess.run(
        ["openssl", "s_client", "-connect", address, "-noservername"],
        input="", capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    router.wait_for(lambda: router.sessions)
    assert (router.sessions[0].status, router.sessions[0].server_name) == (500, None)
    words = run(
        *("openssl", "s_client", "-connect", address, "-servername", "upstream.test"),
        *("-verify_return_error", "-CAfile", str(certificates / "root.pem")),
    )
    assert "Verify return code: 0 (ok)" in words


@contextlib.contextmanager
def running(*command: str, port: int) -> Iterator[None]:
    """A server that has opened its port."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: is_open(port) or process.poll() is not None, 15)
        yield
    finally:
        process.terminate()
        process.wait()


def is_open(port: int) -> bool:
    return f":{port:04X} 00000000:0000 0A" in Path("/proc/net/tcp").read_text()


@pytest.fixture
def port() -> Iterator[int]:
    """A port that no other process takes."""
    with reserve_port() as reserved:
        yield reserved.getsockname()[1]


@pytest.mark.needs("redis-server", "redis-cli")
def test_redis_through_tls(certificates: Path, tmp_path: Path, port: int) -> None:
    config = f"""
        events {{}}
        stream {{
            server {{
                listen 127.0.0.1:0 ssl;
                ssl_certificate {certificates}/good.pem;
                ssl_certificate_key {certificates}/good.key;
                proxy_pass 127.0.0.1:{port};
            }}
        }}
    """
    server = ("redis-server", "--port", str(port), "--save", "", "--dir", str(tmp_path))
    with running(*server, port=port), sniproxy.serve_in_thread(config) as proxy:
        client = (
            *("redis-cli", "-h", "127.0.0.1", "-p", str(proxy.addresses[0][1]), "--tls"),
            *("--cacert", str(certificates / "root.pem"), "--sni", "upstream.test"),
        )
        assert run(*client, "SET", "greeting", "hello " * 5000) == "OK\n"
        assert run(*client, "GET", "greeting") == "hello " * 5000 + "\n"
        assert len(proxy.handshakes) == 2


@pytest.mark.needs("psql", str(POSTGRES / "initdb"), "runuser")
def test_postgresql_verified_by_psql_itself(certificates: Path, tmp_path: Path, port: int) -> None:
    """PostgreSQL's TLS begins in the middle of a connection, which is passed through."""
    data = tmp_path / "data"
    owner = pwd.getpwnam("postgres") if os.getuid() == 0 else None
    data.mkdir(mode=0o700)
    for name in ("good.pem", "good.key"):
        shutil.copy(certificates / name, tmp_path / name)
    (tmp_path / "good.key").chmod(0o600)
    if owner is not None:
        for path in (data, tmp_path / "good.pem", tmp_path / "good.key"):
            os.chown(path, owner.pw_uid, owner.pw_gid)
        for folder in (tmp_path, *tmp_path.parents[:3]):
            folder.chmod(folder.stat().st_mode | 0o011)
    as_owner = ("runuser", "-u", "postgres", "--") if owner is not None else ()
    run(*as_owner, str(POSTGRES / "initdb"), "-D", str(data), "-A", "trust", "-U", "me", "-N")
    server = (
        *as_owner, str(POSTGRES / "postgres"), "-D", str(data), "-p", str(port),
        "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={data}",
        "-c", "fsync=off",
        "-c", "ssl=on", "-c", f"ssl_cert_file={tmp_path}/good.pem",
        "-c", f"ssl_key_file={tmp_path}/good.key",
    )  # fmt: skip
    config = f"""
        events {{}}
        stream {{
            map $ssl_preread_protocol $database {{ "" 127.0.0.1:{port}; default 127.0.0.1:1; }}
            server {{ listen 127.0.0.1:0; ssl_preread on; proxy_pass $database; }}
        }}
    """
    with running(*server, port=port), sniproxy.serve_in_thread(config) as proxy:
        address = f"hostaddr=127.0.0.1 port={proxy.addresses[0][1]} host=upstream.test"
        trust = f"sslmode=verify-full sslrootcert={certificates}/root.pem"
        ready = (str(POSTGRES / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port))
        # It takes connections before it serves them.
        wait_until(lambda: subprocess.run(ready, check=False).returncode == 0)
        query = "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        words = run("psql", "-XAt", f"{address} {trust} user=me dbname=postgres", "-c", query)
        assert words == "TLSv1.3\n"


async def test_dns_over_udp() -> None:
    def respond(query: DNSQuery) -> list[bytes]:
        return [reply(query, a("127.0.0.7"))]

    async with open_name_server(respond) as server:
        config = f"""
            events {{}}
            stream {{
                server {{
                    listen 127.0.0.1:0 udp;
                    proxy_pass 127.0.0.1:{server.port};
                    proxy_responses 1;
                }}
            }}
        """
        async with sniproxy.serve(config) as proxy:
            port = proxy.addresses[0][1]
            resolving = f"""
                events {{}}
                stream {{
                    map a $target {{ default some.test:1; }}
                    server {{
                        listen 127.0.0.1:0;
                        resolver 127.0.0.1:{port} ipv6=off;
                        proxy_pass $target;
                    }}
                }}
            """
            async with sniproxy.serve(resolving) as second:
                stream = await trio.open_tcp_stream(*second.addresses[0])
                assert await stream.receive_some() == b""
                await stream.aclose()
                assert [query.name for query in server.queries] == ["some.test"]
                await second.wait_for(lambda: second.sessions)
                assert second.sessions[0].upstreams == ("127.0.0.7:1",)
                await proxy.wait_for(lambda: proxy.sessions)
                assert (proxy.sessions[0].protocol, proxy.sessions[0].status) == ("UDP", 200)
