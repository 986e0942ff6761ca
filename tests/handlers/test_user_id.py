"""`userid`, beside nginx."""

from __future__ import annotations

import base64
import contextlib
import re
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sniproxy.http.dates import cookie_date
from sniproxy.variables.userid import decode_identifier
from tests.compare_nginx import served
from tests.handlers.filter_pair import compare, get
from tests.nginx import NGINX
from tests.programs import OURS

IDENTIFIER = bytes(range(1, 17))
COOKIE = base64.b64encode(IDENTIFIER).decode()
RULES = {
    "off": "userid off;",
    "log": "userid log;",
    "on": "userid on;",
    "v1": "userid v1;",
    "mark": "userid on; userid_mark z;",
    "mark-equals": "userid on; userid_mark =;",
    "attributes": "userid on; userid_mark y; userid_domain example.test; userid_path /p; "
    "userid_p3p 'policyref=\"/w3c/p3p.xml\"'; userid_expires max; "
    "userid_flags secure httponly samesite=lax;",
    "none": "userid on; userid_mark y; userid_domain none; userid_p3p none; userid_expires off; "
    "userid_flags off;",
    "name": "userid on; userid_name ID; userid_mark y;",
    "strict": "userid on; userid_mark y; userid_flags samesite=strict;",
    "all-flags": "userid on; userid_mark y; userid_flags off secure samesite=none;",
    "reset-0": "userid on; set $uid_reset 0;",
    "outside": "",
}
SHOW = 'return 200 "[$uid_got|$uid_set]";'
LOCATIONS = (
    "userid log; userid_name outer;\n"
    + "".join(f"location /{name}/ {{ {rule} {SHOW} }}\n" for name, rule in RULES.items())
    + """
    location /errors/ { userid on; userid_name uid; userid_mark y; return 404; }
    location /static/ { userid on; userid_name uid; userid_mark y; root html; }
    location /proxied/ { userid on; userid_name uid; userid_mark y; UPSTREAM }
    location /added/ { userid on; userid_name uid; userid_mark y; add_header X-A a; add_header
        X-Set $sent_http_set_cookie; return 204; }
"""
)
VALUES = (
    *(COOKIE, COOKIE[:22], COOKIE[:22] + "z=", COOKIE[:22] + "y=", COOKIE[:22] + "=="),
    *(COOKIE[:22] + "yy", COOKIE[:21], "short", "", COOKIE[:21] + "-", COOKIE + "garbage"),
    *("A" * 22, "=" * 22, "AAAA" + "=" * 18, "A" * 21 + "=", "!" * 22, COOKIE[:20] + "=="),
)


def requests() -> Iterator[bytes]:
    for place in RULES:
        name = {"name": "iD", "outside": "outer"}.get(place, "outer")
        for value in VALUES if place not in ("on", "v1", "reset-0") else VALUES[:5]:
            if place in ("off", "log", "outside") or decodes(value):
                yield get(f"/{place}/", f"Cookie: a=b; {name}={value}; c=d")
    for place in ("errors", "static", "proxied", "added"):
        yield get(f"/{place}/x", f"Cookie: uid={COOKIE}")
    yield get("/off/")
    yield get("/log/", "Cookie: x=y", f"Cookie: outer={COOKIE}")


def decodes(value: str) -> bool:
    """Whether nginx finds an identifier, so that it makes no new one."""
    found = decode_identifier(value) if len(value) >= 22 else None
    return found is not None and found[12:] != bytes(4)


@pytest.mark.nginx
def test_cookies_are_read_as_by_nginx(tmp_path: Path) -> None:
    outcomes = compare(tmp_path, LOCATIONS, requests(), log="$status $uid_got $uid_set")
    assert any(name == "Set-Cookie" for one in outcomes for name, _ in one.headers)


NEW = f"""
    server {{ listen 127.0.0.1:@PORT@; userid_expires 1h;
        location /on {{ userid on; {SHOW} }}
        location /v1 {{ userid v1; {SHOW} }}
        location /service {{ userid on; userid_service 258; {SHOW} }}
        location /v1-service {{ userid v1; userid_service 258; {SHOW} }}
        location /mark {{ userid on; userid_mark q; {SHOW} }}
        location /reset {{ userid on; set $uid_reset log; {SHOW} }} }}"""


@pytest.mark.nginx
def test_new_identifiers_are_made_as_by_nginx(tmp_path: Path) -> None:
    """They differ in the time and the process alone, which a mask removes."""
    seen = []
    with contextlib.ExitStack() as stack:
        for program in (OURS, NGINX):
            room = tmp_path / program.name
            room.mkdir()
            started = int(time.time())
            running = stack.enter_context(served(program, room, NEW))
            lines, starts = [], dict[str, int]()
            for path in ("on", "on", "v1", "v1", "service", "v1-service", "mark", "reset"):
                cookies = [f"Cookie: uid={COOKIE}"] if path == "reset" else []
                [answer] = running.ask([get(f"/{path}", *cookies)])
                cookie = answer.header("set-cookie")
                assert cookie is not None
                value, expires = re.fullmatch(r"uid=(.{24}); expires=(.*); path=/", cookie).groups()  # type: ignore[union-attr]
                assert expires in {cookie_date(started + 3600 + later) for later in range(60)}
                identifier = base64.b64decode(value[:22] + "==")
                order = "=" if path.startswith("v1") else "!"
                first, when, _, sequence = struct.unpack(f"{order}4L", identifier)
                assert started <= when < started + 60
                set_text = answer.body.partition("|")[2]
                # The tests of one process share its sequences.
                begin = starts.setdefault(order, sequence)
                lines.append((path, first, sequence - begin, value[22:], len(set_text)))
            errors = [line for line in running.log("error.log") if "was reset" in line]
            seen.append((lines, [re.sub(r".*\*\d+ |127.0.0.1:\d+", "", line) for line in errors]))
    assert seen[0] == seen[1]
    assert len(seen[0][1]) == 1


@given(st.text(max_size=40))
def test_no_cookie_is_too_strange(text: str) -> None:
    decoded = decode_identifier(text)
    assert decoded is None or len(decoded) == 16
