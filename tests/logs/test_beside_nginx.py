"""Logs compared with nginx: which lines go to which file, and what a syslog server receives."""

from __future__ import annotations

import gzip
import re
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.compare_nginx import Answer, NginxPair, get, paired_with_nginx, served
from tests.nginx import NGINX
from tests.programs import OURS, Program

pytestmark = pytest.mark.nginx

HTTP = r"""
    log_format short '$request_uri $status';
    log_format uri '$request_uri';
    log_format two '$remote_addr:' "$status" ' "$http_x"';
    log_format json escape=json '{"x":"$http_x","y":"$arg_y","none":"$http_none"}';
    log_format none escape=none '$http_x|$http_none|$arg_y';
    log_format default escape=default '$http_x|$http_none|$arg_y';
    map $status $loggable { ~^[23] 0; default 1; }
    map $arg_log $empty { yes 1; }
    error_log http.log warn;
    server {
        listen 127.0.0.1:@PORT@;
        server_name front.test;
        access_log server.log short;
        location /plain { return 200 x; }
        location /several { access_log a.log short; access_log b.log two; access_log a.log short;
            return 200 x; }
        location /off { access_log off; return 200 x; }
        location /off-too { access_log a.log short; access_log off; return 200 x; }
        location /escapes { access_log json.log json; access_log none.log none;
            access_log default.log default; access_log combined.log; return 200 x; }
        location /if { access_log if.log short if=$loggable; access_log if2.log short if=$empty;
            access_log if3.log short if=0; access_log if4.log short if=1;
            if ($arg_s = 404) { return 404; } if ($arg_s = 500) { return 500; } return 200 x; }
        location /named { root ./; access_log named-$arg_name.log short; return 200 x; }
        location /nested-name { root ./; access_log sub/$arg_name.log short; return 200 x; }
        location /no-root { root nosuch; access_log rootless-$arg_name.log short; return 200 x; }
        location /buffered { access_log buffered.log uri buffer=100; return 200 x; }
        location /flushed { access_log flushed.log short buffer=1m flush=100ms; return 200 x; }
        location /packed { access_log packed.gz short gzip flush=100ms; return 200 x; }
        location /errors/ { error_log location.log error; error_log location.log info;
            location /errors/inner/ { error_log inner.log crit; }
            location /errors/named/ { try_files /nosuch @named; }
            location /errors/silent/ { log_not_found off; }
        }
        location @named { error_log named-errors.log; }
        location /server-errors/ { }
        location /moved { if ($arg_x) { access_log ifs.log short; return 200 x; } return 200 y; }
        open_log_file_cache max=10;
    }
    server {
        listen 127.0.0.1:@PORT@;
        server_name other.test;
        error_log other.log debug_http;
        error_log other2.log notice;
        access_log other-access.log short;
        location / { return 200 $server_name; }
    }
"""


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NginxPair]:
    room = tmp_path_factory.mktemp("logs")
    with paired_with_nginx(room, HTTP) as both:
        yield both


REQUESTS = {
    "plain": (("/plain?a=b",), ("server.log",)),
    "several": (("/several", "/several?x"), ("a.log", "b.log", "server.log")),
    "off": (("/off", "/off-too"), ("a.log", "server.log")),
    "if": (
        ("/if?s=200", "/if?s=404", "/if?s=500&log=yes", "/if?s=301&log=no"),
        ("if.log", "if2.log", "if3.log", "if4.log", "server.log"),
    ),
    "named": (
        (
            "/named?name=a",
            "/named?name=b",
            "/named?name=a",
            "/nested-name?name=a",
            "/no-root?name=a",
        ),
        ("named-a.log", "named-b.log", "rootless-a.log", "http.log", "server.log"),
    ),
    "buffered": (tuple(f"/buffered?number={n}" for n in range(9)), ("buffered.log",)),
    "flushed": (("/flushed?a", "/flushed?b"), ("flushed.log",)),
    "errors": (
        (
            "/errors/nosuch",
            "/errors/inner/nosuch",
            "/errors/named/x",
            "/errors/silent/x",
            "/server-errors/nosuch",
            "/nosuch",
        ),
        ("location.log", "inner.log", "named-errors.log", "http.log", "error.log", "server.log"),
    ),
    "moved": (("/moved", "/moved?x=1"), ("ifs.log", "server.log")),
}

