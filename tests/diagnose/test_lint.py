"""What the text alone shows, rule by rule, and what the text becomes."""

from __future__ import annotations

from pathlib import Path

import pytest

from sniproxy.diagnose.config_file import FileOptions, diagnose_file
from sniproxy.diagnose.probe import Timeouts
from tests.diagnose.conftest import Diagnose

WISH = Timeouts()


def linted(directory: Path, inside: str, block: str = "http") -> tuple[list[tuple[str, bool]], str]:
    """The rules that found something, whether as advice, and the changed text."""
    file = directory / "nginx.conf"
    file.write_text(f"events {{}}\n{block} {{\n{inside}\n}}\n")
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


def stream(*lines: str, listen: str = "5000", outside: str = "") -> str:
    inside = "\n".join(lines)
    return f"{outside}\nserver {{ listen 127.0.0.1:{listen};\n{inside}\n}}"


GROUP = "upstream g { server a.test:443; }"


@pytest.mark.parametrize(
    ("inside", "rules", "new"),
    [
        pytest.param(
            stream("proxy_pass a.test:443;", "proxy_ssl on;"), ["sni-missing"], [SNI_ON],
            id="without SNI",
        ),
        pytest.param(stream("proxy_pass a.test:443;"), [], [], id="plain"),
        pytest.param(
            stream("proxy_pass a.test:443;", outside="proxy_ssl on;"), ["sni-missing"], [SNI_ON],
            id="TLS by the block around",
        ),
        pytest.param(
            stream("proxy_pass a.test:443;", "proxy_ssl on;", SNI_ON), [], [], id="with SNI"
        ),
        pytest.param(
            stream("proxy_pass 192.0.2.1:443;", "proxy_ssl on;"), ["sni-missing"], [],
            id="an address",
        ),
        pytest.param(
            stream("proxy_pass unix:/run/a.sock;", "proxy_ssl on;"), [], [], id="a socket"
        ),
        pytest.param(
            stream("proxy_pass $ssl_preread_server_name:443;", "proxy_ssl on;"),
            ["sni-missing"], [SNI_ON], id="variables",
        ),
        pytest.param(
            stream("proxy_pass g;", "proxy_ssl on;", outside=GROUP),
            ["sni-missing"], [SNI_ON, "proxy_ssl_name a.test;"], id="group",
        ),
        pytest.param(
            stream("proxy_pass g;", "proxy_ssl on;", SNI_ON, outside=GROUP),
            ["name-of-group"], ["proxy_ssl_name a.test;"], id="name of the group",
        ),
        pytest.param(
            stream("proxy_pass g;", "proxy_ssl on;", SNI_ON, VERIFIED, outside=GROUP),
            ["name-of-group"], ["proxy_ssl_name a.test;"], id="verified by the name of the group",
        ),
        pytest.param(
            stream("proxy_pass a.test:443;", "proxy_ssl on;", "ssl_name a.test;", SNI_ON),
            ["wrong-side"], ["proxy_ssl_name a.test;"], id="no such directive",
        ),
        pytest.param(
            stream("proxy_pass g;", "proxy_ssl on;", SNI_ON, "proxy_ssl_name a.test;",
                   outside=GROUP)
            + stream("proxy_pass g;", "proxy_ssl on;", SNI_ON, "proxy_ssl_name a.test;", VERIFIED,
                     listen="5001"),
            ["shared-sessions"], ["proxy_ssl_session_reuse off;"], id="sessions",
        ),
        pytest.param(
            stream("proxy_pass a.test:443;", outside="upstream h {\nserver b.test:1 resolve;\n}"),
            ["resolve-without-zone"], ["zone h 64k;"], id="resolve without zone",
        ),
    ],
)  # fmt: skip
def test_rules_of_stream(tmp_path: Path, inside: str, rules: list[str], new: list[str]) -> None:
    found, text = linted(tmp_path, inside, "stream")
    assert [rule for rule, _ in found] == rules
    before = (tmp_path / "nginx.conf").read_text().splitlines()
    assert [line for line in text.splitlines() if line not in before] == new


def test_group_of_stream_is_not_that_of_http(tmp_path: Path) -> None:
    """Both have peers, and TLS sessions, of their own."""
    file = tmp_path / "nginx.conf"
    file.write_text(
        f"events {{}} http {{ {GROUP} server {{ location / {{ proxy_pass https://g; {SNI_ON}"
        f" proxy_ssl_name a.test; }} }} }} stream {{ {GROUP} server {{ listen 1; proxy_pass g;"
        f" proxy_ssl on; {SNI_ON} proxy_ssl_name b.test; }} }}"
    )
    report = diagnose_file(FileOptions(str(file), offline=True), WISH, lambda *_: None)
    assert (report.sites, report.findings) == (2, [])


@pytest.mark.parametrize(
    ("passes", "prefix"),
    [("grpc_pass grpcs://g;", "grpc_"), ("uwsgi_pass suwsgi://g;", "uwsgi_")],
)
def test_rules_of_other_modules(tmp_path: Path, passes: str, prefix: str) -> None:
    found, text = linted(tmp_path, GROUP + server(passes))
    assert found == [("sni-missing", False)]
    assert f"{prefix}ssl_server_name on;\n{prefix}ssl_name a.test;" in text


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
