"""The main job: one process that shows the 502 of a missing SNI, and the 200 of its cure.

The files of `configs/` as they are, on ports of their own; asked by curl and by a browser,
and the one without directives of ours by the real nginx as well.
"""

from __future__ import annotations

import http.client
import os
import re
import signal
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from sniproxy.cli import main
from sniproxy.testing.upstreams import reserve_port
from tests.nginx import NGINX
from tests.programs import SNIPROXY, Command

ROOT = Path(__file__).parent.parent
CONFIGS, README = ROOT / "configs", ROOT / "README.md"
FRONT, BACK = "8443", "8444"
"""The ports in the files; those of a test are others."""

PATIENCE = 20.0
ANSWER = "origin.test answers: you asked for origin.test\n"


@dataclass(frozen=True, slots=True)
class Site:
    """One of the files, being served."""

    front: int
    back: int
    process: subprocess.Popen[bytes]
    ca: Path
    """What to trust."""

    @property
    def base(self) -> str:
        return f"127.0.0.1:{self.front}"

    def get(self, path: str) -> tuple[int, str]:
        """Status and body, the certificate being verified for the address."""
        context = ssl.create_default_context(cafile=str(self.ca))
        connection = http.client.HTTPSConnection(self.base, context=context, timeout=PATIENCE)
        connection.request("GET", path, headers={"Connection": "close", "Accept": "text/html"})
        with connection.getresponse() as response:
            body = response.read().decode("latin-1")
        connection.close()
        return response.status, body

    def stop(self) -> list[str]:
        """The lines on stderr, once it has ended."""
        self.process.send_signal(signal.SIGTERM)
        _, stderr = self.process.communicate(timeout=PATIENCE)
        assert self.process.returncode == 0
        return stderr.decode("latin-1").splitlines()


@pytest.fixture
def ca(development_ca: Path) -> Path:
    return development_ca / "ca" / "ca.pem"


