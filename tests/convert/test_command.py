"""`sniproxy convert`: extensions, certificates, older releases."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from sniproxy.cli import main
from sniproxy.config.directives.directive import Context, Status
from sniproxy.config.directives.registry import DIRECTIVES
from sniproxy.convert.extensions import ADVICE, EXTENSION_VARIABLES, EXTENSIONS
from sniproxy.convert.releases import HTTP3, SINCE, VARIABLES_SINCE, Release
from sniproxy.variables.registry import VARIABLES
from tests.nginx import NGINX

CONFIGS = Path(__file__).parent.parent.parent / "configs"
DEBIAN_NGINX = "/usr/sbin/nginx"
RELEASE = "1.22"
"""Debian 12 has it."""

SITE = """\
ssl_error_dialect = "1.1.1"   # as on the old machine

[http]
access_log = false
ssl_certificate = "auto"
error_detail = true
log_format = "tls '$upstream_ssl_server_name'"

[[http.server]]
listen = "127.0.0.1:8443 ssl"
server_name = ["a.test", ".b.test", "~^c"]
http2 = true
early_hints = "$http_early"

[http.server.location."/"]
proxy_pass = "http://app"

[http.upstream.app]
server = "127.0.0.1:8080"
keepalive = "8 local"
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "site.toml"
    file.write_text(SITE)
    return file


def test_every_extension_has_advice() -> None:
    assert set(ADVICE) == EXTENSIONS


def test_extension_variables_are_those_that_nginx_lacks() -> None:
    own = {variable.name for variable in VARIABLES if variable.name.startswith("upstream_ssl_")}
    assert own == EXTENSION_VARIABLES


