"""Check who asks the live page (pure): against DNS rebinding and requests of other pages."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from urllib.parse import parse_qs

from ..models import RequestHead

TOKEN_FIELD = "x-live-token"
LOOPBACK = frozenset(("localhost", "127.0.0.1", "[::1]"))


def allowed_hosts(address: str, port: int) -> frozenset[str]:
    """The values of Host for a connection that was made to `address`."""
    host = f"[{address}]" if ":" in address else address
    return frozenset(f"{name}:{port}" for name in {*LOOPBACK, host})


def refusal(head: RequestHead, hosts: Collection[str]) -> str:
    """Why a request is refused, whatever it wants; "" if it is not."""
    host = (head.header("host") or "").lower()
    if host not in hosts:
        return "the Host field names another site"
    origin = head.header("origin")
    if origin is not None and origin.lower() != f"http://{host}":
        return "the request comes from a page of another site"
    if head.path.startswith("/api/") and head.header("sec-fetch-site") in (
        "cross-site",
        "same-site",
    ):
        return "the request comes from a page of another site"
    return ""


def has_token(head: RequestHead, token: str, *, in_query: bool) -> bool:
    """Whether a request has the page's token: in its field, or in the query where that is allowed.

    A page of another site cannot set the field without being asked for by CORS, which is refused.
    """
    given = head.header(TOKEN_FIELD) or ""
    if not given and in_query:
        given = parse_qs(head.args).get("token", [""])[0]
    return secrets.compare_digest(given.encode("latin-1", "replace"), token.encode("ascii"))
