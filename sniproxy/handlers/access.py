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
from ..facts import Facts
from ..logs.error import ConnectionLog
from ..message import Failure, Header, Level, Response, Special
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


Subrequest = Callable[[str], Awaitable[tuple[Response, Facts]]]
"""Runs a subrequest for a URI; returns its response and state."""


@dataclass(frozen=True, slots=True)
class AccessPhase:
    """The access checks of a location."""

    said: Access
    conf_prefix: str
    """Directory that names of password files are relative to."""

    async def refusal(
        self, facts: Facts, log: ConnectionLog, subrequest: Subrequest
    ) -> Special | None:
        """The response that denies access, or None if access is granted."""
        said = self.said
        any_is_enough = said.satisfy == "any"
        refused: AccessResult | None = None
        challenges: tuple[Header, ...] = ()
        for check in (self._rules, self._password, self._request):
            verdict = await check(facts, log, subrequest)
            if verdict is None:
                continue
            if verdict.status == OK:
                if any_is_enough:
                    return None
                continue
            if not any_is_enough or verdict.status not in (FORBIDDEN, UNAUTHORIZED):
                return await self._refused(verdict, challenges, log)
            challenges += verdict.headers
            if refused is None or refused.status != UNAUTHORIZED:
                refused = AccessResult(verdict.status)
        if refused is None:
            return None
        if refused.status == FORBIDDEN:
            log.write(Level.ERROR, FORBIDDEN_BY_RULE)
        return await self._refused(refused, challenges, log)

    async def _refused(
        self, verdict: AccessResult, challenges: tuple[Header, ...], log: ConnectionLog
    ) -> Special:
        if verdict.status == UNAUTHORIZED and self.said.auth_delay:
            log.write(Level.INFO, "delaying unauthorized request")
            await trio.sleep(self.said.auth_delay)
        return Special(verdict.status, headers=(*challenges, *verdict.headers))

    # --- addresses ---

    async def _rules(
        self, facts: Facts, log: ConnectionLog, subrequest: Subrequest
    ) -> AccessResult | None:
        rule = match_rule(self.said.rules, facts.connection.client_address)
        if rule is None:
            return None
        if not rule.denies:
            return AccessResult(OK)
        if self.said.satisfy == "all":
            log.write(Level.ERROR, FORBIDDEN_BY_RULE)
        return AccessResult(FORBIDDEN)

    # --- passwords ---

    async def _password(
        self, facts: Facts, log: ConnectionLog, subrequest: Subrequest
    ) -> AccessResult | None:
        said = self.said
        if said.auth_basic is None or said.auth_basic_user_file is None:
            return None
        values = lookup(facts)
        realm = said.auth_basic.render(values)
        if realm == "off":
            return None
        credentials = basic_credentials(facts.request.header("authorization"))
        asks = AccessResult(UNAUTHORIZED, (("WWW-Authenticate", f'Basic realm="{realm}"'),))
        if credentials is None:
            log.write(Level.INFO, "no user/password was provided for basic authentication")
            return asks
        user, password = credentials
        path = said.auth_basic_user_file.render(values)
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
            return asks
        if await self._verify(password.encode("latin-1"), stored):
            return AccessResult(OK)
        log.write(Level.ERROR, f'user "{user}": password mismatch')
        return asks

    @staticmethod
    async def _verify(password: bytes, stored: bytes) -> bool:
        if is_slow(stored):
            return await trio.to_thread.run_sync(verify_password, password, stored)
        return verify_password(password, stored)

    # --- auth_request ---

    async def _request(
        self, facts: Facts, log: ConnectionLog, subrequest: Subrequest
    ) -> AccessResult | None:
        said = self.said
        if not said.auth_request:
            return None
        response, asked = await subrequest(said.auth_request)
        set_auth_variables(said.auth_request_set, asked, facts)
        if response.status == FORBIDDEN:
            return AccessResult(FORBIDDEN)
        if response.status == UNAUTHORIZED:
            challenges = [h for h in response.headers if h[0].lower() == "www-authenticate"]
            return AccessResult(UNAUTHORIZED, tuple(challenges))
        if 200 <= response.status < 300:
            return AccessResult(OK)
        log.write(Level.ERROR, f"auth request unexpected status: {response.status}")
        return AccessResult(500)


def access_phase(said: Access, conf_prefix: str) -> AccessPhase | None:
    """The checks of a location, or None if nothing is restricted."""
    return AccessPhase(said, conf_prefix) if said.says_something else None


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


def set_auth_variables(wanted: Sequence[AuthRequestSet], asked: Facts, facts: Facts) -> None:
    """Set the `auth_request_set` variables from the subrequest `asked`."""
    values = lookup(asked)
    for one in wanted:
        facts.variables[one.name] = one.value.render(values)
