"""Whether the configuration allows keep-alive."""

from __future__ import annotations

import time

import pytest

from sniproxy.client.keepalive import is_msie6, is_safari, keepalive_allowed
from sniproxy.config.directives.core import CoreLocation
from sniproxy.context import Connection
from tests.configured import request

MSIE6 = "Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)"
SAFARI = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15) AppleWebKit/605 Safari/605"


@pytest.mark.parametrize(
    ("agent", "msie6", "safari"),
    [
        (MSIE6, True, False),
        (MSIE6.replace(")", "; SV1)"), False, False),
        (MSIE6.replace("6.0", "5.5"), True, False),
        (MSIE6.replace("6.0", "4.01"), True, False),
        (MSIE6.replace("6.0", "7.0"), False, False),
        (MSIE6.replace("6.0", "10.0"), False, False),
        (MSIE6 + " Opera", False, False),
        ("MSIE 6", False, False),
        (SAFARI, False, True),
        (SAFARI + " Chrome/99", False, False),
        (SAFARI.replace("Mac OS X", "Linux"), False, False),
        ("", False, False),
    ],
)
def test_keepalive_disable_detects_old_browsers(agent: str, msie6: bool, safari: bool) -> None:
    assert is_msie6(agent) is msie6
    assert is_safari(agent) is safari


def connection(age: float = 0.0, requests: int = 1) -> Connection:
    known = Connection(7, "192.0.2.1", 1234, "192.0.2.2", 80)
    known.started_at = time.time() - age
    known.requests = requests
    return known


@pytest.mark.parametrize(
    ("settings", "age", "requests", "pool"),
    [
        ({}, 0, 1, True),
        ({}, 0, 999, True),
        ({}, 0, 1000, False),
        ({"keepalive_requests": 1}, 0, 1, False),
        ({}, 3599, 1, True),
        ({}, 3601, 1, False),
        ({"keepalive_time": 10.0}, 11, 1, False),
        ({"keepalive_timeout": (0.0, None)}, 0, 1, False),
    ],
)
def test_keepalive_limits_of_requests_and_time(
    settings: dict[str, object], age: float, requests: int, pool: bool
) -> None:
    core = CoreLocation.resolve(settings)
    assert keepalive_allowed(core, request("/"), connection(age, requests)) is pool


def test_post_of_old_browser_disables_keepalive() -> None:
    headers = (("User-Agent", MSIE6),)
    core = CoreLocation.resolve()
    assert keepalive_allowed(core, request("/", headers=headers), connection())
    assert not keepalive_allowed(core, request("/", method="POST", headers=headers), connection())
    none = CoreLocation.resolve({"keepalive_disable": frozenset(("none",))})
    assert keepalive_allowed(none, request("/", method="POST", headers=headers), connection())
