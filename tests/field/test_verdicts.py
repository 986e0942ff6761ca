"""Verdicts of `diagnose` on upstreams from bug reports."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from sniproxy.diagnose.conclusion import CANNOT_WORK, WORKS, WORKS_WITH
from sniproxy.diagnose.model import Attempt, FailedCertificate, ProbeSpec, Result, Setting
from sniproxy.diagnose.probe import Timeouts
from sniproxy.diagnose.strategy import FLAKY_ATTEMPTS
from sniproxy.diagnose.url import ascii_host
from sniproxy.testing.upstreams import UpstreamSpec
from sniproxy.testing.upstreams.catalog import ALL
from tests.diagnose.conftest import Diagnose, RunUpstreams
from tests.diagnose.fake_upstreams import investigated, make_spec, response
from tests.explain.test_catalog import JARGON

NAME = ("--name", "upstream.test")
ROOT = ("--ca", "root.pem")
CLIENT = ("--cert", "client.pem", "--key", "client.key")
EXPIRED = ("--cert", "client-expired.pem", "--key", "client-expired.key")
OTHER_KEY = ("--cert", "client.pem", "--key", "client-stranger.key")

CASES = {
    "a body that breaks off": ("cut-body", (), 4, "upstream-closed", "breaks off"),
    "a body that stalls": ("stalled-body", (), 4, "timeout", "stalls"),
    "no secure renegotiation": (
        "legacy-renegotiation", (), 4, "legacy-renegotiation", "RFC 5746",
    ),
    "more certificates than OpenSSL accepts": (
        "too-big-chain", NAME, 4, "library-fault", "more certificates than OpenSSL accepts",
    ),
    "a field that breaks the rules": (
        "bad-header", (), 4, "invalid-response", 'says: illegal header line: "Bad Header: x"',
    ),
    "two lengths": (
        "double-length", (), 4, "invalid-response", "conflicting Content-Length headers",
    ),
    "what is no HTTP": ("not-http", (), 4, "not-http1-upstream", "that nginx can use."),
    "HTTP/2 only": ("http-2", (), 3, "not-http1-upstream", "the upstream responds with 200"),
    "another site without SNI": (
        "needs-sni-certificate", NAME, 3, "sni-missing", "certificate of another site",
    ),
    "the right site without SNI": ("good", NAME, 0, "", "works"),
    "IP entries only": ("ip-address", (*NAME, *ROOT), 4, "name-mismatch", "IP entries"),
    "a wildcard": (
        "wildcard", ("--name", "a.b.test", *ROOT), 4, "name-mismatch", "www.upstream.test",
    ),
    "a name that is not its": (
        "wrong-host", (*NAME, *ROOT), 4, "name-mismatch", "--name other.test",
    ),
    "a name that is unknown there": (
        "needs-sni-112", ("--name", "wrong.test"), 4, "sni-wrong-name",
        "does not know the name that was sent (wrong.test)",
    ),
    "a name that changes nothing": (
        "needs-sni-certificate", ("--name", "wrong.test"), 0, "",
        "With the name wrong.test as without one it shows a certificate for other.test",
    ),
    "our certificate has expired": (
        "wants-client-1.2", EXPIRED, 4, "client-certificate-refused", "alert 45",
    ),
    "our certificate has expired, TLS 1.3": (
        "wants-client-1.3", EXPIRED, 4, "client-certificate-refused", "alert 45",
    ),
    "ALPN h2 only": ("needs-alpn", (), 3, "upstream-alpn", "the upstream responds with 200"),
    "our certificate is of another CA": (
        "wants-other-client", CLIENT, 4, "client-certificate-refused", "refuses our certificate",
    ),
    "no certificate of ours": (
        "wants-other-client", (), 4, "client-certificate-needed", "without one",
    ),
    "an expired CA in the chain": (
        "expired-authority", (*NAME, *ROOT), 4, "verify-expired",
        "Certificate 2 of its chain (CN=Test Expired Intermediate) expired on",
    ),
    "its own certificate has expired": (
        "expired", (*NAME, *ROOT), 4, "verify-expired",
        "Its own certificate (CN=a leaf) expired on",
    ),
    "a certificate that is not valid yet": (
        "early", (*NAME, *ROOT), 4, "verify-expired", "is not valid before 20",
    ),
    "a CA that may have none below it": (
        "short-path", (*NAME, *ROOT), 4, "verify-purpose",
        "certificate 3 of its chain (CN=Test Last Intermediate)",
    ),
    "a certificate for clients": (
        "wrong-purpose", (*NAME, *ROOT), 4, "verify-purpose", "serverAuth",
    ),
    "ciphers without a certificate": (
        "anonymous", (), 4, "cipher-mismatch", "only ciphers without a certificate (A",
    ),
    "ciphers without a certificate, verified": (
        "anonymous", (*NAME, *ROOT), 4, "cipher-mismatch", "No directive is proposed",
    ),
    "a key that does not fit": (
        "wants-client-1.3", OTHER_KEY, 4, "upstream-certificate-load", "does not belong",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_verdict(
    name: str, run_upstreams: RunUpstreams, diagnose: Diagnose, certificates: Path
) -> None:
    upstream, options, status, cause, words = CASES[name]
    spec: UpstreamSpec = ALL[upstream]
    paths = [str(certificates / one) if one.endswith((".pem", ".key")) else one for one in options]
    with run_upstreams(spec) as (peer,):
        output = diagnose(f"https://127.0.0.1:{peer.port}/", *paths, "--json")
        printed = diagnose(f"https://127.0.0.1:{peer.port}/", *paths)
    data = output.data
    assert (output.status, data["cause"] or "") == (status, cause), output.text
    assert words in data["verdict"]
    assert not JARGON.search(data["plain"]), data["plain"]
    first = " ".join(printed.text.partition("\n\n")[0].split())
    assert first.startswith(data["plain"]), "the plain sentence is the first"


# --- without a socket ---


def test_an_upstream_that_fails_every_other_time_is_called_flaky() -> None:
    turns = itertools.cycle([True, False])

    def respond(spec: ProbeSpec, setting: Setting) -> Attempt:
        return Attempt(setting, Result.CLOSED, "a line") if next(turns) else response(setting)

    attempts, found = investigated(make_spec("127.0.0.1", "site.test"), respond)
    assert len(attempts) == FLAKY_ATTEMPTS
    assert found.status == CANNOT_WORK
    assert "flaky: 3 of 6 attempts" in found.sentences[0]
    assert not found.directives


def test_a_slow_upstream_works() -> None:
    _, found = investigated(make_spec(), lambda spec, setting: response(setting, seconds=5.0))
    assert found.status == WORKS
    assert "slow: 5.0 s" in found.sentences[1]


def test_silence_is_reported_with_the_patience() -> None:
    def respond(spec: ProbeSpec, setting: Setting) -> Attempt:
        return Attempt(setting, Result.NO_RESPONSE, "a line", seconds=10.0)

    _, found = investigated(make_spec(), respond)
    assert "within 10 s; nginx would wait 60" in found.sentences[0]


REFUSALS = {42: "another CA", 43: "clientAuth", 45: "expired", 48: "CA that issued it"}


@pytest.mark.parametrize("alert", REFUSALS)
def test_the_alert_reports_why_our_certificate_is_refused(alert: int) -> None:
    def respond(spec: ProbeSpec, setting: Setting) -> Attempt:
        number = 116 if setting.proxy.ssl_certificate is None else alert
        return Attempt(
            setting, Result.CERTIFICATE_REQUIRED, "a line", alert=number, certificate_requested=True
        )

    _, found = investigated(make_spec(certificate=("/our.pem", "/our.key")), respond)
    assert (found.status, found.cause) == (CANNOT_WORK, "client-certificate-refused")
    assert f"alert {alert}" in found.sentences[0]
    assert REFUSALS[alert] in found.sentences[1]


VERIFY = {
    7: ("verify-chain", "signature"),
    19: ("verify-chain", "root"),
    24: ("verify-purpose", "not a CA"),
    25: ("verify-purpose", "pathlen"),
    26: ("verify-purpose", "serverAuth"),
    66: ("weak-certificate", "too short"),
    68: ("weak-certificate", "SHA-1"),
    34: ("verify-purpose", "error 34"),
}


@pytest.mark.parametrize("number", VERIFY)
def test_verification_errors_have_sentences_of_their_own(number: int) -> None:
    def respond(spec: ProbeSpec, setting: Setting) -> Attempt:
        if not setting.proxy.ssl_verify:
            return response(setting)
        return Attempt(setting, Result.UNTRUSTED, "a line", verify_result=number)

    spec = make_spec("site.test", "site.test", require_verify=True, authorities="/ca.pem")
    _, found = investigated(spec, respond)
    cause, words = VERIFY[number]
    assert (found.status, found.cause) == (CANNOT_WORK, cause)
    assert words in found.sentences[1]
    assert "--ca" not in found.sentences[1] or cause == "verify-chain"


def test_the_name_of_another_site_is_not_works_with_other_settings() -> None:
    """With the name it shows the right certificate: the two directives."""

    def respond(spec: ProbeSpec, setting: Setting) -> Attempt:
        named = setting.proxy.ssl_server_name
        names = ("site.test",) if named else ("other.test",)
        return response(setting, names=names, sni="site.test" if named else None)

    _, found = investigated(make_spec("127.0.0.1", "site.test"), respond)
    assert (found.status, found.cause) == (WORKS_WITH, "sni-missing")
    assert [one.name for one in found.directives] == ["proxy_ssl_server_name", "proxy_ssl_name"]


# --- arguments ---


@pytest.mark.parametrize("address", ["127.0.0.1:443", "1.2.3", "x", "[::1", ""])
def test_resolve_takes_an_address_only(diagnose: Diagnose, address: str) -> None:
    output = diagnose("https://upstream.test/", "--resolve", address)
    assert output.status == 2
    assert "--resolve takes an IP address" in output.errors


@pytest.mark.parametrize("seconds", ["0", "-1", "x", "nan", "601"])
def test_patience_is_a_number_of_seconds(diagnose: Diagnose, seconds: str) -> None:
    assert diagnose("https://upstream.test/", f"--patience={seconds}").status == 2


def test_patience_is_retained(run_upstreams: RunUpstreams, diagnose: Diagnose) -> None:
    with run_upstreams(ALL["no-response"]) as (peer,):
        output = diagnose(
            f"https://127.0.0.1:{peer.port}/", "--patience", "0.2", timeouts=Timeouts()
        )
    assert output.status == 4
    assert "after 60 s" in output.text


@pytest.mark.parametrize(
    ("text", "ascii_form"),
    [
        ("bücher.test", "xn--bcher-kva.test"),
        ("Bücher.TEST", "xn--bcher-kva.test"),
        ("a.test", "a.test"),
    ],
)
def test_international_names_are_encoded(text: str, ascii_form: str) -> None:
    assert ascii_host(text) == ascii_form


def test_an_international_name_is_sent_encoded(
    run_upstreams: RunUpstreams, diagnose: Diagnose
) -> None:
    with run_upstreams(ALL["needs-sni-112"]) as (peer,):
        output = diagnose(f"https://127.0.0.1:{peer.port}/ü", "--name", "bücher.test", "--json")
    sent = [attempt["server_name"] for attempt in output.data["attempts"]]
    assert "xn--bcher-kva.test" in sent


def test_an_expired_root_of_ours_is_to_be_replaced_here() -> None:
    """The certificate is in the file of authorities: the upstream cannot renew it."""
    failed = FailedCertificate(1, "CN=Old Root", "2001-01-01", "2021-09-30", from_authorities=True)

    def respond(spec: ProbeSpec, setting: Setting) -> Attempt:
        if not setting.proxy.ssl_verify:
            return response(setting)
        return Attempt(
            setting, Result.UNTRUSTED, "a line", verify_result=10, failed_certificate=failed
        )

    spec = make_spec("site.test", "site.test", require_verify=True, authorities="/ca.pem")
    _, found = investigated(spec, respond)
    assert "(CN=Old Root), which is in the file of authorities, expired on 2021-09-30" in " ".join(
        found.sentences
    )
    assert "Use a file with a newer one" in found.sentences[1]
