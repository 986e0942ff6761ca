"""What the text alone shows, rule by rule, and what the text becomes."""

from __future__ import annotations

from pathlib import Path

import pytest

from sniproxy.diagnose.config_file import FileOptions, diagnose_file
from sniproxy.diagnose.probe import Timeouts
from tests.diagnose.conftest import Diagnose

WISH = Timeouts()


def linted(directory: Path, http: str) -> tuple[list[tuple[str, bool]], str]:
    """The rules that found something, whether as advice, and the changed text."""
    file = directory / "nginx.conf"
    file.write_text(f"events {{}}\nhttp {{\n{http}\n}}\n")
    report = diagnose_file(FileOptions(str(file), offline=True), WISH, lambda *_: None)
    assert not report.manual_edits
    found = [(finding.rule, finding.advice) for finding in report.findings]
    return found, report.after.get(str(file), "")


def server(*lines: str, listen: str = "127.0.0.1:80") -> str:
    inside = "\n".join(lines)
    return f"server {{ listen {listen}; server_name www.test;\nlocation / {{\n{inside}\n}} }}"


SNI_ON = "proxy_ssl_server_name on;"
VERIFIED = "proxy_ssl_verify on; proxy_ssl_trusted_certificate ca.pem; proxy_ssl_verify_depth 2;"


