"""`limit_rate`, `limit_rate_after` and `$limit_rate`, beside nginx."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from tests.compare_nginx import paired_with_nginx
from tests.handlers.filter_pair import ask, compare, get

LOCATIONS = f"""
    location /after {{ limit_rate 1k; limit_rate_after 1m; return 200 "{"x" * 4000}"; }}
    location /fast {{ limit_rate 1m; return 200 ok; }}
    location /bad {{ limit_rate $arg_r; limit_rate_after $arg_a; return 200 ok; }}
    location /set {{ set $limit_rate $arg_r; add_header X-Rate $limit_rate; return 200 ok; }}
    location /both {{ set $limit_rate 1m; limit_rate 1; return 200 "{"x" * 4000}"; }}
    location /upstream/ {{ limit_rate 1; UPSTREAM }}
    location /unbuffered/ {{ limit_rate 1; proxy_buffering off; UPSTREAM }}
    location /if {{ if ($arg_z) {{ limit_rate 1m; }} return 200 ok; }}
"""
REQUESTS = (
    *("/after", "/fast", "/bad", "/bad?r=x", "/bad?r=1m", "/bad?r=1m&a=x", "/bad?r=0", "/set"),
    *("/set?r=x", "/set?r=1m", "/set?r=0", "/set?r=1G", "/both", "/if", "/if?z=1"),
    *("/upstream/?h=X-Accel-Limit-Rate:%201000000", "/upstream/?h=X-Accel-Limit-Rate:%200"),
    "/unbuffered/",
)


@pytest.mark.nginx
def test_rates_are_evaluated_as_by_nginx(tmp_path: Path) -> None:
    compare(tmp_path, LOCATIONS, map(get, REQUESTS), log="$status $limit_rate")


@pytest.mark.nginx
def test_a_limited_response_takes_as_long_as_with_nginx(tmp_path: Path) -> None:
    http = f"""access_log access.log; server {{ listen 127.0.0.1:@PORT@;
        location / {{ limit_rate 2k; limit_rate_after 1k; return 200 "{"x" * 4000}"; }} }}"""
    with paired_with_nginx(tmp_path, http) as pair:
        durations = []
        for program in pair.both:
            started = time.monotonic()
            assert ask(program, get("/")).body == b"x" * 4000
            durations.append(time.monotonic() - started)
    ours, theirs = durations
    assert theirs > 0.4
    assert abs(ours - theirs) < 1.1, "nginx counts whole seconds"


@pytest.mark.nginx
@pytest.mark.needs("nghttp")
def test_rates_apply_to_each_stream_of_http2_as_in_nginx(tmp_path: Path) -> None:
    http = f"""access_log access.log; server {{ listen 127.0.0.1:@PORT@; http2 on;
        location / {{ limit_rate 2k; limit_rate_after 1k; return 200 "{"x" * 4000}"; }} }}"""
    with paired_with_nginx(tmp_path, http) as pair:
        durations = []
        for program in pair.both:
            url = f"http://127.0.0.1:{program.ports['']}/"
            command = ["nghttp", f"{url}a", f"{url}b"]
            started = time.monotonic()
            done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
            durations.append(time.monotonic() - started)
            assert done.stdout.count("x") == 8000
    ours, theirs = durations
    assert theirs > 0.4
    assert abs(ours - theirs) < 1.1, "nginx counts whole seconds"
