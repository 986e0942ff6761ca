"""The values that strategy, probe and conclusion exchange (pure).

A `ProbeSpec` describes one `proxy_pass` to diagnose, a `Setting` the proxy directives of one
attempt, an `Attempt` the outcome of one connection made with them.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from ..config.directives.proxy import ProxySettings, SetHeader
from ..server_name import is_ipv4, pattern_matches, without_port
from ..template import compile_template, literal
from ..tls.contexts import PROTOCOLS


class Stage(enum.IntEnum):
    """The phase that a connection reached."""

    CONNECT = 1
    HELLO = 2
    CERTIFICATE = 3
    RESPONSE = 4
    DONE = 5


class Result(enum.Enum):
    """The outcome of an attempt: its label in tables, and the phase reached."""

    UNREACHABLE = ("unreachable", Stage.CONNECT)
    ALERT = ("alert", Stage.HELLO)
    PLAIN_HTTP = ("plain HTTP", Stage.HELLO)
    NOT_TLS = ("not TLS", Stage.HELLO)
    CLOSED = ("closed", Stage.HELLO)
    NO_SERVER_HELLO = ("no ServerHello", Stage.HELLO)
    LOCAL_TLS_ERROR = ("TLS error here", Stage.HELLO)
    UNTRUSTED = ("not trusted", Stage.CERTIFICATE)
    NAME_MISMATCH = ("name mismatch", Stage.CERTIFICATE)
    CERTIFICATE_REQUIRED = ("wants certificate", Stage.RESPONSE)
    CLOSED_WITHOUT_RESPONSE = ("closed early", Stage.RESPONSE)
    NO_RESPONSE = ("no response", Stage.RESPONSE)
    HEADER_TOO_BIG = ("header too big", Stage.RESPONSE)
    NOT_HTTP = ("not HTTP", Stage.RESPONSE)
    INVALID_RESPONSE = ("invalid response", Stage.RESPONSE)
    HTTP2 = ("HTTP/2", Stage.RESPONSE)
    HTTP1 = ("HTTP/1", Stage.RESPONSE)
    BODY_CUT = ("body breaks off", Stage.RESPONSE)
    BODY_STALLED = ("body stalls", Stage.RESPONSE)
    RESPONSE = ("response", Stage.DONE)
    HANDSHAKE_OK = ("handshake done", Stage.DONE)
    SETUP_ERROR = ("setup error", Stage.CONNECT)

    @property
    def label(self) -> str:
        return self.value[0]

    @property
    def stage(self) -> Stage:
        return self.value[1]


@dataclass(frozen=True, slots=True)
class Setting:
    """The proxy settings of one attempt."""

    proxy: ProxySettings
    plain: bool = False
    """Whether to connect with `http://` instead of `https://`."""
    address: int = 0
    """Index into `ProbeSpec.addresses`."""

    def with_directives(self, **directives: object) -> Setting:
        """A copy with these directives changed."""
        return replace(self, proxy=replace(self.proxy, **directives))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class FailedCertificate:
    """The certificate at which verification failed."""

    depth: int
    """Its position in the chain: 0 is the upstream's own."""
    subject: str
    """`CN=upstream.test`."""
    not_before: str
    not_after: str
    """The days of its validity: `2026-11-28`."""
    from_authorities: bool
    """Whether it stands in the file of trusted authorities."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """The outcome of one connection attempt."""

    setting: Setting
    result: Result
    line: str = ""
    """The message that nginx would log, up to `, client:`; "" on success."""
    address: str = ""
    sni: str | None = None
    """The SNI sent; None if none was."""
    alert: int | None = None
    """Number of the fatal alert received."""
    reason: str = ""
    """OpenSSL's reason string, such as `dh key too small`."""
    certificate_requested: bool = False
    """Whether the upstream sent a CertificateRequest."""
    names: tuple[str, ...] = ()
    """The DNS names of the upstream's certificate."""
    has_addresses: bool = False
    """Whether its certificate has IP entries, which nginx never looks at."""
    protocol: str = ""
    cipher: str = ""
    is_anonymous: bool = False
    """Whether the handshake succeeded without any certificate of the upstream."""
    verify_result: int = 0
    """X509_V_*."""
    failed_certificate: FailedCertificate | None = None
    """The certificate that `verify_result` is about; None if it is valid, or not known."""
    intermediates: int | None = None
    """Number of intermediates in the verified chain; None if no chain to a root was built."""
    status: int | None = None
    """Status of the HTTP response."""
    body: str = ""
    """The beginning of the response body."""
    broken_rule: str | None = None
    """What h11 says about a response that nginx refuses; "" if it finds nothing wrong."""
    seconds: float = 0.0

    def is_for(self, names: Iterable[str]) -> bool:
        """Whether the upstream's certificate is for one of `names`."""
        return any(pattern_matches(own, name) for own in self.names for name in names)

    @property
    def label(self) -> str:
        """The result as one table cell."""
        if self.result is Result.RESPONSE:
            return f"{self.status}"
        if self.result is Result.ALERT and self.alert is not None:
            return f"alert {self.alert}"
        return self.result.label


