"""Directives of nginx's access, auth_basic and auth_request modules, and `satisfy`."""

from __future__ import annotations

from dataclasses import dataclass

from ...template import Template, literal
from ..cidr import Network, parse_network
from .core import HSL
from .core import MODULE as CORE
from .directive import (
    LIMIT_EXCEPT,
    LOCATION,
    Args,
    Directive,
    Merge,
    Repeat,
    Settings,
    at_least,
    directive,
    exactly,
    sequence,
    settings,
)
from .slots import compiled, one_of, time

ACCESS = "ngx_http_access_module"
BASIC = "ngx_http_auth_basic_module"
REQUEST = "ngx_http_auth_request_module"
HSLL = HSL | LIMIT_EXCEPT


@dataclass(frozen=True, slots=True)
class Rule:
    """An `allow` or `deny`."""

    denies: bool
    network: Network | None
    """None for `all` and `unix:`."""
    unix_only: bool = False
    exact: bool = True
    """Whether the host bits of the network were zero."""


def rule(args: Args) -> Rule:
    denies = args.name == "deny"
    word = args.first
    if word in ("all", "unix:"):
        return Rule(denies, None, unix_only=word == "unix:")
    parsed = parse_network(word)
    if parsed is None:
        args.fail(f'invalid parameter "{word}"')
    return Rule(denies, parsed[0], exact=parsed[1])


@dataclass(frozen=True, slots=True)
class AuthRequestSet:
    """`auth_request_set $NAME VALUE`."""

    name: str
    """Lower-case, without the dollar sign."""
    value: Template


def auth_request_set(args: Args) -> AuthRequestSet:
    name, value = args.words
    if not name.startswith("$"):
        args.fail(f'invalid variable name "{name}"')
    return AuthRequestSet(name[1:].lower(), compiled(args, value) if value else literal(""))


def text(args: Args) -> Template:
    return compiled(args, args.first) if args.first else literal("")


def auth_request(args: Args) -> str:
    """The URI of the subrequest; "" for `off`."""
    return "" if args.first == "off" else args.first


@settings(ACCESS)
class Access(Settings):
    """Access control of a location."""

    rules: tuple[Rule, ...] = sequence(
        *(
            Directive(name, HSLL, exactly(1), rule, doc, ACCESS, repeat=Repeat.APPENDED)
            for name, doc in (
                ("allow", "allow clients by address or network"),
                ("deny", "deny clients by address or network"),
            )
        )
    )
    satisfy: str = directive(
        HSL, one_of({"all": "all", "any": "any"}), "whether all access checks must succeed, or any",
        default="all", module=CORE,
    )  # fmt: skip
    auth_delay: float = directive(
        HSL, time, "delay before a 401 response", default="0", module=CORE
    )
    auth_basic: Template | None = directive(
        HSLL, text, "realm of HTTP Basic authentication; `off` disables it", module=BASIC
    )
    auth_basic_user_file: Template | None = directive(
        HSLL, text, "file of user names and password hashes", module=BASIC
    )
    auth_request: str = directive(
        HSL, auth_request, "URI of a subrequest that decides about access", module=REQUEST
    )
    auth_request_set: tuple[AuthRequestSet, ...] = directive(
        HSL, auth_request_set, "set a variable from the auth_request response",
        arity=exactly(2), repeat=Repeat.APPENDED, module=REQUEST,
    )  # fmt: skip

    @property
    def is_restricted(self) -> bool:
        return bool(
            self.rules or self.auth_request or (self.auth_basic and self.auth_basic_user_file)
        )


METHODS = (
    "GET", "HEAD", "POST", "PUT", "DELETE", "MKCOL", "COPY", "MOVE", "OPTIONS", "PROPFIND",
    "PROPPATCH", "LOCK", "UNLOCK", "PATCH",
)  # fmt: skip


def limit_except(args: Args) -> frozenset[str]:
    """The methods that are not limited; GET includes HEAD."""
    methods = set()
    for word in args.words:
        if word.upper() not in METHODS:
            args.fail(f'invalid method "{word}"')
        methods.add(word.upper())
    if "GET" in methods:
        methods.add("HEAD")
    return frozenset(methods)


DIRECTIVES = (
    Directive(
        "limit_except",
        LOCATION,
        at_least(1),
        limit_except,
        "settings for all methods except these",
        CORE,
        merge=Merge.NOT_INHERITED,
        opens_context=LIMIT_EXCEPT,
    ),
)
