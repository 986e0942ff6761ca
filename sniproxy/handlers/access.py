"""nginx's access phase: addresses, passwords and subrequests decide about access.

With `satisfy all` the first check that denies access determines the response. With
`satisfy any` one check that grants access is enough; otherwise 401 takes precedence over 403.
Checks that are not configured do not count.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import trio

from ..config.cidr import parse_ip
from ..config.directives.access import Access, AuthRequestSet, Rule
from ..context import RequestContext
from ..logs.error import ConnectionLog
from ..models import Failure, Header, Level, Response, SpecialResponse
from ..variables import lookup
from ..variables.core import basic_credentials
from .auth_basic import find_user, is_slow, verify_password

OK = 0
"""The status of a check that grants access."""
FORBIDDEN, UNAUTHORIZED = 403, 401
FORBIDDEN_BY_RULE = "access forbidden by rule"


@dataclass(frozen=True, slots=True)
class AccessResult:
    """Result of a check: `OK`, or a status with response header fields."""

    status: int
    headers: tuple[Header, ...] = ()


Subrequest = Callable[[str], Awaitable[tuple[Response, RequestContext]]]
"""Runs a subrequest for a URI; returns its response and state."""


@dataclass(frozen=True, slots=True)
class AccessPhase:
    """The access checks of a location."""

    settings: Access
    conf_prefix: str
    """Directory that names of password files are relative to."""

    async def refusal(
        self, ctx: RequestContext, log: ConnectionLog, subrequest: Subrequest
    ) -> SpecialResponse | None:
        """The response that denies access, or None if access is granted."""
        settings = self.settings
        satisfy_any = settings.satisfy == "any"
        denied: AccessResult | None = None
        challenges: tuple[Header, ...] = ()
        for check in (self._rules, self._password, self._request):
            result = await check(ctx, log, subrequest)
            if result is None:
                continue
            if result.status == OK:
                if satisfy_any:
                    return None
                continue
            if not satisfy_any or result.status not in (FORBIDDEN, UNAUTHORIZED):
                return await self._deny(result, challenges, log)
            challenges += result.headers
            if denied is None or denied.status != UNAUTHORIZED:
                denied = AccessResult(result.status)
        if denied is None:
            return None
        if denied.status == FORBIDDEN:
            log.write(Level.ERROR, FORBIDDEN_BY_RULE)
        return await self._deny(denied, challenges, log)

    async def _deny(
        self, result: AccessResult, challenges: tuple[Header, ...], log: ConnectionLog
    ) -> SpecialResponse:
        if result.status == UNAUTHORIZED and self.settings.auth_delay:
            log.write(Level.INFO, "delaying unauthorized request")
            await trio.sleep(self.settings.auth_delay)
        return SpecialResponse(result.status, headers=(*challenges, *result.headers))

    # --- addresses ---

    async def _rules(
        self, ctx: RequestContext, log: ConnectionLog, subrequest: Subrequest
    ) -> AccessResult | None:
        rule = match_rule(self.settings.rules, ctx.connection.client_address)
        if rule is None:
            return None
        if not rule.denies:
            return AccessResult(OK)
        if self.settings.satisfy == "all":
            log.write(Level.ERROR, FORBIDDEN_BY_RULE)
        return AccessResult(FORBIDDEN)

    # --- passwords ---

    async def _password(
        self, ctx: RequestContext, log: ConnectionLog, subrequest: Subrequest
    ) -> AccessResult | None:
        settings = self.settings
        if settings.auth_basic is None or settings.auth_basic_user_file is None:
            return None
        values = lookup(ctx)
        realm = settings.auth_basic.render(values)
        if realm == "off":
            return None
        credentials = basic_credentials(ctx.request.header("authorization"))
        unauthorized = AccessResult(UNAUTHORIZED, (("WWW-Authenticate", f'Basic realm="{realm}"'),))
        if credentials is None:
            log.write(Level.INFO, "no user/password was provided for basic authentication")
            return unauthorized
        user, password = credentials
        path = settings.auth_basic_user_file.render(values)
        if not path.startswith("/"):
            path = f"{self.conf_prefix}/{path}"
        try:
            with open(path.encode("latin-1"), "rb") as file:
                stored = find_user(file.read(), user.encode("latin-1"))
        except OSError as error:
            missing = isinstance(error, FileNotFoundError)
            level = Level.ERROR if missing else Level.CRIT
            operation = "read()" if isinstance(error, IsADirectoryError) else "open()"
            log.write_failure(Failure(f'{operation} "{path}" failed', level, errno=error.errno))
            return AccessResult(FORBIDDEN if missing else 500)
        if stored is None:
            log.write(Level.ERROR, f'user "{user}" was not found in "{path}"')
            return unauthorized
        if await self._verify(password.encode("latin-1"), stored):
            return AccessResult(OK)
        log.write(Level.ERROR, f'user "{user}": password mismatch')
        return unauthorized

    @staticmethod
    async def _verify(password: bytes, stored: bytes) -> bool:
        if is_slow(stored):
            return await trio.to_thread.run_sync(verify_password, password, stored)
        return verify_password(password, stored)

    # --- auth_request ---

    async def _request(
        self, ctx: RequestContext, log: ConnectionLog, subrequest: Subrequest
    ) -> AccessResult | None:
        settings = self.settings
        if not settings.auth_request:
            return None
        response, subrequest_facts = await subrequest(settings.auth_request)
        set_auth_variables(settings.auth_request_set, subrequest_facts, ctx)
        if response.status == FORBIDDEN:
            return AccessResult(FORBIDDEN)
        if response.status == UNAUTHORIZED:
            challenges = [h for h in response.headers if h[0].lower() == "www-authenticate"]
            return AccessResult(UNAUTHORIZED, tuple(challenges))
        if 200 <= response.status < 300:
            return AccessResult(OK)
        log.write(Level.ERROR, f"auth request unexpected status: {response.status}")
        return AccessResult(500)


def access_phase(settings: Access, conf_prefix: str) -> AccessPhase | None:
    """The checks of a location, or None if nothing is restricted."""
    return AccessPhase(settings, conf_prefix) if settings.is_restricted else None


def match_rule(rules: Sequence[Rule], client: str) -> Rule | None:
    """The first rule for the address `client` (`unix:` for UNIX sockets), or None."""
    address = parse_ip(client)
    for rule in rules:
        if rule.network is None:
            if not rule.unix_only or address is None:
                return rule
        elif address is not None and address in rule.network:
            return rule
    return None


def set_auth_variables(
    directives: Sequence[AuthRequestSet], subrequest_facts: RequestContext, ctx: RequestContext
) -> None:
    """Set the `auth_request_set` variables from the state of the subrequest."""
    values = lookup(subrequest_facts)
    for one in directives:
        ctx.variables[one.name] = one.value.render(values)
