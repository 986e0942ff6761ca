"""Upstreams as rules, for decisions without a socket: a setting goes in, an attempt comes out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sniproxy.config.addresses import parse_address
from sniproxy.config.directives.proxy import ProxySettings
from sniproxy.config.directives.upstream_target import ProxyPass
from sniproxy.diagnose.conclusion import Conclusion, draw_conclusion
from sniproxy.diagnose.model import Attempt, ProbeSpec, Result, Setting
from sniproxy.diagnose.strategy import MAX_CONNECTIONS, next_setting
from sniproxy.server_name import sent_server_name

FakeUpstream = Callable[[ProbeSpec, Setting], Attempt]


def make_spec(host: str = "127.0.0.1", *names: str, **more: Any) -> ProbeSpec:
    spec = ProbeSpec(ProxySettings.resolve(), host, names)
    return replace(spec, **more)


def target(host: str = "127.0.0.1") -> ProxyPass:
    return ProxyPass(f"https://{host}", "https", parse_address(host, 443), None, "", 0)


def sent(spec: ProbeSpec, setting: Setting) -> str | None:
    """The SNI of a setting."""
    if setting.plain:
        return None
    proxy = setting.proxy
    return sent_server_name(spec.name(proxy), proxy_ssl_server_name=proxy.ssl_server_name)


def investigated(spec: ProbeSpec, respond: FakeUpstream) -> tuple[list[Attempt], Conclusion]:
    """What would be tried, and what would be said."""
    attempts: list[Attempt] = []
    while len(attempts) < MAX_CONNECTIONS:
        setting = next_setting(spec, attempts)
        if setting is None:
            break
        attempts.append(respond(spec, setting))
    return attempts, draw_conclusion(spec, target(spec.host), attempts)


def response(setting: Setting, status: int = 200, **more: Any) -> Attempt:
    facts: dict[str, Any] = {"status": status, "protocol": "TLSv1.3", "address": "a"} | more
    return Attempt(setting, Result.RESPONSE, **facts)


def always(result: Result, **more: Any) -> FakeUpstream:
    def respond(spec: ProbeSpec, setting: Setting) -> Attempt:
        return Attempt(setting, result, sni=sent(spec, setting), line="a line", **more)

    return respond


def wants_name(name: str, otherwise: Result, **more: Any) -> FakeUpstream:
    def respond(spec: ProbeSpec, setting: Setting) -> Attempt:
        if sent(spec, setting) == name:
            return verified(spec, setting, {name})
        return Attempt(setting, otherwise, sni=sent(spec, setting), line="a line", **more)

    return respond


def verified(
    spec: ProbeSpec, setting: Setting, names: set[str], intermediates: int = 0, **more: Any
) -> Attempt:
    """An upstream with a certificate for `names` below so many intermediates."""
    proxy = setting.proxy
    rendered: dict[str, Any] = {"names": tuple(names), "sni": sent(spec, setting)}
    if not proxy.ssl_verify:
        return response(setting, **rendered, **more)
    if proxy.ssl_verify_depth < intermediates:
        return Attempt(setting, Result.UNTRUSTED, verify_result=20, line="a line", **rendered)
    if spec.name(proxy) not in names:
        return Attempt(setting, Result.NAME_MISMATCH, line="a line", **rendered)
    return response(setting, intermediates=intermediates, **rendered, **more)


def plain_http(spec: ProbeSpec, setting: Setting) -> Attempt:
    if setting.plain:
        return response(setting, protocol="")
    return Attempt(setting, Result.PLAIN_HTTP, line="a line")


def chain_of(intermediates: int, name: str) -> FakeUpstream:
    return lambda spec, setting: verified(spec, setting, {name}, intermediates)


def old_protocol(protocol: str) -> FakeUpstream:
    """Speaks an old protocol, with which the library wants to have nothing to do by itself."""

    def respond(spec: ProbeSpec, setting: Setting) -> Attempt:
        proxy = setting.proxy
        weak = "SECLEVEL=0" in proxy.ssl_ciphers
        if protocol in proxy.ssl_protocols and weak:
            return response(setting, protocol=protocol)
        return Attempt(setting, Result.ALERT, alert=70, line="a line")

    return respond


def wants_certificate(spec: ProbeSpec, setting: Setting) -> Attempt:
    if setting.proxy.ssl_certificate is not None:
        return response(setting, certificate_requested=True)
    return Attempt(
        setting, Result.CERTIFICATE_REQUIRED, alert=116, certificate_requested=True, line="a line"
    )


def misdirecting(name: str, status: int) -> FakeUpstream:
    """Shakes hands with everybody, and tells those who ask for another site so."""

    def respond(spec: ProbeSpec, setting: Setting) -> Attempt:
        right = sent(spec, setting) == name
        return response(setting, 200 if right else status, sni=sent(spec, setting))

    return respond