@contextmanager
def served(name: str, folder: Path, ca: Path, program: Command = SNIPROXY) -> Iterator[Site]:
    with ExitStack() as held:
        front, back = (held.enter_context(reserve_port()).getsockname()[1] for _ in (FRONT, BACK))
        text = (CONFIGS / name).read_text()
        assert {FRONT, BACK} <= set(re.findall(r"\b\d+\b", text))
        text = re.sub(rf"\b{BACK}\b", str(back), re.sub(rf"\b{FRONT}\b", str(front), text))
        (folder / name).write_text(text)
        process = subprocess.Popen(
            [*program.command, "-p", f"{folder}/", "-c", name, "-g", "daemon off;"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        held.callback(process.communicate)
        held.callback(process.kill)
        pid_file = folder / ("plain.pid" if name == "plain.conf" else "sniproxy.pid")
        deadline = time.monotonic() + PATIENCE
        while not (pid_file.exists() and pid_file.read_text()):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        yield Site(front, back, process, ca)


def the_502(site: Site, lines: list[str]) -> str:
    """The error line, its time, process and OpenSSL's words left out; there is no other."""
    assert len(lines) == 1, lines
    match = re.fullmatch(
        r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[error\] (\d+)#(\d+): \*\d+ SSL_do_handshake\(\) failed"
        r" \(SSL: error:0A000458:SSL routines::(?:[a-z/0-9]+ )+unrecognized name:SSL alert number"
        r" 112\) (while SSL handshaking to upstream, .*)",
        lines[0],
    )
    assert match is not None, lines[0]
    assert match[1] == match[2]
    return match[3].replace(str(site.front), FRONT).replace(str(site.back), BACK)


CONTEXT = (
    "while SSL handshaking to upstream, client: 127.0.0.1, server: localhost,"
    f' request: "GET /without-sni/ HTTP/1.1", upstream: "https://127.0.0.1:{BACK}/",'
    f' host: "127.0.0.1:{FRONT}"'
)


@pytest.mark.parametrize("name", ["site.toml", "site.conf"])
def test_the_502_and_its_cure(name: str, tmp_path: Path, ca: Path) -> None:
    with served(name, tmp_path, ca) as site:
        assert site.get("/with-sni/") == (200, ANSWER)
        status, page = site.get("/without-sni/")
        assert status == 502
        assert "<h1>502 Bad Gateway</h1>" in page
        assert site.get("/")[0] == 302
        lines = site.stop()
    assert the_502(site, lines) == CONTEXT
    assert lines[0].split()[3].startswith(f"{site.process.pid}#")


@pytest.mark.needs("curl")
def test_curl_accepts_the_site(tmp_path: Path, ca: Path) -> None:
    with served("site.toml", tmp_path, ca) as site:
        trusting = ["curl", "-sS", "-o", "-", "-w", "%{http_code}", "--cacert", str(ca)]
        for host in (f"127.0.0.1:{site.front}", f"localhost:{site.front}"):
            url = f"https://{host}/with-sni/"
            done = subprocess.run([*trusting, url], capture_output=True, text=True, check=True)
            assert done.stdout == f"{ANSWER}200"
            done = subprocess.run(
                [*trusting, "-L", f"https://{host}/"], capture_output=True, text=True, check=True
            )
            assert done.stdout == f"{ANSWER}200", "/ leads there"
        done = subprocess.run(
            [*trusting, f"https://127.0.0.1:{site.front}/without-sni/"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.startswith("502 Bad Gateway\nnginx/")
        assert "proxy_ssl_server_name on;\n" in done.stdout
        assert done.stdout.endswith("502")
        distrusting = ["curl", "-sS", f"https://localhost:{site.front}/"]
        assert subprocess.run(distrusting, capture_output=True, check=False).returncode == 60
        failed, untrusted = site.stop()
        assert the_502(site, [failed]) == CONTEXT
        assert "the client does not trust the development CA of sniproxy" in untrusted


@pytest.mark.needs("curl")
def test_readme_shows_what_curl_prints(tmp_path: Path, ca: Path) -> None:
    """All of it, or the parts between two `…`; time and line breaks are others."""
    blocks = re.findall(r"^\$ curl -sk (\S+)\n(.*?)^```$", README.read_text(), re.M | re.S)
    with served("site.toml", tmp_path, ca) as site:
        for url, rendered in blocks:
            url = url.replace(FRONT, str(site.front))
            done = subprocess.run(["curl", "-sSk", url], capture_output=True, text=True, check=True)
            printed = done.stdout.replace(str(site.front), FRONT).replace(str(site.back), BACK)
            parts = [reflowed(part) for part in rendered.split("…\n")]
            assert re.fullmatch(".*".join(map(re.escape, parts)), reflowed(printed)), printed
        site.stop()
    assert len(blocks) == 2


def reflowed(text: str) -> str:
    text = re.sub(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d", "TIME", text)
    text = re.sub(r"(?:tlsv1 |ssl/tls |alert )+unrecognized name", "unrecognized name", text)
    return " ".join(text.replace("    | ", " ").split())


@pytest.mark.needs("chromium", "certutil")
def test_browser_accepts_the_site(tmp_path: Path, ca: Path) -> None:
    home = tmp_path / "home"
    database = home / ".pki" / "nssdb"
    database.mkdir(parents=True)
    certutil = ["certutil", "-d", f"sql:{database}"]
    subprocess.run([*certutil, "-N", "--empty-password"], check=True)
    with served("site.toml", tmp_path, ca) as site:
        subprocess.run([*certutil, "-A", "-t", "C,,", "-n", "sniproxy", "-i", str(ca)], check=True)
        assert ANSWER.strip() in dumped(f"https://localhost:{site.front}/with-sni/", home)
        assert ANSWER.strip() in dumped(f"https://127.0.0.1:{site.front}/", home)
        page = dumped(f"https://127.0.0.1:{site.front}/without-sni/", home)
        assert "<h1>502 Bad Gateway</h1>" in page
        assert "<h2>no SNI: nginx does not tell the upstream which name it wants</h2>" in page
        assert '<pre class="cure">proxy_ssl_server_name on;</pre>' in page
        assert '<pre class="cure">proxy_ssl_name origin.test;</pre>' in page


def dumped(url: str, home: Path) -> str:
    """The page as headless Chromium has it."""
    done = subprocess.run(
        [
            "chromium",
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            f"--user-data-dir={home / 'profile'}",
            "--dump-dom",
            url,
        ],
        env={**os.environ, "HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


@pytest.mark.nginx
def test_sniproxy_and_nginx_run_plain_conf_alike(
    tmp_path: Path, ca: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As its comment says: certificates from `ca issue`, no directive but nginx's own."""
    names = ["localhost", "127.0.0.1", "origin.test"]
    seen = []
    for program in (SNIPROXY, NGINX):
        folder = tmp_path / program.name
        folder.mkdir()
        assert main(["ca", "issue", "-d", str(folder), *names]) == 0
        with served("plain.conf", folder, ca, program) as site:
            answers = [site.get(path) for path in ("/with-sni/", "/without-sni/", "/")]
            seen.append((answers, the_502(site, site.stop())))
    assert "ssl_certificate " in capsys.readouterr().out
    ours, theirs = seen
    assert ours == theirs
    assert ours[1] == CONTEXT
    assert [status for status, _ in ours[0]] == [200, 502, 302]


@pytest.mark.parametrize("file", sorted(CONFIGS.iterdir()), ids=lambda file: file.name)
def test_every_example_configuration_is_valid(
    file: Path,
    tmp_path: Path,
    ca: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    copy = tmp_path / file.name
    copy.write_bytes(file.read_bytes())
    if "localhost.pem" in file.read_text():
        assert main(["ca", "issue", "localhost", "127.0.0.1", "origin.test"]) == 0
        (tmp_path / "origin-ca.pem").write_bytes(ca.read_bytes())
    capfd.readouterr()
    assert main(["-t", "-c", str(copy)]) == 0
    assert capfd.readouterr().err.splitlines() == [
        f"sniproxy: the configuration file {copy} syntax is ok",
        f"sniproxy: configuration file {copy} test is successful",
    ]


def test_all_example_configurations_are_tested() -> None:
    assert {file.name for file in CONFIGS.iterdir()} == {
        "app-behind-https.conf",
        "dev-front.conf",
        "ip-upstream-cured.conf",
        "ip-upstream.conf",
        "object-store.conf",
        "plain.conf",
        "site.conf",
        "site.toml",
        "sni-router.conf",
        "sni-router.toml",
    }
