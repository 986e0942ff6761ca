"""Failures that can be provoked, each with the cause that it has and what its cure needs to know.

A row becomes a server of its own on two programs, twice: as it fails, and with the directives
that `explain` prints in the place of those of the same name.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sniproxy.explain import Explanation
from sniproxy.explain.placeholders import fill
from sniproxy.testing.upstreams import Action, RunningUpstream, UpstreamSpec, catalog
from sniproxy.testing.upstreams.spec import AfterSend, ReceivedRequest, response

VERIFY = "proxy_ssl_verify on"
NAMED = "proxy_ssl_name upstream.test"
ROOT = "proxy_ssl_trusted_certificate root.pem"
STRANGER = (
    "proxy_ssl_certificate client-stranger.pem",
    "proxy_ssl_certificate_key client-stranger.key",
)
SHORT_TIMEOUTS = "proxy_connect_timeout 300ms"

FRONT = ("ssl_certificate front.pem", "ssl_certificate_key front.key")


@dataclass(frozen=True, slots=True)
class Client:
    """How the row's client comes, where it is not plain HTTP."""

    maximum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
    certificate: str = ""
    ciphers: str = ""
    server_name: str = "front.test"
    plain: bool = False
    """Plain HTTP, to the port of TLS."""


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    cause: str
    upstream: UpstreamSpec = catalog.GOOD
    location: tuple[str, ...] = ()
    """Statements beside proxy_pass."""
    proxy_pass: str = "https://ADDRESS"
    server: tuple[str, ...] = ()
    client: Client | None = None
    known: Mapping[str, str] = field(default_factory=dict)
    """Values of the placeholders; files are the generated certificates."""
    fixes: tuple[int, ...] = ()
    """Which of the cause's cures; () is all that are not optional."""
    group: bool = False
    """proxy_pass leads to an upstream block called `backend`."""
    fixed: int = 200

    @property
    def fixes_server(self) -> bool:
        """Whether the directives go beside the location instead of into it."""
        return self.client is not None

    def statements(self) -> tuple[list[str], list[str]]:
        """Those of the location and of the server, as they fail."""
        return [f"proxy_pass {self.proxy_pass}", *self.location], list(self.server)


def chatty(question: ReceivedRequest) -> bytes:
    return response("ok\n", f"X-Token: {'x' * 6000}")


def hangs_up_on_upgrades(question: ReceivedRequest) -> bytes:
    return b"" if b"connection: upgrade" in question.request.lower() else response("ok\n")


CHATTY = UpstreamSpec(
    "chatty", "answers with a large header", response=Action(chatty, AfterSend.WAIT)
)
SLOW = UpstreamSpec(
    "slow",
    "takes a moment for its answer",
    response=Action(response("ok\n"), AfterSend.WAIT, byte_interval=0.003),
)
UPGRADES = UpstreamSpec(
    "upgrades", "hangs up on Connection: upgrade", response=Action(hangs_up_on_upgrades)
)
EDGE = {"name": "upstream.test"}
CLIENT = {"certificate": "client.pem", "key": "client.key"}

