"""What is asked of an upstream, and what came of it: the values between planning and connecting.

A `Setting` is what one location would say, as the proxy module's own settings; an `Attempt` is
one connection made with them. Pure: whoever decides (`plan`, `verdict`) sees these alone.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, replace

from ..config.directives.proxy import Proxy, SetHeader
from ..names import is_ipv4, without_port
from ..script import compile_template, literal
from ..tls.contexts import PROTOCOLS


class Stage(enum.IntEnum):
    """How far a connection came."""

    CONNECT = 1
    HELLO = 2
    CERTIFICATE = 3
    RESPONSE = 4
    DONE = 5


class Result(enum.Enum):
    """What came of one attempt: a word for the table, and how far it came."""

    UNREACHABLE = ("unreachable", Stage.CONNECT)
    ALERT = ("alert", Stage.HELLO)
    PLAIN_HTTP = ("plain HTTP", Stage.HELLO)
    NOT_TLS = ("not TLS", Stage.HELLO)
    CLOSED = ("closed", Stage.HELLO)
    NO_SERVER_HELLO = ("silent", Stage.HELLO)
    LOCAL_TLS_ERROR = ("refused by us", Stage.HELLO)
    UNTRUSTED = ("not trusted", Stage.CERTIFICATE)
    NAME_MISMATCH = ("other name", Stage.CERTIFICATE)
    CERTIFICATE_REQUIRED = ("wants a certificate", Stage.RESPONSE)
    CLOSED_WITHOUT_RESPONSE = ("no answer", Stage.RESPONSE)
    NO_RESPONSE = ("mute", Stage.RESPONSE)
    HEADER_TOO_BIG = ("too big header", Stage.RESPONSE)
    NOT_HTTP = ("not HTTP", Stage.RESPONSE)
    RESPONSE = ("answered", Stage.DONE)
    HANDSHAKE_OK = ("handshake done", Stage.DONE)
    SETUP_ERROR = ("not possible here", Stage.CONNECT)

    @property
    def label(self) -> str:
        return self.value[0]

    @property
    def stage(self) -> Stage:
        return self.value[1]


@dataclass(frozen=True, slots=True)
class Setting:
    """What a location would say to get through."""

    proxy: Proxy
    plain: bool = False
    """`http://` in place of `https://`."""
    address: int = 0
    """Which of the upstream's addresses."""

    def with_directives(self, **directives: object) -> Setting:
        """The same with these directives too."""
        return replace(self, proxy=replace(self.proxy, **directives))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One connection."""

    setting: Setting
    result: Result
    line: str = ""
    """What nginx would log, up to `, client:`; "" if all is well."""
    address: str = ""
    sent: str | None = None
    """The SNI."""
    alert: int | None = None
    """The number of a fatal alert that came."""
    reason: str = ""
    """OpenSSL's word for what went wrong: `dh key too small`."""
    certificate_requested: bool = False
    """Whether the upstream has asked for our certificate."""
    names: tuple[str, ...] = ()
    """Of its certificate."""
    protocol: str = ""
    verify_result: int = 0
    """X509_V_*."""
    intermediates: int | None = None
    """In the chain that was verified; None where none was built up to a root."""
    status: int | None = None
    """Of the HTTP answer."""
    answer: str = ""
    """The beginning of its body."""
    seconds: float = 0.0

    @property
    def label(self) -> str:
        """The result in a word."""
        if self.result is Result.RESPONSE:
            return f"{self.status}"
        if self.result is Result.ALERT and self.alert is not None:
            return f"alert {self.alert}"
        return self.result.label


@dataclass(frozen=True, slots=True)
class ProbeSpec:
    """What is to be found out about one `proxy_pass`."""

    base: Proxy
    """The location as it is; for a URL alone nginx's defaults."""
    host: str
    """The host of `proxy_pass`, or the group's name: what SNI starts from without a word."""
    names: tuple[str, ...] = ()
    """Names that the upstream may know itself by, best first; variables are allowed."""
    host_header: str = ""
    """The Host that goes with a name that isn't that of `proxy_pass`; "" leaves it alone."""
    require_verify: bool = False
    """Whether the certificate has to be verified, although `base` does not."""
    authorities: str = ""
    """The file of authorities to verify with; "" for none."""
    certificate: tuple[str, str] | None = None
    """Files of our certificate and key."""
    send_request: bool = True
    """Whether a request may be sent."""
    addresses: tuple[str, ...] = ("",)
    """The upstream's, in nginx's order, without ports."""
    explore: bool = True
    """Whether to find out more than whether it works: verification, the other family."""
    values: Callable[[str], str | None] = lambda name: None
    """What variables are worth."""

    def name(self, proxy: Proxy) -> str:
        """What SNI and verification start from (`proxy_ssl_name`)."""
        said = proxy.proxy_ssl_name
        return without_port(self.host if said is None else said.render(self.values))

    def value(self, text: str) -> str:
        """A text with its variables filled in."""
        return without_port(compile_template(text).render(self.values))


def is_name(text: str) -> bool:
    """Whether SNI can carry it."""
    return bool(text) and not text.startswith(("[", "unix:")) and not is_ipv4(text)


# --- changes of settings -----------------------------------------------------------------

ALL_PROTOCOLS = frozenset({"TLSv1", "TLSv1.1", *PROTOCOLS})
ALL_CIPHERS = "ALL:@SECLEVEL=0"
WEAK_CIPHERS = "DEFAULT:@SECLEVEL=0"
LEGACY = ("Options", "UnsafeLegacyServerConnect")
MAX_VERIFY_DEPTH = 9
LARGE_BUFFER = 65536


def with_sni(spec: ProbeSpec, setting: Setting, name: str) -> Setting:
    """Send `name`: by the default where that is the same."""
    own = compile_template(name)
    is_default = spec.value(name) == without_port(spec.host)
    named = setting.with_directives(
        proxy_ssl_server_name=True, proxy_ssl_name=None if is_default else own
    )
    return named if is_default or not spec.host_header else with_host(spec, named)


def with_host(spec: ProbeSpec, setting: Setting) -> Setting:
    """Send the Host that goes with the name."""
    kept = tuple(h for h in setting.proxy.proxy_set_header if h.name.lower() != "host")
    return setting.with_directives(
        proxy_set_header=(*kept, SetHeader("Host", literal(spec.host_header)))
    )


def with_verify(spec: ProbeSpec, setting: Setting, depth: int = 1) -> Setting:
    return setting.with_directives(
        proxy_ssl_verify=True,
        proxy_ssl_verify_depth=depth,
        proxy_ssl_trusted_certificate=spec.authorities,
    )


def permissive(setting: Setting) -> Setting:
    """Every protocol and cipher that the library has."""
    return setting.with_directives(
        proxy_ssl_protocols=ALL_PROTOCOLS,
        proxy_ssl_ciphers=ALL_CIPHERS,
        proxy_ssl_conf_command=(*setting.proxy.proxy_ssl_conf_command, LEGACY),
    )


def is_permissive(setting: Setting) -> bool:
    return setting.proxy.proxy_ssl_ciphers == ALL_CIPHERS
