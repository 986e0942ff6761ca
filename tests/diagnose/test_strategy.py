"""Which attempts are made, and what is said of them: without a socket."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sniproxy.diagnose.conclusion import CANNOT_WORK, WORKS, WORKS_WITH
from sniproxy.diagnose.model import Attempt, ProbeSpec, Result, Setting
from sniproxy.diagnose.report import describe_setting
from sniproxy.diagnose.strategy import FLAKY_ATTEMPTS, MAX_CONNECTIONS
from tests.diagnose import fake_upstreams
from tests.diagnose.fake_upstreams import FakeUpstream, always, investigated, make_spec

NAME = "site.test"
CA: dict[str, Any] = {"require_verify": True, "authorities": "/ca.pem"}
CERTIFICATE: dict[str, Any] = {"certificate": ("/our.pem", "/our.key")}


def settings_tried(attempts: Sequence[Attempt]) -> int:
    """How many different settings were tried; a failure is repeated with the same."""
    return len({attempt.setting for attempt in attempts})


def lines(found: Any) -> list[str]:
    return [directive.text("nginx") for directive in found.directives]


@pytest.mark.parametrize(
    ("spec", "respond", "status", "cause", "output", "connections"),
    [
        pytest.param(make_spec(), always(Result.RESPONSE, status=200), WORKS, "", [], 1, id="good"),
        pytest.param(
            make_spec("127.0.0.1", NAME),
            fake_upstreams.wants_name(NAME, Result.ALERT, alert=112),
            WORKS_WITH,
            "sni-missing",
            ["proxy_ssl_server_name on;", f"proxy_ssl_name {NAME};"],
            2,
            id="address",
        ),
        pytest.param(
            make_spec(NAME, NAME),
            fake_upstreams.wants_name(NAME, Result.NO_SERVER_HELLO),
            WORKS_WITH,
            "sni-missing",
            ["proxy_ssl_server_name on;"],
            2,
            id="name",
        ),
        pytest.param(
            make_spec("front.test", NAME, "front.test"),
            fake_upstreams.wants_name(NAME, Result.CLOSED),
            WORKS_WITH,
            "sni-missing",
            ["proxy_ssl_server_name on;", f"proxy_ssl_name {NAME};"],
            2,
            id="other name",
        ),
        pytest.param(
            make_spec("127.0.0.1", NAME, host_header=NAME),
            fake_upstreams.misdirecting(NAME, 421),
            WORKS_WITH,
            "sni-missing",
            [
                f"proxy_set_header Host {NAME};",
                "proxy_ssl_server_name on;",
                f"proxy_ssl_name {NAME};",
            ],
            2,
            id="421",
        ),
        pytest.param(
            make_spec("127.0.0.1", NAME),
            always(Result.RESPONSE, status=404),
            WORKS,
            "",
            [],
            2,
            id="404 whatever is asked",
        ),
        pytest.param(
            make_spec(),
            fake_upstreams.plain_http,
            WORKS_WITH,
            "plain-http-upstream",
            [],
            2,
            id="plain",
        ),
        pytest.param(
            make_spec(NAME, NAME, **CA),
            fake_upstreams.chain_of(3, NAME),
            WORKS_WITH,
            "verify-not-configured",
            [
                "proxy_ssl_server_name on;",
                "proxy_ssl_verify on;",
                "proxy_ssl_verify_depth 3;",
                "proxy_ssl_trusted_certificate /ca.pem;",
            ],
            4,
            id="depth",
        ),
        pytest.param(
            make_spec(NAME, NAME, **CA),
            fake_upstreams.chain_of(0, "other.test"),
            CANNOT_WORK,
            "name-mismatch",
            [],
            3,
            id="other certificate",
        ),
        pytest.param(
            make_spec(),
            fake_upstreams.old_protocol("TLSv1.1"),
            WORKS_WITH,
            "protocol-version",
            [
                "proxy_ssl_protocols TLSv1.1 TLSv1.2 TLSv1.3;",
                "proxy_ssl_ciphers DEFAULT:@SECLEVEL=0;",
            ],
            5,
            id="old",
        ),
        pytest.param(
            make_spec(**CERTIFICATE),
            fake_upstreams.wants_certificate,
            WORKS_WITH,
            "client-certificate-needed",
            ["proxy_ssl_certificate /our.pem;", "proxy_ssl_certificate_key /our.key;"],
            2,
            id="certificate",
        ),
        pytest.param(
            make_spec(),
            fake_upstreams.wants_certificate,
            CANNOT_WORK,
            "client-certificate-needed",
            [],
            1,
            id="no certificate",
        ),
        pytest.param(
            make_spec(),
            always(Result.UNREACHABLE),
            CANNOT_WORK,
            "connect-failed",
            [],
            1,
            id="absent",
        ),
        pytest.param(
            make_spec(),
            always(Result.ALERT, alert=112),
            CANNOT_WORK,
            "sni-missing",
            [],
            1,
            id="name unknown",
        ),
        pytest.param(
            make_spec("127.0.0.1", NAME),
            always(Result.NO_SERVER_HELLO),
            CANNOT_WORK,
            "timeout",
            [],
            4,
            id="silent",
        ),
    ],
)
def test_verdicts(
    spec: ProbeSpec,
    respond: FakeUpstream,
    status: int,
    cause: str,
    output: list[str],
    connections: int,
) -> None:
    attempts, found = investigated(spec, respond)
    words = [describe_setting(spec, attempt.setting) for attempt in attempts]
    assert (found.status, found.cause) == (status, cause), words
    assert lines(found) == output
    assert settings_tried(attempts) == connections, words
    assert len(found.sentences) == 2


def test_verification_that_passes_is_advice() -> None:
    spec = make_spec(NAME, NAME, authorities="/system.pem")
    _, found = investigated(spec, fake_upstreams.chain_of(2, NAME))
    assert found.status == WORKS
    assert [directive.text("nginx") for directive in found.advice] == [
        "proxy_ssl_server_name on;",
        "proxy_ssl_verify on;",
        "proxy_ssl_verify_depth 2;",
        "proxy_ssl_trusted_certificate /system.pem;",
    ]


def test_a_wrong_port_is_not_plain_http() -> None:
    """A TLS server may answer plain HTTP, to say that it wants TLS."""

    def respond(spec: ProbeSpec, setting: Setting) -> Attempt:
        if setting.plain:
            text = "The plain HTTP request was sent to HTTPS port"
            return fake_upstreams.response(setting, 400, body=text)
        return Attempt(setting, Result.CLOSED, line="a line")

    assert investigated(make_spec(), respond)[1].status == CANNOT_WORK


def test_the_other_family_is_reported_of() -> None:
    def respond(spec: ProbeSpec, setting: Setting) -> Attempt:
        if setting.address:
            return Attempt(setting, Result.UNREACHABLE, "a line", address="[::1]:443")
        return fake_upstreams.response(setting)

    spec = make_spec(NAME, NAME, addresses=("192.0.2.1", "192.0.2.2", "2001:db8::1"))
    attempts, found = investigated(spec, respond)
    assert [attempt.setting.address for attempt in attempts] == [0, 2]
    assert found.status == WORKS
    assert "[::1]:443 cannot be reached" in found.sentences[1]


def test_without_requests_the_first_bytes_decide() -> None:
    attempts, found = investigated(make_spec(send_request=False), always(Result.PLAIN_HTTP))
    assert (settings_tried(attempts), found.status, found.url) == (
        1,
        WORKS_WITH,
        "http://127.0.0.1",
    )


@given(st.data())
def test_every_upstream_comes_to_a_verdict(data: st.DataObject) -> None:
    """Whatever answers whatever: attempts end, repeats follow at once, and there is a verdict."""

    def respond(spec: ProbeSpec, setting: Setting) -> Attempt:
        result = data.draw(st.sampled_from(Result))
        status = (
            data.draw(st.sampled_from([200, 403, 421, 400])) if result is Result.RESPONSE else None
        )
        return Attempt(
            setting,
            result,
            "a line",
            alert=data.draw(st.sampled_from([None, 40, 112, 116, 255])),
            certificate_requested=data.draw(st.booleans()),
            verify_result=data.draw(st.sampled_from([0, 18, 20, 21])),
            intermediates=data.draw(st.sampled_from([None, 0, 2])),
            protocol=data.draw(st.sampled_from(["", "TLSv1", "TLSv1.2"])),
            status=status,
        )

    more: dict[str, Any] = data.draw(
        st.sampled_from([{}, CA, CERTIFICATE, {"send_request": False}])
    )
    names = data.draw(st.sampled_from([(), (NAME,), (NAME, "other.test")]))
    spec = make_spec(data.draw(st.sampled_from(["127.0.0.1", NAME])), *names, **more)
    attempts, found = investigated(spec, respond)
    assert 1 <= len(attempts) <= MAX_CONNECTIONS
    runs = [len(list(same)) for _, same in itertools.groupby(a.setting for a in attempts)]
    assert len(runs) == settings_tried(attempts), "a setting was taken up again"
    assert max(runs) <= FLAKY_ATTEMPTS
    assert found.status in (WORKS, WORKS_WITH, CANNOT_WORK)
    assert (found.status == CANNOT_WORK) == (found.chosen is None) or not spec.send_request
