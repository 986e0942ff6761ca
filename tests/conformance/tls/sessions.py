"""`proxy_ssl_session_reuse` where locations share a peer: one session for all of them, and with
it the verdict on the chain."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sniproxy.testing.upstreams import TLS, UpstreamSpec, catalog
from sniproxy.testing.upstreams.catalog import TLS12, TLS13, name_mismatch, verify_failed
from tests.conformance.scenario import GET, Scenario, Table
from tests.conformance.upstream.groups import CLOSING, LAST

REUSE = "proxy_ssl_session_reuse on;"
NAME = "proxy_ssl_name upstream.test;"
TRUSTED = "proxy_ssl_trusted_certificate root.pem; proxy_ssl_verify on;"
STRANGER = "proxy_ssl_trusted_certificate stranger.pem; proxy_ssl_verify on;"
GOOD = {"1.2": catalog.GOOD_12, "1.3": catalog.GOOD_13}
VERSIONS = {"1.2": TLS12, "1.3": TLS13}


def query(*paths: str) -> tuple[str, ...]:
    """GETs of PATH/… on one connection."""
    requests = [
        GET.replace("PATH", f"PATH{path}").replace("Connection: close\r\n", "") for path in paths
    ]
    requests[-1] = GET.replace("PATH", f"PATH{paths[-1]}")
    return tuple(requests)


def beside(**locations: str) -> str:
    """Locations beside the scenario's own, to the same peer."""
    return " ".join(
        f"location PATH/{name} {{ proxy_pass https://PEER; {directives} }}"
        for name, directives in locations.items()
    )


def dressed(certificate: str, version: str) -> UpstreamSpec:
    tls = TLS(certificate, min_version=VERSIONS[version], max_version=VERSIONS[version])
    return UpstreamSpec(
        f"{certificate}-{version}", f"shows {certificate}, in TLS {version}", tls=tls
    )


