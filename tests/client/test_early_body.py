"""`client_body_early_read`: the body is read before all phases."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.compare_nginx import served
from tests.programs import OURS

CONFIGURATION = """
    server { listen 127.0.0.1:@PORT@; client_max_body_size 10; client_body_early_read $http_x_early;
        if ($request_body ~ secret) { return 403; }
        location / { return 200 "[$request_body]"; }
        location /large/ { client_max_body_size 100; return 200 "[$request_body]"; } }"""


def post(body: str, *fields: str, path: str = "/", length: str = "") -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: front.test", *fields]
    lines.append(length or f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


CHUNKED = "Transfer-Encoding: chunked"
CASES = {
    "early": (post("abc", "X-Early: 1"), 200, "[abc]"),
    "not set": (post("abc"), 200, "[]"),
    "zero": (post("abc", "X-Early: 0"), 200, "[]"),
    "in the rewrite phase": (post("a secret", "X-Early: yes"), 403, None),
    "unread there": (post("a secret"), 200, "[]"),
    "chunked": (post("3\r\nabc\r\n0\r\n\r\n", "X-Early: 1", length=CHUNKED), 200, "[abc]"),
    "malformed": (post("x\r\n", "X-Early: 1", length=CHUNKED), 400, None),
    # The limit is that of the server, since the location is not known yet.
    "too large": (post("a" * 11, "X-Early: 1", path="/large/"), 413, None),
    "too large in chunks": (
        post("b\r\n" + "a" * 11 + "\r\n0\r\n\r\n", "X-Early: 1", path="/large/", length=CHUNKED),
        413,
        None,
    ),
    "without a body": (b"GET / HTTP/1.1\r\nHost: a\r\nX-Early: 1\r\n\r\n", 200, "[]"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_body_is_known_to_the_first_phase(tmp_path: Path, case: str) -> None:
    request, status, body = CASES[case]
    with served(OURS, tmp_path, CONFIGURATION) as running:
        [answer] = running.ask([request])
    assert answer.status == status
    assert body is None or answer.body == body