@dataclass(frozen=True, slots=True)
class ProbeSpec:
    """What to find out about one `proxy_pass`."""

    base: ProxySettings
    """The settings of the location; nginx's defaults if only a URL is diagnosed."""
    host: str
    """The host of `proxy_pass`, or the `upstream` block's name: the default `proxy_ssl_name`."""
    names: tuple[str, ...] = ()
    """Candidate names of the upstream, best first; they may contain variables."""
    host_header: str = ""
    """The Host to send with a name other than `proxy_pass`'s; "" leaves Host unchanged."""
    require_verify: bool = False
    """Whether the certificate must be verified even if `base` does not."""
    authorities: str = ""
    """Path of the CA file to verify with; "" for none."""
    certificate: tuple[str, str] | None = None
    """Paths of the client certificate and its key."""
    send_request: bool = True
    """Whether to send a request after the handshake."""
    addresses: tuple[str, ...] = ("",)
    """The upstream's addresses without ports, in nginx's order."""
    explore: bool = True
    """Whether to explore more than whether it works: verification, the other address family."""
    prefix: str = "proxy_"
    """That of the module's directives; `base` has its settings under the names of `proxy_`."""
    values: Callable[[str], str | None] = lambda name: None
    """Looks up the value of a variable."""

    def name(self, proxy: ProxySettings) -> str:
        """The name for SNI and verification (`proxy_ssl_name`), evaluated, without a port."""
        template = proxy.ssl_name
        return without_port(self.host if template is None else template.render(self.values))

    @property
    def grpc(self) -> bool:
        """Whether it is a `grpc_pass`."""
        return self.prefix == "grpc_"

    @property
    def known_names(self) -> tuple[str, ...]:
        """The DNS names among the candidates, evaluated."""
        return tuple(name for text in self.names if is_name(name := self.value(text)))

    def value(self, text: str) -> str:
        """Evaluate the variables in `text`; without a port."""
        return without_port(compile_template(text).render(self.values))


def is_name(text: str) -> bool:
    """Whether `text` is a DNS name, which SNI can carry: no address, no UNIX socket."""
    return bool(text) and not text.startswith(("[", "unix:")) and not is_ipv4(text)


# --- changes of settings -----------------------------------------------------------------

ALL_PROTOCOLS = frozenset({"TLSv1", "TLSv1.1", *PROTOCOLS})
ALL_CIPHERS = "ALL:@SECLEVEL=0"
WEAK_CIPHERS = "DEFAULT:@SECLEVEL=0"
LEGACY = ("Options", "UnsafeLegacyServerConnect")
MAX_VERIFY_DEPTH = 9
LARGE_BUFFER = 65536
HTTP_2 = 20
"""`proxy_http_version 2`."""


def with_sni(spec: ProbeSpec, setting: Setting, name: str) -> Setting:
    """Send `name` as SNI; `proxy_ssl_name` is omitted if the default is the same."""
    own = compile_template(name)
    is_default = spec.value(name) == without_port(spec.host)
    named = setting.with_directives(ssl_server_name=True, ssl_name=None if is_default else own)
    return named if is_default or not spec.host_header else with_host(spec, named)


def with_host(spec: ProbeSpec, setting: Setting) -> Setting:
    """Send the Host header that goes with the name."""
    other_headers = tuple(h for h in setting.proxy.proxy_set_header if h.name.lower() != "host")
    return setting.with_directives(
        proxy_set_header=(*other_headers, SetHeader("Host", literal(spec.host_header)))
    )


def with_verify(spec: ProbeSpec, setting: Setting, depth: int = 1) -> Setting:
    return setting.with_directives(
        ssl_verify=True,
        ssl_verify_depth=depth,
        ssl_trusted_certificate=spec.authorities,
    )


def permissive(setting: Setting) -> Setting:
    """Allow every protocol and cipher of the OpenSSL library."""
    return setting.with_directives(
        ssl_protocols=ALL_PROTOCOLS,
        ssl_ciphers=ALL_CIPHERS,
        ssl_conf_command=(*setting.proxy.ssl_conf_command, LEGACY),
    )


def is_permissive(setting: Setting) -> bool:
    return setting.proxy.ssl_ciphers == ALL_CIPHERS
