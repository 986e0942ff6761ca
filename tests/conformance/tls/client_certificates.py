"""`proxy_ssl_certificate` and its kin: which certificate is shown to an upstream."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sniproxy.testing.upstreams import TLS, UpstreamSpec, catalog
from sniproxy.testing.upstreams.catalog import CONNECTING, HANDSHAKING, READING_HEAD
from tests.conformance.scenario import GET, Scenario, Table, get
from tests.conformance.upstream.groups import LAST

CLIENT = "proxy_ssl_certificate client.pem; proxy_ssl_certificate_key client.key;"
BY_VARIABLE = "proxy_ssl_certificate $arg_c.pem; proxy_ssl_certificate_key $arg_k.key;"
ENCRYPTED = "proxy_ssl_certificate client.pem; proxy_ssl_certificate_key client-encrypted.key;"
KEEP = GET.replace("Connection: close\r\n", "")


def own(name: str) -> str:
    return f"proxy_ssl_certificate {name}.pem; proxy_ssl_certificate_key {name}.key;"


def alert(version: str, number: int, code: str, words: str) -> str:
    """The upstream's refusal: inside a handshake of TLS 1.2, after one of TLS 1.3."""
    call, action = (
        ("SSL_do_handshake()", HANDSHAKING) if version == "1.2" else ("SSL_read()", READING_HEAD)
    )
    return (
        f"{call} failed (SSL: error:{code}:SSL routines::{words}:SSL alert number {number}){action}"
    )


WANTING = {"1.2": catalog.WANTS_CLIENT_12, "1.3": catalog.WANTS_CLIENT_13}
MINDING = {
    version: replace(
        upstream,
        name=f"minds-client-{version}",
        description="asks for a client certificate, and does without",
        tls=replace(upstream.tls or TLS(), require_client_certificate=False),
    )
    for version, upstream in WANTING.items()
}


def in_each_version() -> Iterator[Scenario]:
    """TLS 1.3 refuses a certificate when the handshake is over; that makes another line."""
    for version, upstream in WANTING.items():
        unknown = alert(version, 48, "0A000418", "tlsv1 alert unknown ca")
        for name, directives, rule, logged in (
            ("good", CLIENT, "the certificate is shown, and accepted", ""),
            ("missing", "", "none is shown", upstream.expected_log),
            ("strange", own("client-stranger"), "one of an authority unknown there", unknown),
            (
                "expired",
                own("client-expired"),
                "an expired one is shown all the same",
                alert(version, 45, "0A000415", "ssl/tls alert certificate expired"),
            ),
            ("deep", own("client-deep"), "the chain behind it in the file is sent along", ""),
            ("alone", own("client-alone"), "without its chain it is not accepted", unknown),
            (
                "empty",
                'proxy_ssl_certificate ""; proxy_ssl_certificate_key client.key;',
                "an empty name means none",
                upstream.expected_log,
            ),
        ):
            yield Scenario(
                f"{name}-{version}",
                f"{rule}, in TLS {version}",
                directives,
                (upstream,),
                status=502 if logged else 200,
                logs=(logged,) if logged else (),
            )
        yield Scenario(
            f"minded-{version}",
            f"an upstream that does without a certificate gets none, in TLS {version}",
            upstreams=(MINDING[version],),
        )
        yield Scenario(
            f"by-variable-{version}",
            f"variables name it for each request, in TLS {version}",
            BY_VARIABLE,
            (upstream,),
            requests=(
                KEEP.replace("PATH", "PATH?c=client&k=client"),
                KEEP.replace("PATH", "PATH?c=client-stranger&k=client-stranger"),
                get(path="PATH?c=client-deep&k=client-deep"),
            ),
            status=(200, 502, 200),
            logs=(unknown,),
        )
        yield Scenario(
            f"empty-by-variable-{version}",
            f"a name that comes out empty means none, in TLS {version}",
            "proxy_ssl_certificate $arg_c; proxy_ssl_certificate_key $arg_c;",
            (MINDING[version],),
            requests=(get(path="PATH?c="),),
        )


UNLOADABLE = (
    ("certificate", "PATH?c=nothing&k=client", "cannot load certificate"),
    ("key", "PATH?c=client&k=nothing", "cannot load certificate key"),
    ("empty-key", "PATH?c=client", "cannot load certificate key"),
    ("mismatch", "PATH?c=client&k=client-stranger", "SSL_use_PrivateKey("),
    ("no-certificate", "PATH?c=passphrases&k=client", "cannot load certificate"),
)


def unloadable() -> Iterator[Scenario]:
    """What does not load is a 500, and no other peer is tried."""
    for name, path, logged in UNLOADABLE:
        yield Scenario(
            f"unloadable-{name}",
            "a certificate by variable that does not load is a 500 with the reason",
            BY_VARIABLE,
            (catalog.GOOD,),
            requests=(get(path=path),),
            status=500,
            logs=(logged,),
        )
    yield Scenario(
        "unloadable-in-a-group",
        "no other peer is tried, and the one that was chosen has not failed",
        BY_VARIABLE,
        (catalog.GOOD, LAST),
        group="server PEER max_fails=1; server PEER2 backup;",
        requests=(get(path="PATH?c=nothing&k=client"),),
        repeat=2,
        status=500,
        logs=("cannot load certificate",) * 2,
    )
    yield Scenario(
        "unused-certificate",
        "an upstream that is not there is noticed before the certificate is looked for",
        BY_VARIABLE,
        (catalog.ABSENT,),
        requests=(get(path="PATH?c=nothing&k=client"),),
        status=502,
        logs=(f"connect() failed (111: Connection refused){CONNECTING}",),
    )


