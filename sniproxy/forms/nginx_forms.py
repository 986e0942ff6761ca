"""The forms that take directives of nginx: where they stand in Nginx Proxy Manager and SWAG.

Both write a part of each site themselves, and nginx refuses some directives twice, or sends a
field twice that is set twice. So what they have already is left out first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from .cure import Cure, Words
from .nginx_text import nginx_line, toml_line

SWAG_DIRECTIVES = frozenset(
    {
        "proxy_next_upstream", "proxy_buffers", "proxy_connect_timeout", "proxy_http_version",
        "proxy_read_timeout", "proxy_redirect", "proxy_send_timeout", "proxy_cache_bypass",
        "proxy_no_cache",
    }
)  # fmt: skip
"""The directives of SWAG's `proxy.conf`, which cannot be given a second time."""


def _directives(cure: Cure) -> list[Words]:
    changed = [("proxy_pass", cure.url)] if cure.url_changed else []
    return [*changed, *cure.directives]


def _nginx(cure: Cure) -> Iterator[str]:
    yield from map(nginx_line, _directives(cure))


def _toml(cure: Cure) -> Iterator[str]:
    yield from map(toml_line, _directives(cure))


def _with_host(cure: Cure) -> list[Words]:
    """The directives, with the Host that was sent: these programs send the client's by default."""
    directives = list(cure.directives)
    has_host = any(words[:2] == ("proxy_set_header", "Host") for words in directives)
    if cure.values["host_header"] and not has_host:
        directives.append(("proxy_set_header", "Host", cure.values["host_header"]))
    return directives


_NPM_HEADERS = (
    ("X-Forwarded-Scheme", "$scheme"),
    ("X-Forwarded-Proto", "$scheme"),
    ("X-Forwarded-For", "$proxy_add_x_forwarded_for"),
    ("X-Real-IP", "$remote_addr"),
)


def _nginx_proxy_manager(cure: Cure) -> Iterator[str]:
    """A location of its own, if fields are set: those of the server are not inherited by NPM's."""
    values, directives = cure.values, _with_host(cure)
    yield (
        f"# Details: Scheme {values['scheme']}, Forward Hostname / IP {values['host']}, "
        f"Forward Port {values['port']}"
    )
    if not any(words[0] == "proxy_set_header" for words in directives):
        yield from map(nginx_line, directives)
        return
    own = {words[1].lower() for words in directives if words[0] == "proxy_set_header"}
    yield "location / {"
    yield "    proxy_pass $forward_scheme://$server:$port$request_uri;"
    yield from (f"    {nginx_line(words)}" for words in directives)
    for name, value in _NPM_HEADERS:
        if name.lower() not in own:
            yield f"    proxy_set_header {name} {value};"
    yield "}"


def _swag(cure: Cure) -> Iterator[str]:
    """The location of a file in `proxy-confs`."""
    values, directives = cure.values, _with_host(cure)
    doubled = sorted({words[0] for words in directives} & SWAG_DIRECTIVES)
    fields = sorted({words[1] for words in directives if words[0] == "proxy_set_header"})
    included = "proxy.conf"
    if doubled or fields:
        removed = [f"/^{name} /d" for name in doubled]
        removed += [f"/^proxy_set_header {name} /Id" for name in fields]
        included = "proxy-upstream.conf"
        yield (
            f"# once: sed '{'; '.join(removed)}' /config/nginx/proxy.conf "
            f"> /config/nginx/{included}"
        )
    yield "location / {"
    yield f"    include /config/nginx/{included};"
    yield "    include /config/nginx/resolver.conf;"
    for variable, value in (("app", "host"), ("port", "port"), ("proto", "scheme")):
        yield f"    {nginx_line(('set', f'$upstream_{variable}', values[value]))}"
    yield "    proxy_pass $upstream_proto://$upstream_app:$upstream_port;"
    yield from (f"    {nginx_line(words)}" for words in directives)
    yield "}"


NGINX_FORMS: Mapping[str, tuple[str, Callable[[Cure], Iterator[str]]]] = {
    "nginx": ("the location", _nginx),
    "toml": ("the location", _toml),
    "nginx-proxy-manager": ('the "Advanced" tab of the proxy host', _nginx_proxy_manager),
    "swag": ("/config/nginx/proxy-confs/<site>.subdomain.conf", _swag),
}
"""For each form where its text goes, and the function that writes it."""