@pytest.mark.parametrize(
    ("http", "rules", "new"),
    [
        pytest.param(
            server("proxy_pass https://a.test;"), ["sni-missing"], [SNI_ON], id="without SNI"
        ),
        pytest.param(server("proxy_pass https://a.test;", SNI_ON), [], [], id="with SNI"),
        pytest.param(server("proxy_pass http://a.test;"), [], [], id="plain"),
        pytest.param(
            server("proxy_pass https://a.test;").replace("server {", f"{SNI_ON} server {{"),
            [], [], id="inherited",
        ),
        pytest.param(
            server("proxy_pass https://192.0.2.1;"), ["sni-missing"], [], id="an address"
        ),
        pytest.param(
            server("proxy_set_header Host a.test;", "proxy_pass https://192.0.2.1;"),
            ["sni-missing"], [SNI_ON, "proxy_ssl_name a.test;"], id="an address, Host said",
        ),
        pytest.param(
            server("proxy_set_header Host $http_host;", "proxy_pass https://192.0.2.1;"),
            ["sni-missing"], [SNI_ON, "proxy_ssl_name $host;"], id="an address, the client's Host",
        ),
        pytest.param(
            server("proxy_pass https://192.0.2.1;", "proxy_ssl_name a.test;"),
            ["sni-missing"], [SNI_ON], id="name alone",
        ),
        pytest.param(
            server("proxy_pass https://192.0.2.1;", SNI_ON), ["sni-missing"], [], id="no name",
        ),
        pytest.param(
            server("proxy_pass https://$backend;"), ["sni-missing"], [SNI_ON], id="variables"
        ),
        pytest.param(
            "upstream g {\nserver a.test:443;\nserver b.test:443 resolve;\n}",
            ["resolve-without-zone"], ["zone g 64k;"], id="resolve without zone",
        ),
        pytest.param(
            "upstream g { zone g 64k; server b.test:443 resolve; }", [], [], id="resolve and zone"
        ),
        pytest.param(
            "upstream g { server a.test:443; server a.test:444; }" + server("proxy_pass https://g;"),
            ["sni-missing"], [SNI_ON, "proxy_ssl_name a.test;"], id="group",
        ),
        pytest.param(
            "upstream g { server a.test:443; }" + server("proxy_pass https://g;", SNI_ON),
            ["name-of-group"], ["proxy_ssl_name a.test;"], id="name of the group",
        ),
        pytest.param(
            "upstream g { server a.test:443; server b.test:443; }"
            + server("proxy_pass https://g;", SNI_ON),
            ["name-of-group"], [], id="group of two",
        ),
        pytest.param(
            "upstream a.test { server a.test:443; }" + server("proxy_pass https://a.test;", SNI_ON),
            [], [], id="group called as its peer",
        ),
        pytest.param(
            "upstream g { server a.test:443; }"
            + server("proxy_pass https://g;", "proxy_ssl_name a.test;", SNI_ON, VERIFIED),
            [], [], id="name said",
        ),
        pytest.param(
            "upstream g { server a.test; }"
            + server("proxy_pass https://g;", "proxy_ssl_name a.test;", SNI_ON),
            ["plain-http-upstream"], [], id="port of HTTP",
        ),
        pytest.param(
            server("proxy_pass https://a.test;", SNI_ON, "ssl_trusted_certificate ca.pem;"),
            ["wrong-side"], ["proxy_ssl_trusted_certificate ca.pem;"], id="wrong side",
        ),
        pytest.param(
            server("proxy_pass https://a.test;", "ssl_server_name on;"),
            ["wrong-side"], [SNI_ON], id="no such directive",
        ),
        pytest.param(
            server("proxy_pass https://a.test;", SNI_ON).replace(
                "location", "ssl_protocols TLSv1.2;\nlocation"
            ),
            ["wrong-side"], ["proxy_ssl_protocols TLSv1.2;"], id="wrong side, server",
        ),
        pytest.param(
            server("proxy_pass https://a.test;", SNI_ON, listen="443 ssl").replace(
                "location", "ssl_protocols TLSv1.2; ssl_certificate a; location"
            ),
            [], [], id="right side",
        ),
        pytest.param(
            server("proxy_pass https://a.test;", SNI_ON, VERIFIED)
            + server("proxy_pass https://a.test;", SNI_ON),
            ["shared-sessions"], ["proxy_ssl_session_reuse off;"], id="sessions",
        ),
        pytest.param(
            "upstream g { server a.test:443; keepalive 4; }"
            + server("proxy_pass https://g;", SNI_ON, "proxy_ssl_name a.test;")
            + server("proxy_pass https://g;", SNI_ON, "proxy_ssl_name b.test;",
                     "proxy_ssl_session_reuse off;"),
            ["shared-connections"], [], id="connections",
        ),
        pytest.param(
            "upstream g { server a.test:443; keepalive 4 local; }"
            + server("proxy_pass https://g;", SNI_ON, "proxy_ssl_name a.test;")
            + server("proxy_pass https://g;", SNI_ON, "proxy_ssl_name b.test;",
                     "proxy_ssl_session_reuse off;"),
            [], [], id="connections of their own",
        ),
    ],
)  # fmt: skip
def test_rules(tmp_path: Path, http: str, rules: list[str], new: list[str]) -> None:
    found, text = linted(tmp_path, http)
    assert [rule for rule, _ in found] == rules
    before = (tmp_path / "nginx.conf").read_text().splitlines()
    added = [line for line in text.splitlines() if line not in before]
    assert added == new


def test_depth_is_advice(tmp_path: Path) -> None:
    line = "proxy_ssl_verify on; proxy_ssl_trusted_certificate ca.pem;"
    found, text = linted(tmp_path, server("proxy_pass https://a.test;", SNI_ON, line))
    assert found == [("verify-depth", True)]
    assert not text


def test_a_verification_without_authorities(tmp_path: Path) -> None:
    found, _ = linted(
        tmp_path, server("proxy_pass https://a.test;", SNI_ON, "proxy_ssl_verify on;")
    )
    assert ("verify-not-configured", False) in found


@pytest.mark.parametrize(
    ("http", "status"),
    [
        (server("proxy_pass https://a.test;", SNI_ON), 0),
        (server("proxy_pass https://a.test;"), 3),
        (server("proxy_pass https://192.0.2.1;"), 4),
    ],
)
def test_exit_status(tmp_path: Path, diagnose: Diagnose, http: str, status: int) -> None:
    (tmp_path / "n.conf").write_text(f"events {{}} http {{ {http} }}")
    assert diagnose("-c", str(tmp_path / "n.conf"), "--offline").status == status