def wants(name: str, rule: str, directives: str, **more: object) -> Scenario:
    """One whose upstream insists on a certificate, in TLS 1.2."""
    upstreams: tuple[UpstreamSpec, ...] = (catalog.WANTS_CLIENT_12,)
    return Scenario(name, rule, directives, upstreams, **more)  # type: ignore[arg-type]


OTHERS = (
    Scenario("unasked", "an upstream that asks for no certificate gets none", CLIENT),
    wants(
        "passphrases",
        "the passphrases of a file are tried in turn, empty lines left out",
        f"{ENCRYPTED} proxy_ssl_password_file passphrases;",
    ),
    wants(
        "passphrases-by-variable",
        "keys by variable have them too",
        "proxy_ssl_certificate client.pem; proxy_ssl_certificate_key $arg_k.key;"
        " proxy_ssl_password_file passphrases;",
        requests=(get(path="PATH?k=client-encrypted"),),
        repeat=2,
    ),
    wants(
        "passphrases-unused",
        "a key that is not encrypted does not mind them",
        f"{CLIENT} proxy_ssl_password_file wrong-passphrases;",
    ),
    Scenario(
        "wrong-passphrases-by-variable",
        "a key by variable that no passphrase opens is a 500",
        "proxy_ssl_certificate client.pem; proxy_ssl_certificate_key $arg_k.key;"
        " proxy_ssl_password_file wrong-passphrases;",
        requests=(get(path="PATH?k=client-encrypted"),),
        status=500,
        logs=("cannot load certificate key",),
    ),
    wants(
        "data",
        "data: is followed by the certificate itself",
        'proxy_ssl_certificate "data:CONTENT(client.pem)";'
        ' proxy_ssl_certificate_key "data:CONTENT(client.key)";',
    ),
    wants(
        "data-with-chain",
        "its chain may follow",
        'proxy_ssl_certificate "data:CONTENT(client-deep.pem)";'
        ' proxy_ssl_certificate_key "data:CONTENT(client-deep.key)";',
    ),
    wants(
        "data-by-variable",
        "a variable may hold it",
        'set $pem "CONTENT(client-deep.pem)"; set $key "data:CONTENT(client-deep.key)";'
        " proxy_ssl_certificate data:$pem; proxy_ssl_certificate_key $key;",
        repeat=2,
    ),
    Scenario(
        "bad-data-by-variable",
        "what stands in a variable and is no certificate is a 500",
        "proxy_ssl_certificate data:$arg_c; proxy_ssl_certificate_key data:$arg_c;",
        requests=(get(path="PATH?c=hello"),),
        status=500,
        logs=('cannot load certificate "data:hello": PEM_read_bio_X509_AUX() failed',),
    ),
    wants(
        "key-by-variable",
        "the key alone may be named by a variable",
        "proxy_ssl_certificate client.pem; proxy_ssl_certificate_key $arg_k.key;",
        requests=(get(path="PATH?k=client"),),
    ),
    wants(
        "cached",
        "with proxy_ssl_certificate_cache the same certificate is shown again and again",
        f"{BY_VARIABLE} proxy_ssl_certificate_cache max=2 inactive=60s valid=60s;",
        requests=(get(path="PATH?c=client&k=client"),),
        repeat=3,
    ),
    Scenario(
        "cached-unloadable",
        "with proxy_ssl_certificate_cache what does not load is told each time",
        f"{BY_VARIABLE} proxy_ssl_certificate_cache max=2;",
        requests=(get(path="PATH?c=nothing&k=client"),),
        repeat=2,
        status=500,
        logs=("cannot load certificate",) * 2,
    ),
    Scenario(
        "taken-back",
        "a location inside may do without",
        f"{CLIENT} location PATH/bare {{ proxy_pass https://PEER; proxy_ssl_certificate ''; }}"
        " location PATH/same { proxy_pass https://PEER; }",
        (MINDING["1.2"],),
        requests=(
            KEEP.replace("PATH", "PATH/bare"),
            KEEP.replace("PATH", "PATH/same"),
            GET,
        ),
        status=(200, 200, 200),
    ),
    wants(
        "session-of-another",
        "a session is offered whatever the certificate: the upstream knows the first one",
        f"{BY_VARIABLE} proxy_ssl_session_reuse on;",
        requests=(
            KEEP.replace("PATH", "PATH?c=client&k=client"),
            get(path="PATH?c=client-stranger&k=client-stranger"),
        ),
        status=(200, 200),
        sessions_offered=(False, True),
    ),
)

TABLE = Table("client-certificates", (*in_each_version(), *unloadable(), *OTHERS))
