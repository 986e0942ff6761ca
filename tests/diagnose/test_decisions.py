"""Which attempts are made, and what is said of them: without a socket."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sniproxy.diagnose.attempts import Attempt, Question, Result, Setting
from sniproxy.diagnose.plan import MOST
from sniproxy.diagnose.report import setting_words
from sniproxy.diagnose.verdict import CANNOT, WORKS, WORKS_WITH
from tests.diagnose import worlds
from tests.diagnose.worlds import World, always, investigated, question

NAME = "site.test"
CA: dict[str, Any] = {"insists": True, "authorities": "/ca.pem"}
CERTIFICATE: dict[str, Any] = {"certificate": ("/our.pem", "/our.key")}


def lines(found: Any) -> list[str]:
    return [directive.text("nginx") for directive in found.directives]


@pytest.mark.parametrize(
    ("asked", "world", "status", "cause", "said", "connections"),
    [
        pytest.param(question(), always(Result.ANSWERED, status=200), WORKS, "", [], 1, id="good"),
        pytest.param(
            question("127.0.0.1", NAME),
            worlds.wants_name(NAME, Result.ALERT, alert=112),
            WORKS_WITH,
            "sni-missing",
            ["proxy_ssl_server_name on;", f"proxy_ssl_name {NAME};"],
            2,
            id="address",
        ),
        pytest.param(
            question(NAME, NAME),
            worlds.wants_name(NAME, Result.SILENT),
            WORKS_WITH,
            "sni-missing",
            ["proxy_ssl_server_name on;"],
            2,
            id="name",
        ),
        pytest.param(
            question("front.test", NAME, "front.test"),
            worlds.wants_name(NAME, Result.CLOSED),
            WORKS_WITH,
            "sni-missing",
            ["proxy_ssl_server_name on;", f"proxy_ssl_name {NAME};"],
            2,
            id="other name",
        ),
        pytest.param(
            question("127.0.0.1", NAME, host_header=NAME),
            worlds.misdirecting(NAME, 421),
            WORKS_WITH,
            "sni-missing",
            [f"proxy_set_header Host {NAME};", "proxy_ssl_server_name on;",
             f"proxy_ssl_name {NAME};"],
            2,
            id="421",
        ),
        pytest.param(
            question("127.0.0.1", NAME),
            always(Result.ANSWERED, status=404),
            WORKS,
            "",
            [],
            2,
            id="404 whatever is asked",
        ),
        pytest.param(
            question(), worlds.plain_http, WORKS_WITH, "plain-http-upstream", [], 2, id="plain"
        ),
        pytest.param(
            question(NAME, NAME, **CA),
            worlds.chain_of(3, NAME),
            WORKS_WITH,
            "verify-not-configured",
            ["proxy_ssl_server_name on;", "proxy_ssl_verify on;", "proxy_ssl_verify_depth 3;",
             "proxy_ssl_trusted_certificate /ca.pem;"],
            4,
            id="depth",
        ),
        pytest.param(
            question(NAME, NAME, **CA),
            worlds.chain_of(0, "other.test"),
            CANNOT,
            "name-mismatch",
            [],
            2,
            id="other certificate",
        ),
        pytest.param(
            question(),
            worlds.old("TLSv1.1"),
            WORKS_WITH,
            "protocol-version",
            ["proxy_ssl_protocols TLSv1.1 TLSv1.2 TLSv1.3;",
             "proxy_ssl_ciphers DEFAULT:@SECLEVEL=0;"],
            5,
            id="old",
        ),
        pytest.param(
            question(**CERTIFICATE),
            worlds.wants_certificate,
            WORKS_WITH,
            "client-certificate-needed",
            ["proxy_ssl_certificate /our.pem;", "proxy_ssl_certificate_key /our.key;"],
            2,
            id="certificate",
        ),
        pytest.param(
            question(), worlds.wants_certificate, CANNOT, "client-certificate-needed", [], 1,
            id="no certificate",
        ),
        pytest.param(
            question(), always(Result.UNREACHABLE), CANNOT, "connect-failed", [], 1, id="absent"
        ),
        pytest.param(
            question(), always(Result.ALERT, alert=112), CANNOT, "sni-missing", [], 1,
            id="name unknown",
        ),
        pytest.param(
            question("127.0.0.1", NAME), always(Result.SILENT), CANNOT, "handshake-closed", [], 4,
            id="silent",
        ),
    ],
)  # fmt: skip
def test_verdicts(
    asked: Question, world: World, status: int, cause: str, said: list[str], connections: int
) -> None:
    attempts, found = investigated(asked, world)
    words = [setting_words(asked, attempt.setting) for attempt in attempts]
    assert (found.status, found.cause) == (status, cause), words
    assert lines(found) == said
    assert len(attempts) == connections, words
    assert len(found.sentences) == 2


def test_verification_that_passes_is_advice() -> None:
    asked = question(NAME, NAME, authorities="/system.pem")
    _, found = investigated(asked, worlds.chain_of(2, NAME))
    assert found.status == WORKS
    assert [directive.text("nginx") for directive in found.advice] == [
        "proxy_ssl_server_name on;",
        "proxy_ssl_verify on;",
        "proxy_ssl_verify_depth 2;",
        "proxy_ssl_trusted_certificate /system.pem;",
    ]


def test_a_wrong_port_is_not_plain_http() -> None:
    """A TLS server may answer plain HTTP, to say that it wants TLS."""

    def world(asked: Question, setting: Setting) -> Attempt:
        if setting.plain:
            text = "The plain HTTP request was sent to HTTPS port"
            return worlds.answering(setting, 400, answer=text)
        return Attempt(setting, Result.CLOSED, line="a line")

    assert investigated(question(), world)[1].status == CANNOT


def test_the_other_family_is_told_of() -> None:
    def world(asked: Question, setting: Setting) -> Attempt:
        if setting.address:
            return Attempt(setting, Result.UNREACHABLE, "a line", address="[::1]:443")
        return worlds.answering(setting)

    asked = question(NAME, NAME, addresses=("192.0.2.1", "192.0.2.2", "2001:db8::1"))
    attempts, found = investigated(asked, world)
    assert [attempt.setting.address for attempt in attempts] == [0, 2]
    assert found.status == WORKS
    assert "[::1]:443 can not be reached" in found.sentences[1]


def test_without_requests_the_first_bytes_decide() -> None:
    attempts, found = investigated(question(may_ask=False), always(Result.PLAIN_HTTP))
    assert (len(attempts), found.status, found.url) == (1, WORKS_WITH, "http://127.0.0.1")


@given(st.data())
def test_every_upstream_comes_to_a_verdict(data: st.DataObject) -> None:
    """Whatever answers whatever: attempts end, none is made twice, and there is a verdict."""

    def world(asked: Question, setting: Setting) -> Attempt:
        result = data.draw(st.sampled_from(Result))
        status = (
            data.draw(st.sampled_from([200, 403, 421, 400])) if result is Result.ANSWERED else None
        )
        return Attempt(
            setting,
            result,
            "a line",
            alert=data.draw(st.sampled_from([None, 40, 112, 116, 255])),
            asked=data.draw(st.booleans()),
            verify_result=data.draw(st.sampled_from([0, 18, 20, 21])),
            intermediates=data.draw(st.sampled_from([None, 0, 2])),
            protocol=data.draw(st.sampled_from(["", "TLSv1", "TLSv1.2"])),
            status=status,
        )

    more: dict[str, Any] = data.draw(st.sampled_from([{}, CA, CERTIFICATE, {"may_ask": False}]))
    names = data.draw(st.sampled_from([(), (NAME,), (NAME, "other.test")]))
    asked = question(data.draw(st.sampled_from(["127.0.0.1", NAME])), *names, **more)
    attempts, found = investigated(asked, world)
    assert 1 <= len(attempts) <= MOST
    settings = [attempt.setting for attempt in attempts]
    assert all(setting not in settings[:index] for index, setting in enumerate(settings))
    assert found.status in (WORKS, WORKS_WITH, CANNOT)
    assert (found.status == CANNOT) == (found.followed is None) or not asked.may_ask
