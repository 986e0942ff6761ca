"""The data: complete and sound."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sniproxy import config
from sniproxy.explain import Cause, Signature, catalog
from sniproxy.explain.placeholders import fill
from sniproxy.testing.upstreams import UpstreamSpec
from sniproxy.testing.upstreams import catalog as upstream_catalog
from tests.explain.cases import cases, read
from tests.explain.fix_cases import ROWS, STARTUP

CAUSES = list(catalog().causes.values())
SIGNATURES = catalog().signatures
SIDES = {"upstream", "client", "startup"}
PLACEHOLDER = re.compile(r"(?<!%)\{(\w+)\}")
KNOWN = {
    "scheme",
    "name",
    "address",
    "ca",
    "certificate",
    "key",
    "crl",
    "group",
    "resolver",
    "front",
}


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.name)
def test_a_cause_has_all_fields(cause: Cause) -> None:
    assert re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", cause.name)
    assert set(cause.sides) <= SIDES
    assert cause.title
    assert cause.explains.endswith((".", ")"))
    assert cause.likely
    assert cause.source
    assert all(cause.fixes_for(side) for side in cause.sides)
    weakening = [bool(fix.weakens) for fix in cause.fixes]
    assert weakening == sorted(weakening), "fixes that keep security come first"
    assert not all(weakening), "a cause without a fix that keeps security"
    for fix in cause.fixes:
        assert bool(fix.instruction) != bool(fix.directives)
    texts = [*cause.proof, *(text for fix in cause.fixes for text in fix.directives)]
    assert {name for text in texts for name in PLACEHOLDER.findall(text)} <= KNOWN


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.name)
def test_directives_are_nginx_s(cause: Cause, tmp_path: Path) -> None:
    """Each is one that may stand where the cure says."""
    for fix in cause.fixes:
        if not fix.directives or fix.kind != "directive":
            continue
        text = " ".join(fill(one, SAMPLE) for one in fix.directives)
        context = "server" if fix.side in ("client", "startup") else fix.context
        file = tmp_path / "nginx.conf"
        file.write_text(
            CONTEXTS[fix.context if fix.context in ("main", "upstream") else context] % text
        )
        config.load(str(file))


WEAK = re.compile(
    r"SECLEVEL=[01]|\bALL\b|TLSv1 |TLSv1\.1 |SSLv|verify(?:_client)? (?:off|optional)|"
    r"proxy_pass http://|UnsafeLegacy|aNULL(?<!!aNULL)|\"HTTP\""
)


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.name)
def test_a_fix_that_gives_up_security_says_so(cause: Cause) -> None:
    for fix in cause.fixes:
        assert bool(fix.weakens) == bool(WEAK.search(" ".join(fix.directives))), fix


JARGON = re.compile(
    r"TLS|SSL|SNI|ALPN|OCSP|CRL|PEM|ACME|DNS|TCP|upstream|handshake|cipher|\bCA\b|\balert\b|"
    r"protocol version|proxy_|directive|chain|socket|resolver|\bHost\b|header|hostname"
)


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.name)
def test_the_first_sentence_has_no_terms_of_art(cause: Cause) -> None:
    assert re.fullmatch(r"[A-Zn][^.]*\.", cause.plain.replace("https://.", "https.")), cause.plain
    assert not JARGON.search(cause.plain), cause.plain
    if cause.background:
        assert cause.background.endswith(".")
    if cause.name.startswith("sni-"):
        assert "needs to be told which one" in cause.background


@pytest.mark.parametrize("signature", SIGNATURES, ids=lambda signature: signature.name)
def test_proofs_for_plain_upstreams_are_plain(signature: Signature) -> None:
    """Of lines that may name an http:// upstream; where the cause is the missing TLS, with it."""
    if signature.side != "upstream" or not (
        {"http", "fastcgi"} & signature.schemes or is_about_plain_upstreams(signature)
    ):
        return
    cause = signature.causes[0]
    if cause.name != "http-to-tls-upstream":
        proof = " ".join(cause.proof_for("http"))
        assert "https://" not in proof
        assert "s_client" not in proof


def is_about_plain_upstreams(signature: Signature) -> bool:
    """Whether its lines may be about upstreams without TLS: no TLS in its conditions."""
    texts = " ".join((*signature.text, *signature.during))
    tls = signature.reasons or signature.alerts or signature.verify or signature.to_public_https
    return not tls and signature.schemes <= {"http"} and not re.search("SSL|ssl", texts)


SAMPLE = dict.fromkeys(KNOWN, "sample") | {
    "scheme": "http",
    "address": "127.0.0.1:1",
    "resolver": "127.0.0.1",
}
CONTEXTS = {
    "location": "events {} http { server { location / { %s } } }",
    "server": "events {} http { limit_req_zone $host zone=one:1m rate=1r/s; server { %s } }",
    "upstream": "events {} http { upstream u { server 127.0.0.1:1; %s } }",
    "main": "%s http {}",
}