def in_each_version() -> Iterator[Scenario]:
    for version, good in GOOD.items():
        own, strange = f"{REUSE} {NAME} {TRUSTED}", f"{REUSE} {NAME} {STRANGER}"
        untrusted = verify_failed(21, "")
        in_vain = version == "1.2"  # whether a handshake that came to nothing leaves a session
        yield Scenario(
            f"good-over-bad-{version}",
            "a location with another authority takes the chain for good once a neighbour has"
            f" made a session, in TLS {version}",
            own,
            (good,),
            server=beside(strange=strange),
            requests=query("/strange", "", "/strange"),
            status=(502, 502, 502) if in_vain else (502, 200, 200),
            sessions_offered=(False, in_vain, True),
            logs=(untrusted,) * 3 if in_vain else (untrusted,),
        )
        yield Scenario(
            f"good-first-{version}",
            f"the good chain of a neighbour stays good, in TLS {version}",
            own,
            (good,),
            server=beside(strange=strange),
            requests=query("", "/strange"),
            status=(200, 200),
            sessions_offered=(False, True),
        )
        yield Scenario(
            f"error-of-unverified-{version}",
            f"what a neighbour did not verify is verified by its error, in TLS {version}",
            f"{REUSE} {NAME}",
            (dressed("self-signed", version),),
            server=beside(strict=f"{REUSE} {NAME} {TRUSTED}"),
            requests=query("", "/strict", ""),
            status=(200, 502, 200),
            sessions_offered=(False, True, version == "1.2"),
            logs=(verify_failed(18, ""),),
        )
        yield Scenario(
            f"unverified-good-{version}",
            "a good chain that nobody verified has an error too: no authority was known, in TLS"
            f" {version}",
            f"{REUSE} {NAME}",
            (good,),
            server=beside(strict=f"{REUSE} {NAME} {TRUSTED}"),
            requests=query("", "/strict"),
            status=(200, 502),
            sessions_offered=(False, True),
            logs=(verify_failed(20, ""),),
        )
        yield Scenario(
            f"other-name-{version}",
            f"another name is looked for on the first certificate, in TLS {version}",
            own,
            (good,),
            server=beside(other=f"{REUSE} {TRUSTED} proxy_ssl_name other.test;"),
            requests=query("", "/other"),
            status=(200, 502),
            sessions_offered=(False, True),
            logs=(name_mismatch("other.test"),),
        )
        yield Scenario(
            f"other-depth-{version}",
            f"a chain that was good at one depth is good at every other, in TLS {version}",
            f"{own} proxy_ssl_verify_depth 2;",
            (dressed("deep-2", version),),
            server=beside(flat=f"{REUSE} {NAME} {TRUSTED} proxy_ssl_verify_depth 0;"),
            requests=query("", "/flat"),
            status=(200, 200),
            sessions_offered=(False, True),
        )
        yield Scenario(
            f"revoked-since-{version}",
            f"revocation is not looked at again, in TLS {version}",
            own,
            (dressed("revoked", version),),
            server=beside(lists=f"{REUSE} {NAME} {TRUSTED} proxy_ssl_crl one-revoked.crl;"),
            requests=query("", "/lists"),
            status=(200, 200),
            sessions_offered=(False, True),
        )
        yield Scenario(
            f"neighbour-off-{version}",
            "a location without proxy_ssl_session_reuse neither offers nor leaves one, in TLS"
            f" {version}",
            REUSE,
            (good,),
            server=beside(off="proxy_ssl_session_reuse off;"),
            requests=query("/off", "", "/off", ""),
            status=(200,) * 4,
            sessions_offered=(False, False, False, True),
        )
        yield Scenario(
            f"other-protocol-{version}",
            f"a session of TLS {version} is not offered where that is not spoken",
            f"{REUSE} proxy_ssl_protocols TLSv{version};",
            (catalog.GOOD,),
            server=beside(
                other=f"{REUSE} proxy_ssl_protocols TLSv{'1.3' if version == '1.2' else '1.2'};"
            ),
            requests=query("", "/other", "/other", ""),
            status=(200,) * 4,
            sessions_offered=(False, False, True, False),
        )
        yield Scenario(
            f"cut-body-{version}",
            f"a body that breaks off leaves the session good, in TLS {version}",
            REUSE,
            (replace(catalog.CUT_BODY, tls=good.tls),),
            repeat=2,
            sessions_offered=(False, True),
            logs=(catalog.CUT_BODY.expected_log,) * 2,
        )
        yield Scenario(
            f"cut-rudely-{version}",
            f"so does one that ends without close_notify, in TLS {version}",
            REUSE,
            (replace(catalog.CUT_BODY_NO_CLOSE_NOTIFY, tls=good.tls),),
            repeat=2,
            sessions_offered=(False, True),
            logs=(catalog.CUT_BODY_NO_CLOSE_NOTIFY.expected_log,) * 2,
        )
        yield Scenario(
            f"mute-{version}",
            f"after a time-out for the answer, in TLS {version}: "
            + ("the handshake left one" if in_vain else "the ticket was there, and nobody read it"),
            f"{REUSE} proxy_read_timeout 300ms;",
            (replace(catalog.NO_RESPONSE, tls=good.tls),),
            status=504,
            repeat=2,
            sessions_offered=(False, True),
            logs=(catalog.NO_RESPONSE.expected_log,) * 2,
        )
        yield Scenario(
            f"group-{version}",
            f"each peer of a group has a session of its own, in TLS {version}",
            REUSE,
            (
                replace(CLOSING, tls=good.tls),
                replace(LAST, response=CLOSING.response, tls=good.tls),
            ),
            group="server PEER; server PEER2;",
            repeat=4,
            sessions_offered=(False, True, False, True),
        )
    yield Scenario(
        "other-sni",
        "a session is offered whatever the name that is sent",
        f"{REUSE} proxy_ssl_server_name on; proxy_ssl_name $arg_n;",
        (catalog.GOOD_12,),
        requests=query("?n=upstream.test", "?n=upstream.test"),
        status=(200, 200),
        sni="upstream.test",
        sessions_offered=(False, True),
    )


TABLE = Table("sessions", tuple(in_each_version()))