ROWS = [
    *(
        Row(f"sni-{upstream.name}", "sni-missing", upstream, (SHORT_TIMEOUTS,), known=EDGE)
        for upstream in (
            catalog.NEEDS_SNI,
            catalog.NEEDS_SNI_40,
            catalog.NEEDS_SNI_49,
            catalog.NEEDS_SNI_80,
            catalog.NEEDS_SNI_CLOSES,
            catalog.NEEDS_SNI_RESETS,
            catalog.NEEDS_SNI_SILENT,
            catalog.NEEDS_SNI_BAD_RECORD,
        )
    ),
    Row("sni-group", "sni-missing", catalog.NEEDS_SNI, known=EDGE, group=True),
    Row(
        "sni-wrong",
        "sni-wrong-name",
        catalog.NEEDS_SNI,
        ("proxy_ssl_server_name on", "proxy_ssl_name $host"),
        known=EDGE,
    ),
    Row("plain", "plain-http-upstream", catalog.PLAIN, (SHORT_TIMEOUTS,), fixes=(1,)),
    Row(
        "http-to-tls",
        "http-to-tls-upstream",
        catalog.GOOD,
        proxy_pass="http://ADDRESS",
        known=EDGE,
        fixes=(0,),
    ),
    Row(
        "version-1.3",
        "protocol-version",
        catalog.GOOD_13,
        ("proxy_ssl_protocols TLSv1.2",),
    ),
    Row(
        "version-1.2",
        "protocol-version",
        catalog.GOOD_12,
        ("proxy_ssl_protocols TLSv1.3",),
    ),
    Row("version-1.0", "protocol-version", catalog.TLS10_ONLY, fixes=(1,)),
    Row(
        "cipher",
        "cipher-mismatch",
        catalog.ONE_CIPHER,
        ("proxy_ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256",),
    ),
    Row("weak-dh", "weak-dh", catalog.WEAK_DH, fixes=(1,)),
    Row("client-1.2", "client-certificate-needed", catalog.WANTS_CLIENT_12, known=CLIENT),
    Row("client-1.3", "client-certificate-needed", catalog.WANTS_CLIENT_13, known=CLIENT),
    Row(
        "client-stranger",
        "client-certificate-refused",
        catalog.WANTS_CLIENT_12,
        STRANGER,
        known=CLIENT,
    ),
    Row(
        "client-not-there",
        "upstream-certificate-load",
        catalog.WANTS_CLIENT_12,
        ("set $file gone.pem", "proxy_ssl_certificate $file", "proxy_ssl_certificate_key $file"),
        known=CLIENT,
    ),
    Row(
        "chain",
        "verify-chain",
        catalog.GOOD,
        (VERIFY, NAMED, "proxy_ssl_trusted_certificate stranger.pem"),
        known={"ca": "root.pem"},
    ),
    Row(
        "self-signed",
        "verify-chain",
        catalog.SELF_SIGNED,
        (VERIFY, NAMED, ROOT),
        known={"ca": "self-signed.pem"},
    ),
    Row("depth", "verify-depth", catalog.deep_chain(3), (VERIFY, NAMED, ROOT)),
    Row("name", "name-mismatch", catalog.GOOD, (VERIFY, ROOT), known=EDGE),
    Row(
        "name-otherwise",
        "name-mismatch",
        catalog.NEEDS_SNI_CERTIFICATE,
        (VERIFY, NAMED, ROOT),
        known=EDGE,
    ),
    Row(
        "old-list",
        "verify-crl",
        catalog.GOOD,
        (VERIFY, NAMED, ROOT, "proxy_ssl_crl old.crl"),
        known={"crl": "none-revoked.crl"},
    ),
    Row("header", "header-too-big", CHATTY, fixes=(0,)),
    Row("slow", "timeout", SLOW, ("proxy_read_timeout 60ms",), fixes=(0,)),
    Row("connection", "keepalive", UPGRADES, ("proxy_set_header Connection upgrade",)),
    Row(
        "no-nameserver",
        "resolver",
        location=("set $backend known.test",),
        proxy_pass="https://$backend:PORT",
        known={"resolver": "127.0.0.1:DNS"},
    ),
    Row(
        "no-resolver",
        "resolver",
        location=("set $backend localhost",),
        proxy_pass="https://$backend:PORT",
        known={"name": "localhost:PORT"},
        fixes=(1,),
    ),
    Row(
        "no-url",
        "bad-upstream-url",
        location=('set $backend ""',),
        proxy_pass="$backend",
        known={"name": "localhost:PORT"},
    ),
    # --- clients ---
    Row(
        "client-version",
        "client-protocol",
        server=(*FRONT, "ssl_protocols TLSv1.3"),
        client=Client(maximum=ssl.TLSVersion.TLSv1_2),
    ),
    Row(
        "client-cipher",
        "client-cipher",
        server=(*FRONT, "ssl_protocols TLSv1.2", "ssl_ciphers ECDHE-ECDSA-AES256-GCM-SHA384"),
        client=Client(ciphers="ECDHE-ECDSA-AES128-GCM-SHA256", maximum=ssl.TLSVersion.TLSv1_2),
    ),
    Row(
        "client-without",
        "client-certificate-missing",
        server=(*FRONT, "ssl_client_certificate client-root.pem", "ssl_verify_client on"),
        client=Client(),
        fixes=(1,),
    ),
    Row(
        "client-other-authority",
        "client-certificate-verify",
        server=(*FRONT, "ssl_client_certificate root.pem", "ssl_verify_client on"),
        client=Client(certificate="client"),
        known={"ca": "client-root.pem"},
    ),
    Row(
        "client-file",
        "client-certificate-load",
        server=("ssl_certificate $ssl_server_name.pem", "ssl_certificate_key $ssl_server_name.key"),
        client=Client(),
        known={"certificate": "front.pem", "key": "front.key"},
    ),
    Row("client-plain", "client-plain-http", server=FRONT, client=Client(plain=True), fixed=301),
]

