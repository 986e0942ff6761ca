"""nginx's http ssl module: TLS towards clients."""

from __future__ import annotations

from .kinds import flag, parse_number, parse_size, some_of, string, whole_time
from .row import (
    HTTP,
    SERVER,
    Args,
    Repeat,
    Settings,
    Status,
    at_least,
    between,
    row,
    settings,
)

PROTOCOLS = ("SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")


_LEAST_SHARED_CACHE = 8 * 4096


def session_cache(args: Args) -> tuple[str, ...]:
    """`off`, `none`, `builtin[:SIZE]`, `shared:NAME:SIZE`, or two of them."""
    for word in args.words:
        kind, _, rest = word.partition(":")
        if word in ("off", "none", "builtin"):
            continue
        if kind == "builtin" and parse_number(rest) is not None:
            continue
        name, colon, text = rest.partition(":")
        shared = parse_size(text) if kind == "shared" and name and colon else None
        if shared is None:
            args.fail(f'invalid session cache "{word}"')
        if shared < _LEAST_SHARED_CACHE:
            args.fail(f'session cache "{word}" is too small')
    return args.words


@settings("ngx_http_ssl_module")
class Ssl(Settings):
    """The TLS settings of one server."""

    ssl_certificate: tuple[str, ...] = row(
        HTTP | SERVER, string,
        'a PEM file with the certificate and its chain; "auto" (ours): a development certificate',
        repeat=Repeat.APPENDED,
    )  # fmt: skip
    ssl_certificate_key: tuple[str, ...] = row(
        HTTP | SERVER, string, "the PEM file with the certificate's key", repeat=Repeat.APPENDED
    )
    ssl_protocols: frozenset[str] = row(
        HTTP | SERVER, some_of(*PROTOCOLS), "the protocols offered to clients",
        arity=at_least(1), default="TLSv1.2 TLSv1.3", repeat=Repeat.MERGED,
    )  # fmt: skip
    ssl_ciphers: str = row(
        HTTP | SERVER, string, "the cipher list, in OpenSSL's language", default="HIGH:!aNULL:!MD5"
    )
    ssl_prefer_server_ciphers: bool = row(
        HTTP | SERVER, flag, "whether our order of ciphers counts", default="off"
    )
    ssl_ecdh_curve: str = row(HTTP | SERVER, string, "the groups for key exchange", default="auto")
    ssl_session_timeout: float = row(
        HTTP | SERVER, whole_time, "seconds a session may be resumed", default="5m"
    )
    ssl_session_cache: tuple[str, ...] = row(
        HTTP | SERVER, session_cache, "where sessions are kept besides tickets",
        arity=between(1, 2), default="none", repeat=Repeat.REPLACED, status=Status.NO_EFFECT,
    )  # fmt: skip
    ssl_session_tickets: bool = row(
        HTTP | SERVER, flag, "whether sessions go to the client as tickets", default="on"
    )
    ssl_reject_handshake: bool = row(
        HTTP | SERVER, flag, "refuse every handshake that comes to this server", default="off"
    )
