"""Every TLS directive has a scenario."""

from __future__ import annotations

from sniproxy.config.directives.directive import Status
from sniproxy.config.directives.registry import DIRECTIVES
from tests.conformance.conftest import tables

WITHOUT = {
    "proxy_ssl_key_log": "commercial in nginx: the wheel does not know it (tests/build)",
    **dict.fromkeys(
        (
            *("ssl_ocsp", "ssl_ocsp_cache", "ssl_ocsp_responder", "ssl_stapling"),
            *("ssl_stapling_file", "ssl_stapling_responder", "ssl_stapling_verify"),
        ),
        "needs a responder (tests/tls/test_ocsp.py, tests/build/test_client_tls.py)",
    ),
}
"""Directives that scenarios can not test, and where they are tested."""


def test_every_directive_has_a_scenario() -> None:
    text = "\n".join(
        f"{scenario.directives} {scenario.server} {scenario.group} {table.server} {table.http}"
        for table in tables("tests.conformance.tls")
        for scenario in table.scenarios
    )
    used = set(text.replace(";", " ").replace("{", " ").split())
    wanted = {
        row.name
        for row in DIRECTIVES
        if row.name.startswith(("proxy_ssl_", "ssl_"))
        and row.status is Status.WORKS
        and not row.extension
    }
    assert wanted - used - WITHOUT.keys() == set()
    assert not WITHOUT.keys() & used, "has a scenario by now"