STARTUP = [
    Row(
        "no-authorities",
        "verify-not-configured",
        location=(VERIFY, NAMED),
        known={"ca": "root.pem"},
    ),
    Row(
        "client-no-authorities",
        "client-verify-not-configured",
        server=(*FRONT, "ssl_verify_client optional"),
        client=Client(),
        known={"ca": "client-root.pem"},
    ),
    Row(
        "no-certificate",
        "no-certificate",
        client=Client(),
        known={"certificate": "front.pem", "key": "front.key"},
    ),
    Row(
        "exchanged",
        "pem-file",
        server=("ssl_certificate front.key", "ssl_certificate_key front.key"),
        client=Client(),
        known={"certificate": "front.pem", "key": "front.key"},
    ),
    Row(
        "gone",
        "pem-file",
        server=("ssl_certificate gone.pem", "ssl_certificate_key front.key"),
        client=Client(),
        known={"certificate": "front.pem", "key": "front.key"},
    ),
    Row(
        "not-a-pair",
        "key-mismatch",
        server=("ssl_certificate front.pem", "ssl_certificate_key good.key"),
        client=Client(),
        known={"certificate": "front.pem", "key": "front.key"},
    ),
    Row(
        "weak-key",
        "weak-certificate",
        server=("ssl_certificate weak.pem", "ssl_certificate_key weak.key"),
        client=Client(),
        known={"certificate": "front.pem", "key": "front.key"},
    ),
    Row(
        "ciphers",
        "bad-tls-setting",
        server=(*FRONT, "ssl_ciphers NONE_SUCH"),
        client=Client(),
    ),
    Row(
        "not-resolved",
        "host-not-found-at-start",
        proxy_pass="https://none-such.invalid",
        known={"resolver": "127.0.0.1:DNS", "name": "known.test:PORT"},
        fixes=(0,),
    ),
]


SITE = """
    server {{ listen 127.0.0.1:@PORT@; return 204; }}
    {servers}
"""


def server(
    number: int, row: Row, peer: RunningUpstream, dns: int, statements: tuple[list[str], list[str]]
) -> str:
    """The server of a row, which listens on a port of its own; `dns` is a nameserver's."""
    location, beside = ("".join(f"{one}; " for one in part) for part in statements)
    address = f"127.0.0.1:{peer.port}"
    group = f"upstream backend{number} {{ server {address}; }}" if row.group else ""
    listen = f"127.0.0.1:@PORT{number}@{' ssl' if row.client else ''}"
    text = f"server {{ listen {listen}; {beside} location / {{ {location} }} }}"
    target = f"backend{number}" if row.group else address
    text = text.replace("ADDRESS", target).replace("PORT;", f"{peer.port};")
    text = text.replace(":DNS ", f":{dns} ")
    return f"{group}\n    {text}"


def applied(statements: Sequence[str], directives: Sequence[str]) -> list[str]:
    """`statements` with `directives` in the place of those that they replace."""
    new = [directive.removesuffix(";") for directive in directives]
    replaced = {key(statement) for statement in new}
    return [one for one in statements if key(one) not in replaced] + new


def key(statement: str) -> tuple[str, ...]:
    """What makes two statements the same one: the directive, with a first argument that counts."""
    words = statement.split()
    several = words[0] in ("proxy_set_header", "set", "error_page")
    return tuple(words[:2]) if several else (words[0],)


def fixes(row: Row, explanation: Explanation) -> list[str]:
    """The directives that are printed for the row's cause, its values filled in."""
    cause = next(one for one in explanation.causes if one.name == row.cause)
    known = dict(row.known)
    if explanation.upstream is not None:
        known["address"] = explanation.upstream.address
    chosen = cause.fixes_for(explanation.side)
    if row.fixes:
        chosen = tuple(chosen[number] for number in row.fixes)
    else:
        chosen = tuple(one for one in chosen if not one.optional)
    return [fill(directive, known) for one in chosen for directive in one.directives]