def test_extensions_become_comments(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", "site.toml"]) == 3
    out, notes = capsys.readouterr()
    assert "    # error_detail is sniproxy's own: nginx has no such pages" in out
    assert "    # error_detail on;\n" in out
    assert "# ssl_error_dialect 1.1.1; # as on the old machine\n" in out
    assert "site.toml:6: error_detail is sniproxy's own" in notes
    assert "$upstream_ssl_server_name is sniproxy's own: nginx refuses it" in notes


def test_certificates_are_named_and_issued(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", "site.toml"]) == 3
    out, notes = capsys.readouterr()
    assert "ssl_certificate certificates/a.test.pem;" in out
    assert "sniproxy ca issue -d certificates a.test b.test *.b.test" in notes
    assert not Path("certificates").exists()
    assert main(["convert", "site.toml", "--certificates", "tls", "-o", "nginx.conf"]) == 3
    text = Path("nginx.conf").read_text()
    assert f"ssl_certificate {Path.cwd()}/tls/a.test.pem;" in text
    assert f"ssl_certificate_key {Path.cwd()}/tls/a.test-key.pem;" in text
    names = subprocess.run(
        ["openssl", "x509", "-in", "tls/a.test.pem", "-noout", "-ext", "subjectAltName"],
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    assert "DNS:a.test, DNS:b.test, DNS:*.b.test" in names
    assert Path("tls/a.test-key.pem").stat().st_mode & 0o777 == 0o600


def test_what_an_older_nginx_lacks(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", "site.toml", "--nginx-version", RELEASE]) == 3
    out, notes = capsys.readouterr()
    assert "site.toml:12: not in nginx 1.22: http2 appeared in 1.25.1" in notes
    assert "site.toml:13: not in nginx 1.22: early_hints appeared in 1.29.0" in notes
    assert 'nginx 1.22 has no "local" (1.29.7)' in notes
    assert "        # http2 on;\n" in out
    assert "keepalive 8;" in out
    assert "    proxy_http_version 1.1; # the default since nginx 1.29.7\n" in out
    assert "    ssl_protocols TLSv1.2 TLSv1.3; # the default since nginx 1.27.3\n" in out


@pytest.mark.parametrize("name", ["site.toml", "dev-front.conf", "object-store.conf"])
@pytest.mark.parametrize(
    ("program", "options"),
    [
        pytest.param(NGINX.command, (), marks=pytest.mark.nginx, id="1.31.3"),
        pytest.param(
            (DEBIAN_NGINX,),
            ("--nginx-version", RELEASE),
            marks=pytest.mark.needs(DEBIAN_NGINX),
            id="1.22",
        ),
    ],
)
def test_nginx_takes_the_result(
    name: str, program: tuple[str, ...], options: tuple[str, ...], tmp_path: Path
) -> None:
    file = tmp_path / name
    shutil.copy(CONFIGS / name, file)
    assert main(["ca", "issue", "-d", str(tmp_path), "localhost", "127.0.0.1"]) == 0
    shutil.copy(tmp_path / "localhost.pem", tmp_path / "origin-ca.pem")
    result = tmp_path / "nginx.conf"
    words = ["convert", str(file), "--to", "nginx", "--certificates", str(tmp_path / "tls")]
    assert main([*words, *options, "-o", str(result)]) in (0, 3)
    tested = subprocess.run(
        [*program, "-t", "-p", str(tmp_path), "-c", str(result), "-e", str(tmp_path / "e.log")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert tested.returncode == 0, tested.stderr


@pytest.mark.needs(DEBIAN_NGINX)
@pytest.mark.parametrize(
    "name",
    sorted(
        row.name
        for row in DIRECTIVES
        # Debian has taken max_headers back into its 1.22, for security.
        if row.name in SINCE and row.name not in {"max_headers", *HTTP3}
    ),
)
def test_the_versions_of_directives_are_true(name: str, tmp_path: Path) -> None:
    """nginx 1.22 knows what appeared before it, and nothing of what came after."""
    place = "main" if name == "ssl_object_cache_inheritable" else "http"
    place = "upstream" if name == "random" else place
    text = {
        "main": f"{name} wrong; events {{}}",
        "http": f"events {{}} http {{ {name} wrong wrong wrong; }}",
        "upstream": f"events {{}} http {{ upstream a {{ {name} wrong; }} }}",
    }[place]
    (tmp_path / "nginx.conf").write_text(text)
    tested = subprocess.run(
        [DEBIAN_NGINX, "-t", "-p", str(tmp_path), "-c", "nginx.conf", "-e", "e.log"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ("unknown directive" in tested.stderr) is not Release.parse(RELEASE).has(SINCE[name])


CONTEXTS = {
    Context.MAIN: "%s; events {}",
    Context.EVENTS: "events { %s; }",
    Context.HTTP: "events {} http { %s; }",
    Context.SERVER: "events {} http { server { %s; } }",
    Context.LOCATION: "events {} http { server { location / { %s; } } }",
    Context.UPSTREAM: "events {} http { upstream a { %s; } }",
}
BUILT_IN_ELSEWHERE = {"google_perftools_profiles", "stream"}
"""Directives of modules that Debian does not build in, or loads dynamically."""


@pytest.mark.needs(DEBIAN_NGINX)
def test_directives_without_a_version_are_old(tmp_path: Path) -> None:
    """nginx 1.22 knows all directives that are not in the table."""
    unknown = []
    for row in DIRECTIVES:
        works = row.status in (Status.WORKS, Status.NO_EFFECT) and not row.extension
        context = next((one for one in CONTEXTS if one in row.contexts), None)
        if not works or context is None or row.name in SINCE:
            continue
        (tmp_path / "nginx.conf").write_text(CONTEXTS[context] % f"{row.name} wrong wrong")
        tested = subprocess.run(
            [DEBIAN_NGINX, "-t", "-p", str(tmp_path), "-c", "nginx.conf", "-e", "e.log"],
            capture_output=True,
            text=True,
            check=False,
        )
        if "unknown directive" in tested.stderr:
            unknown.append(row.name)
    # A module that is loaded dynamically there.
    unknown = [name for name in unknown if not name.startswith("more_")]
    assert set(unknown) <= BUILT_IN_ELSEWHERE


@pytest.mark.parametrize(
    ("release", "since", "has"),
    [
        ("1.22", "1.22.0", True),
        ("1.22", "1.22.1", True),
        ("1.22", "1.23.0", False),
        ("1.22.0", "1.22.1", False),
        ("1.30", "1.9.0", True),
    ],
)
def test_releases_are_compared_by_numbers(release: str, since: str, has: bool) -> None:
    assert Release.parse(release).has(since) is has


def test_variables_with_a_version_exist() -> None:
    assert set(VARIABLES_SINCE) <= {variable.name for variable in VARIABLES}


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["missing.conf"], 1, 'open() "missing.conf" failed'),
        (["broken.conf"], 1, 'unknown directive "evnts"'),
        (["latin.conf"], 1, "is not in UTF-8"),
        (["plain.conf", "--nginx-version", "new"], 2, "invalid version value"),
        (["plain.conf", "--nginx-version", "1.22"], 2, "for conversions to nginx.conf"),
        (["deep.conf"], 1, "nested too deeply"),
        (["plain.conf", "-o", "missing/file.toml"], 1, "missing/file.toml: No such file"),
    ],
)
def test_errors(
    words: list[str],
    status: int,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("broken.conf").write_text("evnts {}")
    Path("plain.conf").write_text("events {}")
    levels = "location / { " * 2000 + "}" * 2000
    Path("deep.conf").write_text(f"events {{}} http {{ server {{ {levels} }} }}")
    Path("latin.conf").write_bytes(b"events {} http { server { return 200 \xe9; } }")
    try:
        got = main(["convert", *words])
    except SystemExit as usage:
        got = int(usage.code or 0)
    assert (got, message in capsys.readouterr().err) == (status, True)
