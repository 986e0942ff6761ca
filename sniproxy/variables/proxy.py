"""The variables of nginx's http proxy module."""

from __future__ import annotations

from ..facts import Facts
from .row import Variable


def _port(facts: Facts) -> str | None:
    target = facts.location.proxy.proxy_pass
    if target is None or target.address is None:
        return None
    return str(target.address.port or "")


def _forwarded_for(facts: Facts) -> str:
    forwarded = [v for n, v in facts.request.headers if n.lower() == "x-forwarded-for"]
    return ", ".join([*forwarded, facts.connection.client_address])


ROWS = (
    Variable("proxy_host", lambda f: f.proxy_host or None, "name and port of `proxy_pass`"),
    Variable("proxy_port", _port, "the port of `proxy_pass`"),
    Variable(
        "proxy_add_x_forwarded_for", _forwarded_for, "X-Forwarded-For with the client's address"
    ),
)
