"""Directives of nginx's http ssl module: TLS towards clients."""

from __future__ import annotations

from ...template import Template, compile_template, literal
from ..numbers import parse_number
from .directive import (
    HTTP,
    SERVER,
    Args,
    Repeat,
    Settings,
    Status,
    at_least,
    between,
    directive,
    exactly,
    settings,
)
from .slots import flag, number, one_of, parse_size, size, some_of, string, whole_time
from .tls import CacheRules, PasswordFile, certificate_cache, conf_command, password_file

PROTOCOLS = ("SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
VERIFY = ("off", "on", "optional", "optional_no_ca")

_MIN_SHARED_CACHE = 8 * 4096


def session_cache(args: Args) -> str:
    """Parse `off`, `none`, `builtin[:SIZE]`, `shared:NAME:SIZE`, or two of them.

    Returns `off`, `none`, or `builtin` for any cache that stores sessions.
    """
    chosen = None
    for word in args.words:
        kind, _, rest = word.partition(":")
        if word in ("off", "none", "builtin"):
            chosen = word
        elif kind == "builtin" and parse_number(rest) is not None:
            chosen = kind
        elif not _is_shared(args, word, "session cache"):
            args.fail(f'invalid session cache "{word}"')
    return chosen or "builtin"


def ocsp_cache(args: Args) -> str:
    """`off` or `shared:NAME:SIZE`."""
    word = args.first
    if word != "off" and not _is_shared(args, word, "OCSP cache"):
        args.fail(f'invalid OCSP cache "{word}"')
    return word


def _is_shared(args: Args, word: str, what: str) -> bool:
    shared = shared_cache(word)
    if shared is not None and shared[1] < _MIN_SHARED_CACHE:
        args.fail(f'{what} "{word}" is too small')
    return shared is not None


def shared_cache(word: str) -> tuple[str, int] | None:
    """Name and size of `shared:NAME:SIZE`; None for anything else."""
    kind, _, rest = word.partition(":")
    name, colon, text = rest.partition(":")
    size = parse_size(text) if kind == "shared" and name and colon else None
    return None if size is None else (name, size)


def shared_caches(args: Args) -> tuple[tuple[str, int], ...]:
    """Names and sizes of the shared caches among the arguments."""
    return tuple([shared for word in args.words if (shared := shared_cache(word)) is not None])


@settings("ngx_http_ssl_module")
class Ssl(Settings):
    """The TLS settings of a server."""

    ssl_certificate: tuple[str, ...] = directive(
        HTTP | SERVER, string,
        "PEM file with certificate and chain; `auto` (an extension): a development certificate",
        repeat=Repeat.APPENDED,
    )  # fmt: skip
    ssl_certificate_key: tuple[str, ...] = directive(
        HTTP | SERVER, string, "PEM file with the private key", repeat=Repeat.APPENDED
    )
    ssl_certificate_cache: CacheRules | None = directive(
        HTTP | SERVER, certificate_cache,
        "cache for certificates whose file names contain variables",
        arity=between(1, 3), default="off",
    )  # fmt: skip
    ssl_password_file: PasswordFile | None = directive(
        HTTP | SERVER, password_file, "file with passphrases for private keys, one per line"
    )
    ssl_protocols: frozenset[str] = directive(
        HTTP | SERVER, some_of(*PROTOCOLS), "enabled TLS protocol versions",
        arity=at_least(1), default="TLSv1.2 TLSv1.3", repeat=Repeat.MERGED,
    )  # fmt: skip
    ssl_ciphers: str = directive(
        HTTP | SERVER, string, "enabled ciphers, in OpenSSL's format", default="HIGH:!aNULL:!MD5"
    )
    ssl_prefer_server_ciphers: bool = directive(
        HTTP | SERVER, flag, "prefer the server's cipher order to the client's", default="off"
    )
    ssl_ecdh_curve: str = directive(HTTP | SERVER, string, "key exchange groups", default="auto")
    ssl_dhparam: str | None = directive(
        HTTP | SERVER, string, "PEM file with DH parameters for DHE ciphers"
    )
    ssl_conf_command: tuple[tuple[str, str], ...] = directive(
        HTTP | SERVER, conf_command, "OpenSSL configuration command (SSL_CONF_cmd)",
        arity=exactly(2), repeat=Repeat.APPENDED,
    )  # fmt: skip
    ssl_verify_client: str = directive(
        HTTP | SERVER, one_of({name: name for name in VERIFY}),
        "verification of client certificates", default="off",
    )  # fmt: skip
    ssl_verify_depth: int = directive(
        HTTP | SERVER, number, "maximum depth of the client certificate chain", default="1"
    )
    ssl_client_certificate: str | None = directive(
        HTTP | SERVER, string, "PEM file of trusted CAs, whose names are sent to clients"
    )
    ssl_trusted_certificate: str | None = directive(
        HTTP | SERVER, string, "PEM file of trusted CAs, whose names are not sent to clients"
    )
    ssl_crl: str | None = directive(
        HTTP | SERVER, string, "PEM file with certificate revocation lists"
    )
    ssl_session_timeout: float = directive(
        HTTP | SERVER, whole_time, "time during which a session can be resumed", default="5m"
    )
    ssl_session_cache: str = directive(
        HTTP | SERVER, session_cache,
        "session cache; any cache is OpenSSL's built-in cache of the process",
        arity=between(1, 2), default="none", repeat=Repeat.REPLACED,
    )  # fmt: skip
    ssl_session_tickets: bool = directive(
        HTTP | SERVER, flag, "enable session tickets", default="on"
    )
    ssl_session_ticket_key: tuple[str, ...] = directive(
        HTTP | SERVER, string,
        "session ticket key file; it is checked, but random keys are used",
        repeat=Repeat.APPENDED, status=Status.NO_EFFECT,
    )  # fmt: skip
    ssl_reject_handshake: bool = directive(
        HTTP | SERVER, flag, "reject all TLS handshakes", default="off"
    )
    ssl_stapling: bool = directive(
        HTTP | SERVER, flag,
        "staple OCSP responses to handshakes",
        default="off",
    )  # fmt: skip
    ssl_stapling_file: str | None = directive(
        HTTP | SERVER, string, "file with the OCSP response to staple, in DER"
    )
    ssl_stapling_responder: str | None = directive(
        HTTP | SERVER,
        string,
        "URL of the OCSP responder, instead of that in the certificate",
    )
    ssl_stapling_verify: bool = directive(
        HTTP | SERVER, flag, "verify OCSP responses before they are stapled", default="off"
    )
    ssl_ocsp: str = directive(
        HTTP | SERVER,
        one_of({name: name for name in ("off", "on", "leaf")}),
        "check client certificates by OCSP: all of a chain, or the first (`leaf`)",
        default="off",
    )
    ssl_ocsp_responder: str | None = directive(
        HTTP | SERVER,
        string,
        "URL of the OCSP responder, instead of those in certificates",
    )
    ssl_ocsp_cache: str = directive(
        HTTP | SERVER, ocsp_cache, "cache of the statuses of client certificates", default="off"
    )
    ssl_early_data: bool = directive(
        HTTP | SERVER, flag,
        "TLS 1.3 early data; never accepted, clients send it again", default="off",
        status=Status.NO_EFFECT,
    )  # fmt: skip
    ssl_buffer_size: int = directive(
        HTTP | SERVER, size,
        "maximum TLS record size; records are as large as the data available",
        default="16k", status=Status.NO_EFFECT,
    )  # fmt: skip
    ssl_certificate_compression: bool = directive(
        HTTP | SERVER, flag,
        "certificate compression; certificates are sent uncompressed", default="off",
        status=Status.NO_EFFECT,
    )  # fmt: skip
    ssl_ech_file: tuple[str, ...] = directive(
        HTTP | SERVER, string, "keys for Encrypted Client Hello, which is not supported",
        repeat=Repeat.APPENDED, status=Status.NO_EFFECT,
    )  # fmt: skip

    @property
    def has_context(self) -> bool:
        """Whether the server has a certificate or rejects handshakes."""
        return bool(self.ssl_certificate) or self.ssl_reject_handshake

    def pairs(self) -> list[tuple[Template, Template]]:
        """The certificate and key templates; if any has a variable, all are treated as templates.

        Raises `ScriptError`.
        """
        keys = self.ssl_certificate_key
        pairs = list(zip(self.ssl_certificate, keys, strict=False))
        make = compile_template if any("$" in word for pair in pairs for word in pair) else literal
        return [(make(certificate), make(key)) for certificate, key in pairs]
