"""Directives of nginx's http ssl module: TLS towards clients."""

from __future__ import annotations

from ...script import Template, compile_template, literal
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
from .slots import flag, number, one_of, parse_number, parse_size, size, some_of, string, whole_time
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
    kind, _, rest = word.partition(":")
    name, colon, text = rest.partition(":")
    shared = parse_size(text) if kind == "shared" and name and colon else None
    if shared is not None and shared < _MIN_SHARED_CACHE:
        args.fail(f'{what} "{word}" is too small')
    return shared is not None


def ocsp(args: Args) -> str:
    value: str = one_of({name: name for name in ("off", "on", "leaf")})(args)
    if value != "off":
        args.fail(f'"ssl_ocsp {value}" is not supported by sniproxy yet')
    return value


@settings("ngx_http_ssl_module")
class Ssl(Settings):
    """The TLS settings of a server."""

    ssl_certificate: tuple[str, ...] = directive(
        HTTP | SERVER, string,
        'a PEM file with the certificate and its chain; "auto" (ours): a development certificate',
        repeat=Repeat.APPENDED,
    )  # fmt: skip
    ssl_certificate_key: tuple[str, ...] = directive(
        HTTP | SERVER, string, "the PEM file with the certificate's key", repeat=Repeat.APPENDED
    )
    ssl_certificate_cache: CacheRules | None = directive(
        HTTP | SERVER, certificate_cache, "for how long certificates named by variables are kept",
        arity=between(1, 3), default="off",
    )  # fmt: skip
    ssl_password_file: PasswordFile | None = directive(
        HTTP | SERVER, password_file, "a file with passphrases for keys, one a line"
    )
    ssl_protocols: frozenset[str] = directive(
        HTTP | SERVER, some_of(*PROTOCOLS), "the protocols offered to clients",
        arity=at_least(1), default="TLSv1.2 TLSv1.3", repeat=Repeat.MERGED,
    )  # fmt: skip
    ssl_ciphers: str = directive(
        HTTP | SERVER, string, "the cipher list, in OpenSSL's language", default="HIGH:!aNULL:!MD5"
    )
    ssl_prefer_server_ciphers: bool = directive(
        HTTP | SERVER, flag, "whether our order of ciphers counts", default="off"
    )
    ssl_ecdh_curve: str = directive(
        HTTP | SERVER, string, "the groups for key exchange", default="auto"
    )
    ssl_dhparam: str | None = directive(
        HTTP | SERVER, string, "a PEM file with parameters for DHE ciphers"
    )
    ssl_conf_command: tuple[tuple[str, str], ...] = directive(
        HTTP | SERVER, conf_command, "a command of OpenSSL's own configuration language",
        arity=exactly(2), repeat=Repeat.APPENDED,
    )  # fmt: skip
    ssl_verify_client: str = directive(
        HTTP | SERVER, one_of({name: name for name in VERIFY}),
        "whether clients are asked for a certificate, and what is made of it", default="off",
    )  # fmt: skip
    ssl_verify_depth: int = directive(
        HTTP | SERVER, number, "how long the chain of a client's certificate may be", default="1"
    )
    ssl_client_certificate: str | None = directive(
        HTTP | SERVER, string, "the authorities that are trusted, and named to the client"
    )
    ssl_trusted_certificate: str | None = directive(
        HTTP | SERVER, string, "authorities that are trusted, and not named to the client"
    )
    ssl_crl: str | None = directive(
        HTTP | SERVER, string, "a PEM file with lists of revoked certificates"
    )
    ssl_session_timeout: float = directive(
        HTTP | SERVER, whole_time, "seconds a session may be resumed", default="5m"
    )
    ssl_session_cache: str = directive(
        HTTP | SERVER, session_cache,
        "whether sessions are kept beside tickets: in the process, as many as OpenSSL keeps",
        arity=between(1, 2), default="none", repeat=Repeat.REPLACED,
    )  # fmt: skip
    ssl_session_tickets: bool = directive(
        HTTP | SERVER, flag, "whether sessions go to the client as tickets", default="on"
    )
    ssl_session_ticket_key: tuple[str, ...] = directive(
        HTTP | SERVER, string,
        "a key for tickets: its file is checked, but tickets have keys of their own",
        repeat=Repeat.APPENDED, status=Status.NO_EFFECT,
    )  # fmt: skip
    ssl_reject_handshake: bool = directive(
        HTTP | SERVER, flag, "refuse every handshake that comes to this server", default="off"
    )
    ssl_stapling: bool = directive(
        HTTP | SERVER, flag,
        "whether clients are shown the OCSP response of ssl_stapling_file; none is fetched",
        default="off",
    )  # fmt: skip
    ssl_stapling_file: str | None = directive(
        HTTP | SERVER, string, "a file with an OCSP response in DER"
    )
    ssl_stapling_responder: str | None = directive(
        HTTP | SERVER, string, "the responder to ask: none is asked", status=Status.NO_EFFECT
    )
    ssl_stapling_verify: bool = directive(
        HTTP | SERVER, flag, "whether fetched responses are verified: none is fetched",
        default="off", status=Status.NO_EFFECT,
    )  # fmt: skip
    ssl_ocsp: str = directive(
        HTTP | SERVER, ocsp, "whether responders are asked about clients: only `off`", default="off"
    )
    ssl_ocsp_responder: str | None = directive(
        HTTP | SERVER, string, "the responder to ask: none is asked", status=Status.NO_EFFECT
    )
    ssl_ocsp_cache: str = directive(
        HTTP | SERVER, ocsp_cache, "where answers are kept: none is asked for", default="off",
        status=Status.NO_EFFECT,
    )  # fmt: skip
    ssl_early_data: bool = directive(
        HTTP | SERVER, flag, "early data: it is never taken, clients send it again", default="off",
        status=Status.NO_EFFECT,
    )  # fmt: skip
    ssl_buffer_size: int = directive(
        HTTP | SERVER, size, "how much goes into one TLS record: as much as is there",
        default="16k", status=Status.NO_EFFECT,
    )  # fmt: skip
    ssl_certificate_compression: bool = directive(
        HTTP | SERVER, flag, "compressed certificates: they are sent as they are", default="off",
        status=Status.NO_EFFECT,
    )  # fmt: skip
    ssl_ech_file: tuple[str, ...] = directive(
        HTTP | SERVER, string, "keys for encrypted hellos, which are not read",
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
        said = list(zip(self.ssl_certificate, keys, strict=False))
        make = compile_template if any("$" in word for pair in said for word in pair) else literal
        return [(make(certificate), make(key)) for certificate, key in said]
