"""Configurations with what sniproxy lacks: refused with a list of it, or read without it."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sniproxy import config
from sniproxy.config.model import Config, Location
from sniproxy.models import ConfigError, UnsupportedError
from sniproxy.variables import definition_error, is_variable

THIRD_PARTY = """\
load_module modules/ngx_http_geoip2_module.so;
events { }
rtmp { server { listen 1935; application live { live on; } } }
http {
    js_import main.js;
    brotli on;
    brotli_headers_x "Server: x";
    geoip2 /usr/share/GeoIP/x.mmdb {
        $geoip2_country default=US source=$remote_addr country iso_code;
    }
    upstream app { fair; server 127.0.0.1:1; }
    server {
        listen 127.0.0.1:8000;
        brotli_headers_x "X-Country: $geoip2_country";
        location /lua {
            access_by_lua_block { if ngx.var.a == "}" then ngx.exit(403) end -- }
            }
            content_by_lua_block { local t = { "{", 'b' } ngx.say("}") }
        }
        location /redis { redis2_pass 127.0.0.1:6379; }
        location /if { if ($arg_a) { echo hello; } proxy_pass http://app; }
        location / { return 200 "$geoip2_country"; }
    }
}
"""


def read(text: str, directives: str = "", syntax: config.build.Syntax = "nginx") -> Config:
    return config.parse(
        text,
        syntax,
        "FILE",
        directives=directives,
        is_variable=is_variable,
        definition_error=definition_error,
    )


def locations(loaded: Config) -> dict[str, Location]:
    assert loaded.http is not None
    [server] = loaded.http.servers
    return {one.name.name: one for one in server.default_location.locations}


def test_the_refusal_lists_everything_that_is_missing() -> None:
    with pytest.raises(UnsupportedError) as raised:
        read(THIRD_PARTY)
    assert str(raised.value) == (
        'module "ngx_http_geoip2_module" of "load_module" is not supported by sniproxy: nginx\'s '
        "binary modules cannot be loaded in FILE:1"
    )
    assert raised.value.others == (
        'unknown directive "rtmp" in FILE:3',
        'unknown directive "js_import" in FILE:5',
        'unknown directive "brotli" in FILE:6',
        'unknown directive "brotli_headers_x" in FILE:7, 14',
        'unknown directive "geoip2" in FILE:8',
        'unknown directive "fair" in FILE:11',
        'unknown directive "access_by_lua_block" in FILE:16',
        'unknown directive "content_by_lua_block" in FILE:18',
        'unknown directive "redis2_pass" in FILE:20',
        'unknown directive "echo" in FILE:21',
    )


@pytest.mark.parametrize("directives", ["unsupported warn;", ""])
def test_what_is_missing_is_left_out_with_a_warning(directives: str) -> None:
    text = THIRD_PARTY if directives else f"{THIRD_PARTY}unsupported warn;\n"
    loaded = read(text, directives)
    assert 'unknown directive "brotli": it is left out in FILE:6' in loaded.warnings
    assert 'unknown directive "brotli_headers_x": it is left out in FILE:7, 14' in loaded.warnings
    assert 'unknown "geoip2_country" variable: it is empty' in loaded.warnings
    assert (
        'unknown directive "access_by_lua_block": it is left out, and requests that it would '
        "refuse are served in FILE:16"
    ) in loaded.warnings
    assert (
        'unknown directive "content_by_lua_block": the location answers 501 in FILE:18'
    ) in loaded.warnings
    assert len(loaded.warnings) == 12
    assert loaded.main.unsupported


def test_a_location_names_the_directive_of_its_missing_content() -> None:
    found = locations(read(THIRD_PARTY, "unsupported warn;"))
    assert found["/lua"].missing_content == "content_by_lua_block"
    assert found["/redis"].missing_content == "redis2_pass"
    assert found["/if"].missing_content == ""
    assert [inside.missing_content for inside in found["/if"].conditional] == ["echo"]
    assert found["/"].missing_content == ""


def test_missing_content_is_inherited_like_a_handler() -> None:
    found = locations(
        read(
            """events {} http { server { listen 127.0.0.1:8000; location /a { x_pass u;
            if ($arg_a) { set $b 1; } if ($arg_c) { proxy_pass http://127.0.0.1:1; }
            location /a/b { } } } }""",
            "unsupported warn;",
        )
    )
    inside, proxied = found["/a"].conditional
    assert inside.missing_content == "x_pass"
    assert proxied.missing_content == ""
    assert found["/a"].locations[0].missing_content == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("unsupported warn; events { x", 'unexpected end of file, expecting ";" or "}" in FILE:1'),
        ("unsupported warn; x;", 'no "events" section in configuration'),
        ("unsupported warn; listen 80;", '"listen" directive is not allowed here in FILE:1'),
        (
            "unsupported warn; events { worker_connections x; }",
            'invalid number "x" in FILE:1',
        ),
        ("unsupported perhaps;", 'invalid value "perhaps" in FILE:1'),
        ("events { unsupported warn; }", '"unsupported" directive is not allowed here in FILE:1'),
        ("unsupported refuse; x {}", 'unknown directive "x" in FILE:1'),
    ],
)
def test_other_errors_stay_errors(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        read(text)
    assert str(raised.value) == message


def test_an_included_file_may_allow_it(tmp_path: Path) -> None:
    (tmp_path / "more.conf").write_text("unsupported warn;\nbrotli on;\n")
    (tmp_path / "nginx.conf").write_text("include more.conf;\nevents { }\nzstd on;\n")
    loaded = config.load(tmp_path / "nginx.conf")
    assert loaded.warnings == (
        f'unknown directive "brotli": it is left out in {tmp_path}/more.conf:2',
        f'unknown directive "zstd": it is left out in {tmp_path}/nginx.conf:3',
    )


def test_toml_is_read_leniently_too() -> None:
    text = """\
unsupported = "warn"
load_module = "a.so"
[http]
brotli = true
[[http.server]]
listen = "127.0.0.1:8000"
[http.server.location."/x"]
fastcgi_pass = "127.0.0.1:9000"
content_by_lua = { a = [1] }
[http.server.odd]
listen = 1
[stream]
anything = 1
"""
    loaded = read(text, syntax="toml")
    assert locations(loaded)["/x"].missing_content in ("fastcgi_pass", "content_by_lua")
    assert 'unknown directive "odd": it is left out in FILE:10' in loaded.warnings
    with pytest.raises(UnsupportedError) as raised:
        read(text.replace("warn", "refuse"), syntax="toml")
    assert 'unknown directive "brotli" in FILE:4' in raised.value.others


def test_a_module_that_is_built_in_may_be_loaded() -> None:
    loaded = read("load_module /usr/lib/nginx/modules/ngx_http_map_module.so;\nevents {}")
    assert loaded.notices == (
        'module "ngx_http_map_module" is built in, no need to load it in FILE:1',
    )
    with pytest.raises(ConfigError, match='"load_module" directive is specified too late'):
        read("events {} load_module ngx_http_map_module.so;")


WORDS = st.sampled_from(
    (
        *("x", "x_pass", "echo", "perl", "geoip2", "content_by_lua_block", "$a", '"}"', "'{'", "{"),
        *(";", "location /x", "if ($a)", "listen", "stream", "map", "\n", "--", "proxy_pass", "}"),
    )
)


@given(st.lists(WORDS, max_size=12), st.integers(0, 8))
def test_any_words_anywhere_are_read_or_refused(words: list[str], position: int) -> None:
    lines = THIRD_PARTY.splitlines()
    lines.insert(3 * position, " ".join(words))
    with contextlib.suppress(ConfigError):
        read("\n".join(lines), "unsupported warn;")
