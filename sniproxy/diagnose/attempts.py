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
    ANSWER = 4
    DONE = 5


class Result(enum.Enum):
    """What came of one attempt: a word for the table, and how far it came."""

    UNREACHABLE = ("unreachable", Stage.CONNECT)
    ALERT = ("alert", Stage.HELLO)
    PLAIN_HTTP = ("plain HTTP", Stage.HELLO)
    NOT_TLS = ("not TLS", Stage.HELLO)
    CLOSED = ("closed", Stage.HELLO)
    SILENT = ("silent", Stage.HELLO)
    REFUSED_HERE = ("refused by us", Stage.HELLO)
    UNTRUSTED = ("not trusted", Stage.CERTIFICATE)
    MISNAMED = ("other name", Stage.CERTIFICATE)
    WANTS_CERTIFICATE = ("wants a certificate", Stage.ANSWER)
    NO_ANSWER = ("no answer", Stage.ANSWER)
    MUTE = ("mute", Stage.ANSWER)
    TOO_BIG = ("too big header", Stage.ANSWER)
    NOT_HTTP = ("not HTTP", Stage.ANSWER)
    ANSWERED = ("answered", Stage.DONE)
    SHAKEN = ("handshake done", Stage.DONE)
    UNPREPARED = ("not possible here", Stage.CONNECT)

    @property
    def word(self) -> str:
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

    def saying(self, **directives: object) -> Setting:
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
    asked: bool = False
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
    def word(self) -> str:
        """The result in a word."""
        if self.result is Result.ANSWERED:
            return f"{self.status}"
        if self.result is Result.ALERT and self.alert is not None:
            return f"alert {self.alert}"
        return self.result.word


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be found out about one `proxy_pass`."""

    base: Proxy
    """The location as it is; for a URL alone nginx's defaults."""
    host: str
    """The host of `proxy_pass`, or the group's name: what SNI starts from without a word."""
    names: tuple[str, ...] = ()
    """Names that the upstream may know itself by, best first; variables are allowed."""
    host_header: str = ""
    """The Host that goes with a name that isn't that of `proxy_pass`; "" leaves it alone."""
    insists: bool = False
    """Whether the certificate has to be verified, although `base` does not."""
    authorities: str = ""
    """The file of authorities to verify with; "" for none."""
    certificate: tuple[str, str] | None = None
    """Files of our certificate and key."""
    may_ask: bool = True
    """Whether a request may be sent."""
    addresses: tuple[str, ...] = ("",)
    """The upstream's, in nginx's order, without ports."""
    thorough: bool = True
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

EVERY_PROTOCOL = frozenset({"TLSv1", "TLSv1.1", *PROTOCOLS})
EVERY_CIPHER = "ALL:@SECLEVEL=0"
WEAK_CIPHERS = "DEFAULT:@SECLEVEL=0"
LEGACY = ("Options", "UnsafeLegacyServerConnect")
DEEPEST = 9
BIG_HEAD = 65536


def naming(question: Question, setting: Setting, name: str) -> Setting:
    """Send `name`: by the default where that is the same."""
    own = compile_template(name)
    is_default = question.value(name) == without_port(question.host)
    named = setting.saying(proxy_ssl_server_name=True, proxy_ssl_name=None if is_default else own)
    return named if is_default or not question.host_header else hosting(question, named)


def hosting(question: Question, setting: Setting) -> Setting:
    """Send the Host that goes with the name."""
    kept = tuple(h for h in setting.proxy.proxy_set_header if h.name.lower() != "host")
    return setting.saying(
        proxy_set_header=(*kept, SetHeader("Host", literal(question.host_header)))
    )


def verifying(question: Question, setting: Setting, depth: int = 1) -> Setting:
    return setting.saying(
        proxy_ssl_verify=True,
        proxy_ssl_verify_depth=depth,
        proxy_ssl_trusted_certificate=question.authorities,
    )


def permitting(setting: Setting) -> Setting:
    """Every protocol and cipher that the library has."""
    return setting.saying(
        proxy_ssl_protocols=EVERY_PROTOCOL,
        proxy_ssl_ciphers=EVERY_CIPHER,
        proxy_ssl_conf_command=(*setting.proxy.proxy_ssl_conf_command, LEGACY),
    )


def is_permissive(setting: Setting) -> bool:
    return setting.proxy.proxy_ssl_ciphers == EVERY_CIPHER
