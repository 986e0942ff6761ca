"""Files with directives of other modules: what the commands print about them.

The transcripts are those of a user who tries such a file for the first time.
"""

from __future__ import annotations

from pathlib import Path

import pytest

import sniproxy
from tests.cli.commands import Sniproxy
from tests.config.test_lenient import THIRD_PARTY

HINT = 'start with --lenient, or add "unsupported warn;" to the file, to go without'
SINGLE = {
    "location / { content_by_lua_block { ngx.say('}') } }": (
        'unknown directive "content_by_lua_block" in FILE:3',
        'unknown directive "content_by_lua_block": the location answers 501 in FILE:3',
    ),
    "brotli on;": (
        'unknown directive "brotli" in FILE:3',
        'unknown directive "brotli": it is left out in FILE:3',
    ),
    "js_content main.hello;": (
        'unknown directive "js_content" in FILE:3',
        'unknown directive "js_content": it is left out in FILE:3',
    ),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "site.conf"


def texts(lines: list[str], file: Path) -> list[str]:
    return [line.replace(str(file), "FILE") for line in lines]


@pytest.mark.parametrize(("directive", "messages"), SINGLE.items())
def test_one_directive(
    directive: str, messages: tuple[str, str], file: Path, sniproxy: Sniproxy
) -> None:
    file.write_text(
        f"events {{ }}\nhttp {{ server {{ listen 127.0.0.1:18099;\n{directive}\n}} }}\n"
    )
    strict = sniproxy("-t", "-c", str(file))
    assert (strict.status, texts(strict.lines, file)) == (
        1,
        [f"[emerg] {messages[0]}", HINT, "configuration file FILE test failed"],
    )
    lenient = sniproxy("-t", "--lenient", "-c", str(file))
    assert (lenient.status, texts(lenient.lines, file)) == (
        0,
        [
            f"[warn] {messages[1]}",
            "the configuration file FILE syntax is ok",
            "configuration file FILE test is successful",
        ],
    )


def test_all_at_once(file: Path, sniproxy: Sniproxy) -> None:
    file.write_text(THIRD_PARTY.replace(" resolve", "").replace(":8000", ":18099"))
    strict = texts(sniproxy("-t", "-c", str(file)).lines, file)
    assert strict == [
        '[emerg] module "ngx_http_geoip2_module" of "load_module" is not supported by sniproxy: '
        "nginx's binary modules cannot be loaded in FILE:1",
        '[emerg] unknown directive "rtmp" in FILE:3',
        '[emerg] unknown directive "js_import" in FILE:5',
        '[emerg] unknown directive "brotli" in FILE:6',
        '[emerg] unknown directive "brotli_headers_x" in FILE:7, 14',
        '[emerg] unknown directive "geoip2" in FILE:8',
        '[emerg] unknown directive "fair" in FILE:11',
        '[emerg] unknown directive "access_by_lua_block" in FILE:16',
        '[emerg] unknown directive "content_by_lua_block" in FILE:18',
        '[emerg] unknown directive "redis2_pass" in FILE:20',
        '[emerg] unknown directive "echo" in FILE:21',
        HINT,
        "configuration file FILE test failed",
    ]
    lenient = sniproxy("-t", "--lenient", "-c", str(file))
    assert lenient.status == 0
    assert len(lenient.lines) == 14


def test_a_module_that_is_built_in_is_loaded_with_a_notice(file: Path, sniproxy: Sniproxy) -> None:
    file.write_text("load_module modules/ngx_http_map_module.so;\nevents { }\n")
    loud = sniproxy("-t", "-c", str(file))
    assert texts(loud.lines, file)[0] == (
        '[notice] module "ngx_http_map_module" is built in, no need to load it in FILE:1'
    )
    assert sniproxy("-tq", "-c", str(file)).stderr == ""


def test_other_commands_read_such_files(file: Path, sniproxy: Sniproxy) -> None:
    text = THIRD_PARTY.replace(" resolve", "").replace("http://app", "https://app")
    file.write_text(text.replace(":8000", ":18099"))
    names = sniproxy("names", str(file))
    assert (names.status, names.stderr) == (0, "")
    assert "https://app" in names.stdout
    diagnosis = sniproxy("diagnose", "-c", str(file), "--offline")
    assert (diagnosis.status, diagnosis.stderr) == (4, "")
    assert "(sni-missing)" in diagnosis.stdout
    trace = sniproxy("trace", "--lenient", "-c", str(file), "http://127.0.0.1:18099/lua")
    assert trace.status == 1
    assert "501 Not Implemented" in trace.stdout
    assert sniproxy("trace", "-c", str(file), "http://127.0.0.1:18099/lua").status == 2
    file.write_text(f"unsupported warn;\n{file.read_text()}")
    assert sniproxy("trace", "-c", str(file), "http://127.0.0.1:18099/").status == 0


def test_the_page_names_the_directive(tmp_path: Path) -> None:
    from urllib.error import HTTPError
    from urllib.request import urlopen

    text = """
    unsupported warn;
    events { }
    http { server { listen 127.0.0.1:0;
        location /lua { content_by_lua_block { ngx.say("}") } }
        location /own { x_pass app; error_page 501 =503 /page; }
        location /page { return 200 "the site's own page"; } } }
    """
    with sniproxy.serve_in_thread(text) as proxy:
        with pytest.raises(HTTPError) as refused:
            urlopen(f"{proxy.urls[0]}/lua")
        with refused.value as page:
            assert page.code == 501
            assert (
                b"<center>The &quot;content_by_lua_block&quot; directive is not supported by "
                b"sniproxy</center>"
            ) in page.read()
        with pytest.raises(HTTPError) as refused:
            urlopen(f"{proxy.urls[0]}/own")
        with refused.value as page:
            assert (page.code, page.read()) == (503, b"the site's own page")
        assert '"x_pass" directive is not supported by sniproxy' in [
            line.message for line in proxy.error_log
        ]