@pytest.mark.parametrize("signature", SIGNATURES, ids=lambda signature: signature.name)
def test_a_signature_is_valid(signature: Signature) -> None:
    assert signature.side in SIDES
    assert signature.meaning.endswith((".", ")"))
    assert signature.causes
    assert (
        signature.text
        or signature.reasons
        or signature.alerts
        or signature.verify
        or signature.levels
    )
    assert all(signature.side in cause.sides for cause in signature.causes), (
        "a cause of another side"
    )
    assert set(PLACEHOLDER.findall(signature.distinguish)) <= KNOWN
    assert all(reason == reason.lower() for reason in signature.reasons)


def test_names_are_unique_and_all_causes_are_used() -> None:
    assert len({signature.name for signature in SIGNATURES}) == len(SIGNATURES)
    used = {cause.name for signature in SIGNATURES for cause in signature.causes}
    assert used == set(catalog().causes), "a cause that no line has"


def test_all_that_people_met_is_there() -> None:
    assert {case.cause for case in cases()} <= set(catalog().causes)


SIDE_BY_SIDE = {
    "expired": "verify-expired",
    "early": "verify-expired",
    "revoked": "verify-revoked",
    "wrong-host": "name-mismatch",
    "self-signed": "verify-chain",
    "untrusted": "verify-chain",
    "absent": "connect-failed",
    "full": "timeout",
    "plain-http": "plain-http-upstream",
    "not-tls": "plain-http-upstream",
    "no-response": "timeout",
    "closes-on-request": "keepalive",
    "cut-body": "keepalive",
    "not-http": "not-http1-upstream",
    "bad-header": "invalid-response",
    "double-length": "invalid-response",
    "big-header": "header-too-big",
    "legacy-renegotiation": "legacy-renegotiation",
    "needs-alpn": "upstream-alpn",
    "weak-dh": "weak-dh",
}


@pytest.mark.parametrize(
    "upstream_spec", upstream_catalog.ALL.values(), ids=lambda upstream_spec: upstream_spec.name
)
def test_lines_of_the_faulty_upstreams_are_explained(upstream_spec: UpstreamSpec) -> None:
    if not upstream_spec.expected_log:
        return
    explanation = read(
        f"2024/07/15 17:14:08 [error] 1#1: *1 {upstream_spec.expected_log}, client: 192.0.2.1, "
        'server: a.b, request: "GET / HTTP/1.1", upstream: "https://192.0.2.9:8443/", host: "a.b"'
    )
    assert explanation is not None
    assert explanation.side == "upstream"
    if upstream_spec.name in SIDE_BY_SIDE:
        assert explanation.signature.cause_names[0] == SIDE_BY_SIDE[upstream_spec.name]


NOT_PROVOKED = {
    "needs another library or release": {
        "library-fault",
        "client-library",
        "client-ech",
        "client-eof",
        "built-without-tls",
    },
    "nothing to mend, or nothing at nginx": {
        "client-closed",
        "client-timeout",
        "client-garbage",
        "client-fallback",
        "client-distrusts-us",
        "client-name-rejected",
        "client-name-differs",
        "connect-failed",
        "handshake-closed",
        "handshake-refused",
        "invalid-response",
        "no-live-upstreams",
        "not-http1-upstream",
        "response-buffered",
        "websocket-closed",
        "early-response",
        "resolver-unreachable",
        "auth-request",
        "session-cache-full",
        "body-too-large",
        "request-limit",
        "upstream-closed",
        "verify-expired",
        "verify-purpose",
        "verify-revoked",
        "ocsp-stapling",
        "worker-limits",
        "upstream-zone-full",
        "access-denied",
        "preread-buffer-full",
    },
    "a typing error, or the machine": {
        "no-ipv6",
        "ports-exhausted",
        "resolve-without-zone",
        "resolver-not-found",
        "temporary-files",
        "cache-file",
        "unfilled-template",
        "config-error",
        "port-forbidden",
        "port-taken",
        "unknown-directive",
    },
    "an upstream that takes no cure": {"legacy-renegotiation"},
    "a FastCGI program has to say so (tests/real_world)": {
        "fastcgi-script-missing",
        "fastcgi-application-log",
    },
    "modules that sniproxy does not have": {"client-alpn", "upstream-alpn", "proxy-protocol"},
}


def test_each_cause_is_provoked_or_it_is_configured_why_not() -> None:
    provoked = {row.cause for row in (*ROWS, *STARTUP)}
    excused = set().union(*NOT_PROVOKED.values())
    assert not provoked & excused
    assert provoked | excused == set(catalog().causes)
