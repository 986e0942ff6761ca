"""Upstreams as rules, for decisions without a socket: a setting goes in, an attempt comes out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sniproxy.config.addresses import parse_address
from sniproxy.config.directives.proxy import Proxy, ProxyPass
from sniproxy.diagnose.attempts import Attempt, Question, Result, Setting
from sniproxy.diagnose.plan import MOST, next_setting
from sniproxy.diagnose.verdict import Verdict, verdict
from sniproxy.names import sent_server_name

World = Callable[[Question, Setting], Attempt]


def question(host: str = "127.0.0.1", *names: str, **more: Any) -> Question:
    asked = Question(Proxy.resolve(), host, names)
    return replace(asked, **more)


def target(host: str = "127.0.0.1") -> ProxyPass:
    return ProxyPass(f"https://{host}", "https", parse_address(host, 443), None, "", 0)


def sent(asked: Question, setting: Setting) -> str | None:
    """The SNI of a setting."""
    if setting.plain:
        return None
    proxy = setting.proxy
    return sent_server_name(asked.name(proxy), proxy_ssl_server_name=proxy.proxy_ssl_server_name)


def investigated(asked: Question, world: World) -> tuple[list[Attempt], Verdict]:
    """What would be tried, and what would be said."""
    attempts: list[Attempt] = []
    while len(attempts) < MOST:
        setting = next_setting(asked, attempts)
        if setting is None:
            break
        attempts.append(world(asked, setting))
    return attempts, verdict(asked, target(asked.host), attempts)


def answering(setting: Setting, status: int = 200, **more: Any) -> Attempt:
    facts: dict[str, Any] = {"status": status, "protocol": "TLSv1.3", "address": "a"} | more
    return Attempt(setting, Result.ANSWERED, **facts)


def always(result: Result, **more: Any) -> World:
    def world(asked: Question, setting: Setting) -> Attempt:
        return Attempt(setting, result, sent=sent(asked, setting), line="a line", **more)

    return world


def wants_name(name: str, otherwise: Result, **more: Any) -> World:
    def world(asked: Question, setting: Setting) -> Attempt:
        if sent(asked, setting) == name:
            return verified(asked, setting, {name})
        return Attempt(setting, otherwise, sent=sent(asked, setting), line="a line", **more)

    return world


def verified(
    asked: Question, setting: Setting, names: set[str], intermediates: int = 0, **more: Any
) -> Attempt:
    """An upstream with a certificate for `names` below so many intermediates."""
    proxy = setting.proxy
    shown: dict[str, Any] = {"names": tuple(names), "sent": sent(asked, setting)}
    if not proxy.proxy_ssl_verify:
        return answering(setting, **shown, **more)
    if proxy.proxy_ssl_verify_depth < intermediates:
        return Attempt(setting, Result.UNTRUSTED, verify_result=20, line="a line", **shown)
    if asked.name(proxy) not in names:
        return Attempt(setting, Result.MISNAMED, line="a line", **shown)
    return answering(setting, intermediates=intermediates, **shown, **more)


def plain_http(asked: Question, setting: Setting) -> Attempt:
    if setting.plain:
        return answering(setting, protocol="")
    return Attempt(setting, Result.PLAIN_HTTP, line="a line")


def chain_of(intermediates: int, name: str) -> World:
    return lambda asked, setting: verified(asked, setting, {name}, intermediates)


def old(protocol: str) -> World:
    """Speaks an old protocol, with which the library wants to have nothing to do by itself."""

    def world(asked: Question, setting: Setting) -> Attempt:
        proxy = setting.proxy
        weak = "SECLEVEL=0" in proxy.proxy_ssl_ciphers
        if protocol in proxy.proxy_ssl_protocols and weak:
            return answering(setting, protocol=protocol)
        return Attempt(setting, Result.ALERT, alert=70, line="a line")

    return world


def wants_certificate(asked: Question, setting: Setting) -> Attempt:
    if setting.proxy.proxy_ssl_certificate is not None:
        return answering(setting, asked=True)
    return Attempt(setting, Result.WANTS_CERTIFICATE, alert=116, asked=True, line="a line")


def misdirecting(name: str, status: int) -> World:
    """Shakes hands with everybody, and tells those who ask for another site so."""

    def world(asked: Question, setting: Setting) -> Attempt:
        right = sent(asked, setting) == name
        return answering(setting, 200 if right else status, sent=sent(asked, setting))

    return world
