"""What outlives a request: connections of a group, and TLS sessions."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import replace

from sniproxy.testing.upstreams import TLS, UpstreamSpec, catalog
from sniproxy.testing.upstreams.catalog import name_mismatch
from tests.conformance.scenario import GET, Scenario, Table, get
from tests.conformance.upstream.groups import CLOSING, VERIFY

REUSE = "proxy_ssl_session_reuse on;"
KEEP = "GET PATH HTTP/1.1\r\nHost: front.test\r\n\r\n"


def dressed(certificate: str, version: ssl.TLSVersion) -> UpstreamSpec:
    """A good upstream but for its certificate."""
    tls = TLS(certificate, min_version=version, max_version=version)
    return UpstreamSpec(certificate, f"shows the certificate {certificate}", tls=tls)


def keeping() -> Iterator[Scenario]:
    """What outlives a request: connections of a group, and TLS sessions."""
    yield Scenario(
        "keeps-connection",
        "a connection to a peer of a group is kept and used again",
        upstreams=(catalog.GOOD,),
        group="server PEER;",
        repeat=2,
        open_connections=1,
    )
    yield Scenario(
        "keeps-within-connection",
        "the requests of one client share a connection to the peer",
        upstreams=(catalog.GOOD,),
        group="server PEER;",
        requests=(KEEP, GET),
        open_connections=1,
    )
    yield Scenario(
        "upstream-ends",
        "an upstream that says Connection: close is asked on a new connection",
        upstreams=(CLOSING,),
        group="server PEER;",
        repeat=2,
    )
    for version, upstream in (("1.2", catalog.GOOD_12), ("1.3", catalog.GOOD_13)):
        yield Scenario(
            f"session-{version}",
            f"with proxy_ssl_session_reuse the second handshake is a resumed one, in TLS {version}",
            REUSE,
            (upstream,),
            repeat=3,
            sessions_offered=(False, True, True),
        )
        yield Scenario(
            f"session-off-{version}",
            f"without proxy_ssl_session_reuse no session is offered, in TLS {version}",
            "proxy_ssl_session_reuse off;",
            (upstream,),
            repeat=2,
        )
        yield Scenario(
            f"session-no-answer-{version}",
            f"a session outlives a request that failed after the handshake, in TLS {version}",
            REUSE,
            (replace(catalog.CLOSES_ON_REQUEST, tls=upstream.tls),),
            status=502,
            repeat=2,
            sessions_offered=(False, True),
            logs=(catalog.CLOSES_ON_REQUEST.expected_log,) * 2,
        )
    yield Scenario(
        "session-unverified-1.2",
        "in TLS 1.2 a handshake that failed verification leaves a session all the same",
        f"{REUSE} {VERIFY}",
        (dressed("wrong-host", catalog.TLS12),),
        status=502,
        repeat=3,
        sessions_offered=(False, True, True),
        logs=(catalog.WRONG_HOST.expected_log,) * 3,
    )
    yield Scenario(
        "session-unverified-1.3",
        "in TLS 1.3 it leaves none: no ticket is read",
        f"{REUSE} {VERIFY}",
        (dressed("wrong-host", catalog.TLS13),),
        status=502,
        repeat=3,
        logs=(catalog.WRONG_HOST.expected_log,) * 3,
    )
    yield Scenario(
        "session-verified",
        "a resumed session is verified as the first one was",
        f"{REUSE} {VERIFY}",
        repeat=2,
        sessions_offered=(False, True),
    )
    for version, offers in (("1.2", (False, True, True)), ("1.3", (False, True, False))):
        yield Scenario(
            f"session-other-name-{version}",
            "the name is verified on a resumed session too, by the certificate of the first"
            + ("" if version == "1.2" else "; a TLS 1.3 session that led to nothing is used up"),
            f"{REUSE} proxy_ssl_verify on; proxy_ssl_trusted_certificate root.pem;"
            f" proxy_ssl_name $arg_name; proxy_ssl_protocols TLSv{version};",
            requests=(
                KEEP.replace("PATH", "PATH?name=upstream.test"),
                KEEP.replace("PATH", "PATH?name=wrong.test"),
                get(path="PATH?name=any.wild.test"),
            ),
            status=(200, 502, 200),
            sessions_offered=offers,
            logs=(name_mismatch("wrong.test"),),
        )
    yield Scenario(
        "session-shared",
        "locations that pass to the same address share its session, and the chain's verdict",
        f"{REUSE} proxy_ssl_name upstream.test;",
        server=f"location PATH/strict {{ proxy_pass https://PEER; {REUSE} {VERIFY} }}",
        upstreams=(catalog.SELF_SIGNED,),
        requests=(KEEP, get(path="PATH/strict")),
        status=(200, 502),
        sessions_offered=(False, True),
        logs=(catalog.SELF_SIGNED.expected_log,),
    )


TABLE = Table("keeping", tuple(keeping()))