_STAMP = re.compile(r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d (\[\w+\]) \d+#\d+: \*\d+ ")
_ERRNO = re.compile(r"\((\d+): [^)]*\)")


def defaults(lines: list[str]) -> list[str]:
    """Error log lines without time, numbers and messages of the C library."""
    return [_ERRNO.sub(r"(\1)", _STAMP.sub(r"\1 ", line)) for line in lines]


def undated(answer: Answer) -> Answer:
    """Without the Date field, since the programs are called one after the other."""
    return replace(answer, headers=tuple(pair for pair in answer.headers if pair[0] != "Date"))


@pytest.mark.parametrize("name", REQUESTS)
def test_who_writes_where(beside: NginxPair, name: str) -> None:
    targets, files = REQUESTS[name]
    for file in files:
        beside.logs(file)
    # When the last response was received, the lines of all others are written.
    answers = beside.ask(get(target) for target in (*targets, "/off"))
    answered = [[undated(answer) for answer in given] for given in answers]
    assert answered[0] == answered[1]
    for file in files:
        ours, theirs = beside.logs(file, FLUSHED.get(file, 0))
        assert defaults(ours) == defaults(theirs), file


FLUSHED = {"flushed.log": 2}
"""Number of lines that are flushed later."""


VALUES = (
    '"quoted" back\\slash',
    "tab\there",
    "\x80\xff high",
    "a\x01b",
    "",
    "\x7f",
    "plain \xe9",
    "/'<>&",
)


def test_escapes(beside: NginxPair) -> None:
    requests = [get(f"/escapes?y={n}", f"X: {value}") for n, value in enumerate(VALUES)]
    requests.append(get("/escapes?y=%22\x80"))
    beside.ask(requests)
    for file in ("json.log", "none.log", "default.log"):
        ours, theirs = beside.logs(file, len(requests))
        assert ours == theirs


def test_packed_lines(beside: NginxPair) -> None:
    beside.ask([get(f"/packed?{n}") for n in range(5)])
    texts = []
    for one in beside.both:
        path = one.room / "packed.gz"
        deadline = time.monotonic() + 5
        while not path.exists() or not path.stat().st_size:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        texts.append(gzip.decompress(path.read_bytes()))
    assert texts[0] == texts[1]
    assert texts[0].count(b"\n") == 5


SYSLOG = """
    log_format short '$request_uri $status';
    error_log syslog:server=127.0.0.1:@SYSLOG@,tag=errors,facility=mail info;
    error_log error.log info;
    server {
        listen 127.0.0.1:@PORT@;
        access_log syslog:server=127.0.0.1:@SYSLOG@ short;
        access_log syslog:server=127.0.0.1:@SYSLOG@,nohostname,tag=x_1,severity=crit short;
        access_log syslog:server=unix:@SOCKET@,facility=local0 short if=$arg_unix;
        location / { return 200 x; }
        location /nosuch { }
    }
"""
_PRIORITY = re.compile(r"^(<\d+>)\w{3} [ \d]\d \d\d:\d\d:\d\d ")


def datagrams(receiver: socket.socket, count: int) -> list[str]:
    receiver.settimeout(5)
    seen = []
    for _ in range(count):
        line = _PRIORITY.sub(r"\1(now) ", receiver.recv(4096).decode("latin-1"))
        line = line.replace(socket.gethostname().lower(), "(host)")
        line = re.sub(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d (\[\w+\]) \d+#\d+: \*\d+", r"\1", line)
        seen.append(_ERRNO.sub(r"(\1)", line))
    return seen


def test_nginx_sends_the_same_syslog_datagrams(tmp_path: Path) -> None:
    ours, nginxs = (sent_to_syslog(program, tmp_path / program.name) for program in (OURS, NGINX))
    assert ours == nginxs


def sent_to_syslog(program: Program, room: Path) -> list[str]:
    room.mkdir()
    with (
        socket.socket(type=socket.SOCK_DGRAM) as receiver,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as unix,
    ):
        receiver.bind(("127.0.0.1", 0))
        unix.bind(str(room / "socket"))
        http = SYSLOG.replace("@SYSLOG@", str(receiver.getsockname()[1]))
        with served(program, room, http.replace("@SOCKET@", str(room / "socket"))) as one:
            one.ask([get("/a"), get("/nosuch?q"), get("/b?unix=1")])
            seen = datagrams(receiver, 7) + datagrams(unix, 1)
        return [one.without_ports(line) for line in seen]
