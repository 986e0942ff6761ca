"""`proxy_pass` with variables, compared with nginx: upstream, DNS queries, log lines."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import trio

from sniproxy.testing.dns import (
    FORMERR,
    NOTIMP,
    NXDOMAIN,
    REFUSED,
    SERVFAIL,
    DNSQuery,
    DNSRecord,
    FakeNameServer,
    a,
    aaaa,
    cname,
    name_bytes,
    open_name_server,
    reply,
)
from tests.compare_nginx import NginxPair, get, paired_with_nginx, served
from tests.conformance.observation import error_lines
from tests.nginx import NGINX

HERE = a("127.0.0.1")
SIX = aaaa("::1")
Answers = Callable[[DNSQuery], Sequence[bytes]]


def both_kinds(*records: DNSRecord, **options: Any) -> Answers:
    """Answer A and AAAA queries with the records of that type, and with the CNAMEs."""

    def answers(query: DNSQuery) -> Sequence[bytes]:
        mine = [r for r in records if r.type in (query.type, "CNAME", "DNAME") or r.type.isdigit()]
        return [reply(query, *mine, **options)]

    return answers


def for_a(answers: Answers) -> Answers:
    """Answer A queries; there is no IPv6 address."""
    return lambda query: answers(query) if query.type == "A" else [reply(query)]


def only_over_tcp(query: DNSQuery) -> Sequence[bytes]:
    if query.tcp:
        return both_kinds(HERE)(query)
    return [reply(query, truncated=True)]


def bad(**options: Any) -> Answers:
    """A malformed response, followed by a valid one."""
    return for_a(lambda query: [reply(query, HERE, **options), reply(query, HERE)])


def bad_record(record: DNSRecord, *others: DNSRecord) -> Answers:
    return for_a(lambda query: [reply(query, record, *others), reply(query, HERE)])


NAMES: dict[str, Answers] = {
    "one": both_kinds(HERE),
    "two": both_kinds(HERE, a("127.0.0.2")),
    "six": both_kinds(SIX),
    "both": both_kinds(HERE, SIX),
    "dead-first": both_kinds(a("127.0.0.9"), HERE),
    "nobody": both_kinds(code=NXDOMAIN),
    "broken": both_kinds(code=SERVFAIL),
    "not-done": both_kinds(code=NOTIMP),
    "not-for-you": both_kinds(code=REFUSED),
    "formerr": both_kinds(code=FORMERR),
    "code-9": both_kinds(code=9),
    "empty": both_kinds(),
    "half-broken": lambda query: (
        [reply(query, HERE)] if query.type == "A" else [reply(query, code=SERVFAIL)]
    ),
    "half-nobody": lambda query: (
        [reply(query, code=NXDOMAIN)] if query.type == "A" else [reply(query, SIX)]
    ),
    "silent": lambda query: (),
    "half-silent": lambda query: both_kinds(HERE)(query) if query.type == "A" else (),
    "alias": both_kinds(cname("one.test")),
    "alias-with-address": both_kinds(cname("other.test"), HERE),
    "alias-to-nobody": both_kinds(cname("nobody.test")),
    "loop": both_kinds(cname("loop.test", ttl=600)),
    "loop-a": both_kinds(cname("loop-b.test")),
    "loop-b": both_kinds(cname("loop-a.test")),
    "too-long-for-udp": only_over_tcp,
    "always-truncated": lambda query: [reply(query, truncated=True)],
    "wrong-id": bad(wrong_id=1),
    "wrong-name": bad(name=name_bytes("else.test")),
    "wrong-type": bad(question_type=16),
    "wrong-class": bad(question_class=3),
    "not-a-reply": bad(flags=0x0100),
    "no-question": bad(questions=0),
    "two-questions": bad(questions=2),
    "more-answers-told": bad(answers=9),
    "zero-name": bad(name=b"\0"),
    "pointer-in-question": bad(name=b"\xc0\x0c"),
    "huge": both_kinds(*[a(f"127.0.1.{n}") for n in range(200)], HERE),
    "rest": bad(rest=b"x" * 100),
    "aaaa-for-a": bad_record(SIX),
    "short-a": bad_record(DNSRecord("A", b"abc")),
    "long-a": bad_record(DNSRecord("A", b"abcde")),
    "lying-a": bad_record(DNSRecord("A", b"", length=4)),
    "other-class": bad_record(DNSRecord("A", HERE.data, record_class=3)),
    "text-too": for_a(lambda query: [reply(query, DNSRecord("TXT", b"\3abc"), HERE)]),
    "text-only": for_a(lambda query: [reply(query, DNSRecord("TXT", b"\3abc"))]),
    "dname": both_kinds(DNSRecord("DNAME", name_bytes("test")), HERE),
    "root-owner": bad_record(DNSRecord("A", HERE.data, owner=b"\0")),
    "owner-loop": for_a(lambda query: [reply(query, DNSRecord("A", HERE.data, owner=b"\xc0\x1c"))]),
    "cname-loop": for_a(lambda query: [reply(query, DNSRecord("CNAME", b"\xc0\x28"))]),
    "twice": for_a(lambda query: [reply(query, HERE), reply(query, HERE)]),
}


# Names that must not be cached yet, where the order of addresses matters.
FRESH: dict[str, Answers] = {
    name: both_kinds(a("127.0.0.9"), HERE) for name in ("dead-once", "dead-once-too")
}


def script(query: DNSQuery) -> Sequence[bytes]:
    answers = (NAMES | FRESH).get(query.name.lower().removesuffix(".test"))
    return [reply(query, code=NXDOMAIN)] if answers is None else answers(query)


@dataclass(slots=True)
class Stage:
    both: NginxPair
    dns: FakeNameServer
    live: int
    questions: list[list[str]] = field(default_factory=list)

    def ask(self, target: str) -> list[tuple[object, list[str]]]:
        """The response and the error log lines of each program."""
        seen: list[tuple[object, list[str]]] = []
        self.questions = []
        for one in self.both.both:
            self.dns.queries.clear()
            (answer,) = one.ask([get(target.replace("LIVE", str(self.live)))])
            (access,) = one.log(lines=1)
            self.questions.append(
                sorted({f"{q.type} {q.name}{' tcp' * q.tcp}" for q in self.dns.queries})
            )
            errors = [
                line
                for line in error_lines("\n".join(one.log("error.log")))
                if not re.match(r"\[(info|notice)\]", line)
            ]
            seen.append(((answer.status, answer.body, access), list(map(without_ids, errors))))
        return seen


def without_ids(line: str) -> str:
    line = re.sub(r"(?<=\] )\*\d+ ", "", line)
    return re.sub(r"(wrong ident |expect |id:|response )\d+", r"\1N", line)


@contextlib.contextmanager
def name_server() -> Iterator[FakeNameServer]:
    """The scripted name server, running in a thread."""
    ready = threading.Event()
    found: list[FakeNameServer] = []
    scope: list[Callable[[], None]] = []

    async def serve() -> None:
        async with open_name_server(script) as server:
            with trio.CancelScope() as cancel:
                token = trio.lowlevel.current_trio_token()
                scope.append(lambda: token.run_sync_soon(cancel.cancel))
                found.append(server)
                ready.set()
                await trio.sleep_forever()

    thread = threading.Thread(target=trio.run, args=(serve,))
    thread.start()
    ready.wait(10)
    try:
        yield found[0]
    finally:
        scope[0]()
        thread.join(10)


SITE = """
log_format f '$uri "$proxy_host" "$proxy_port" $upstream_addr $upstream_status $status';
access_log access.log f;
upstream group { server 127.0.0.1:LIVE; }
upstream port.test { server 127.0.0.1:LIVE; }
server {
    listen 127.0.0.1:@PORT@;
    resolver 127.0.0.1:DNS valid=0 ipv6=on;
    resolver_timeout 300ms;
    location /to/ { proxy_pass $arg_url; }
    location /path/ { proxy_pass http://$arg_host; }
    location /path-too/ { proxy_pass http://$arg_host$arg_uri; }
    location /fixed/ { proxy_pass http://127.0.0.1:LIVE; }
    location /none/ { resolver 127.0.0.1:DEAD; proxy_pass $arg_url; }
    location /four/ { resolver 127.0.0.1:DNS ipv6=off; proxy_pass $arg_url; }
    location /sixes/ { resolver 127.0.0.1:DNS ipv4=off; proxy_pass $arg_url; }
    location /tries/ { proxy_next_upstream_tries 1; proxy_pass $arg_url; }
    location /again/ {
        error_page 502 = @again; proxy_pass $arg_url;
    }
    location @again { proxy_pass http://$arg_host; }
    location /redirected/ { error_page 502 = /fixed/; proxy_pass $arg_url; }
}
server {
    listen 127.0.0.1:@PORT2@;
    location / { proxy_pass $arg_url; }
}
"""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with contextlib.ExitStack() as stack:
        dns = stack.enter_context(name_server())
        echo = 'return 200 "$http_host $request_uri\\n";'
        http = (
            f"server {{ listen 127.0.0.1:@PORT@; listen 127.0.0.2:@PORT@; access_log off; {echo} }}"
        )
        live = stack.enter_context(served(NGINX, tmp_path_factory.mktemp("live"), http))
        dead = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        dead.bind(("127.0.0.1", 0))
        ports = {"LIVE": live.ports[""], "DNS": dns.port, "DEAD": dead.getsockname()[1]}
        site = re.sub(r"\b(LIVE|DNS|DEAD)\b", lambda match: str(ports[match[1]]), SITE)
        both = stack.enter_context(paired_with_nginx(tmp_path_factory.mktemp("names"), site))
        yield Stage(both, dns, live.ports[""])


@pytest.mark.nginx
@pytest.mark.parametrize("name", NAMES)
def test_names_beside_nginx(stage: Stage, name: str) -> None:
    ours, nginxs = stage.ask(f"/to/?url=http://{name}.test:LIVE/x")
    assert ours == nginxs
    mine, yours = stage.questions
    assert mine == yours


TARGETS = [
    "/to/?url=http://127.0.0.1:LIVE",
    "/to/a%20b?url=http://127.0.0.1:LIVE",
    "/to/?url=http://127.0.0.1:LIVE/a%20b?c=d",
    "/to/?url=http://127.0.0.1:LIVE?c=d",
    "/to/?url=HTTP://127.0.0.1:LIVE/",
    "/to/?url=http://group",
    "/to/?url=http://GROUP/x",
    "/to/?url=http://group:LIVE/",
    "/to/?url=http://port.test/",
    "/to/?url=http://port.test:LIVE/",
    "/to/?url=http://one.test.:LIVE/",
    "/to/?url=http://one.test:1/",
    "/to/?url=http://a..b:LIVE/",
    "/to/?url=http://.a:LIVE/",
    "/to/?url=http://a.:LIVE/",
    "/to/?url=http://.:LIVE/",
    f"/to/?url=http://{'.'.join(['a' * 50] * 6)}:LIVE/",
    "/to/?url=http://[::1]:1/",
    "/to/?url=http://[::1/",
    "/to/?url=http://[x]/",
    "/to/?url=http://unix:/nowhere.sock:/x",
    "/to/?url=http://unix:",
    "/to/?url=",
    "/to/",
    "/to/?url=http://",
    "/to/?url=https://",
    "/to/?url=http:///",
    "/to/?url=http://x:/",
    "/to/?url=http://x:0/",
    "/to/?url=http://x:65536/",
    "/to/?url=http://x:y/",
    "/to/?url=http://:80/",
    "/to/?url=ftp://x/",
    "/to/?url=127.0.0.1",
    "/path/a?host=127.0.0.1:LIVE",
    "/path/%41?host=127.0.0.1:LIVE",
    "/path/a?host=",
    "/path/?host=group",
    "/path-too/a?host=group&uri=/new",
    "/path-too/a?host=group&uri=?x=y",
    "/path-too/a?host=group&uri=",
    "/fixed/a",
    "/none/?url=http://127.0.0.1:LIVE/",
    "/none/?url=http://one.test:LIVE/",
    "/four/?url=http://both.test:LIVE/",
    "/four/?url=http://six.test:LIVE/",
    "/sixes/?url=http://both.test:LIVE/",
    "/sixes/?url=http://one.test:LIVE/",
    "/tries/?url=http://dead-once.test:LIVE/",
    "/again/?url=http://127.0.0.1:1/&host=127.0.0.1:LIVE",
    "/again/?url=http://nobody.test/&host=127.0.0.1:LIVE",
    "/again/?url=http://nobody.test/&host=nobody.test",
    "/again/?url=http://127.0.0.1:1/&host=nobody.test",
    "/again/?url=http://127.0.0.1:1/&host=x:y",
    "/again/?url=http://x:y/&host=127.0.0.1:LIVE",
    "/redirected/?url=http://127.0.0.1:1/",
    "/redirected/?url=http://dead-once-too.test:1/",
]


@pytest.mark.nginx
@pytest.mark.parametrize("target", TARGETS)
def test_targets_beside_nginx(stage: Stage, target: str) -> None:
    ours, nginxs = stage.ask(target)
    assert ours == nginxs
