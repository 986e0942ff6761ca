"""Every configuration of the repository, to TOML and back: nothing is lost.

What the programs do with the converted files is compared by `tests/test_real_world.py`, and by
`pytest tests/conformance --compare sniproxy-toml` (or `nginx-converted`) for all scenarios.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sniproxy import config
from sniproxy.config import parse
from sniproxy.config.model import Config
from sniproxy.config.tokens import read_statements
from sniproxy.config.tree import Statement
from sniproxy.convert import ConversionError, convert
from sniproxy.convert.equality import differences
from sniproxy.convert.quoting import nginx_words, toml_string
from sniproxy.convert.source import EMPTY_LINE, read_source
from sniproxy.models import ConfigError
from sniproxy.variables import definition_error, is_variable
from tests.conformance.conftest import tables
from tests.conformance.scenario import ScenarioContext, Table, configuration

CONFIGS = Path(__file__).parent.parent.parent / "configs"
PACKAGES = ("http", "tls", "upstream")
TABLES = [table for name in PACKAGES for table in tables(f"tests.conformance.{name}")]
PORTS = tuple(range(8001, 8010))


def loaded(file: Path) -> Config:
    return config.load(str(file), is_variable=is_variable, definition_error=definition_error)


def comments(file: Path) -> list[str]:
    root = read_source(file.read_text("latin-1"), str(file))
    nodes = [root, *root.walk()]
    texts = [text for node in nodes for text in (*node.before, node.behind, *node.tail)]
    return sorted(text for text in texts if text and text != EMPTY_LINE)


def converted(file: Path, to: str) -> Path:
    target = file.with_name(f"{file.stem}-again.{'toml' if to == 'toml' else 'conf'}")
    target.write_text(convert(str(file), to).text, "latin-1")
    return target


def text_of(table: Table) -> str:
    contexts = tuple(ScenarioContext(scenario, PORTS) for scenario in table.scenarios)
    text = configuration(table, contexts, "127.0.0.1:7000", "127.0.0.1:7001")
    return text.encode("utf-8").decode("latin-1")


@pytest.mark.parametrize("name", sorted(path.name for path in CONFIGS.glob("*.conf")))
def test_configurations_of_the_repository(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_bytes((CONFIGS / name).read_bytes())
    toml = converted(file, "toml")
    assert "nginx = '''" not in toml.read_text()
    check(file, toml)


EXAMPLES = {
    path.name: found[1]
    for path in sorted((CONFIGS.parent / "examples").glob("*.py"))
    if (found := re.search(r'CONFIG = """(.*?)"""', path.read_text(), re.DOTALL)) is not None
}


def in_example(match: re.Match[str]) -> str:
    """What a placeholder of an example stands for."""
    name = match[1]
    return "8001" if "port" in name else "https://127.0.0.1:8001" if "url" in name else "x.pem"


@pytest.mark.parametrize("name", EXAMPLES)
def test_configurations_of_the_examples(name: str, tmp_path: Path) -> None:
    file = tmp_path / "nginx.conf"
    text = re.sub(r"(?<!\{)\{([\w.]+)\}(?!\})", in_example, EXAMPLES[name])
    file.write_text(text.replace("{{", "{").replace("}}", "}").replace(".1:0", ".1:8000"))
    check(file, converted(file, "toml"))


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 4


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_tables_of_scenarios(table: Table, tmp_path: Path) -> None:
    file = tmp_path / "nginx.conf"
    file.write_text(text_of(table), "latin-1")
    check(file, converted(file, "toml"))


def check(file: Path, toml: Path) -> None:
    """The TOML file and the one made from it mean the same, and have the same comments."""
    tomllib.loads(toml.read_bytes().decode("utf-8"))
    assert list(differences(loaded(file), loaded(toml))) == []
    back = convert(str(toml), "nginx")
    if not back.notes:
        again = toml.with_suffix(".conf")
        again.write_text(back.text, "latin-1")
        assert list(differences(loaded(file), loaded(again))) == []
        assert comments(again) == comments(file)


SERVER = "events {} http { server { listen 127.0.0.1:80; %s } }"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("return 200 a;", "return 200 b;"),
        ("location / { } location ~ a { }", "location / { } location ~ b { }"),
        ("allow 10.0.0.1; deny all;", "deny all; allow 10.0.0.1;"),
        ("set $a 1; set $b 2;", "set $b 2; set $a 1;"),
        ("location ~ a { } location ~ b { }", "location ~ b { } location ~ a { }"),
        ("if ($host = a) { return 204; }", "if ($host = a) { return 205; }"),
        ("if ($host = a) { return 204; } set $a 1;", "set $a 1; if ($host = a) { return 204; }"),
        ("server_name a;", "server_name b;"),
        ("error_page 404 /x;", "error_page 404 =200 /x;"),
        ("proxy_set_header A $host;", "proxy_set_header A $http_host;"),
    ],
)
def test_the_comparison_finds_a_difference(one: str, other: str) -> None:
    assert list(differences(parse(SERVER % one), parse(SERVER % one))) == []
    assert list(differences(parse(SERVER % one), parse(SERVER % other))) != []


@pytest.mark.parametrize(
    ("server", "in_toml"),
    [
        # Groups of one name keep the order: no text of nginx.conf is needed.
        ("set $a 1; set $b 2; return 200 $a;", "set = ["),
        ("allow 10.0.0.1; deny all;", 'allow = "10.0.0.1"\ndeny = "all"'),
        (
            "set $a 1; rewrite ^/x /y; set $b 2;",
            "nginx = '''\nset $a 1;\nrewrite ^/x /y;\nset $b 2;",
        ),
        ("if ($host = a) { return 204; } return 200 b;", "nginx = '''\nif ($host = a) {"),
        ("allow 10.0.0.1; deny 10.0.0.0/8; allow all;", "nginx = '''\nallow 10.0.0.1;"),
        ("location / { limit_except GET POST { deny all; } }", "limit_except GET POST {"),
        ("location = /a { } location ~ ^/b$ { }", '[http.server.location."= /a"]'),
        ('location ~ "^/a b$" { }', '[http.server.location."~ ^/a b$"]'),
        ('location "~ ^/a" { }', "nginx = '''\nlocation"),
        ("add_header A b; add_header C d always;", '"C d always",'),
        ('return 200 "a\\nb \\"c\\"";', "return = "),
        ("proxy_set_header A '';", 'proxy_set_header = { A = "" }'),
    ],
)
def test_order_that_matters_is_retained(server: str, in_toml: str, tmp_path: Path) -> None:
    file = tmp_path / "nginx.conf"
    file.write_text(SERVER % server)
    toml = converted(file, "toml")
    assert in_toml in toml.read_text()
    check(file, toml)


def test_what_sniproxy_lacks_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "nginx.conf"
    file.write_text(
        "unsupported warn; thing_modules x; events {} http { more_clear_headers A 'B c';"
        " js_thing { a b; c { d; } } server { listen 127.0.0.1:80; # here\n"
        " location / { content_by_lua_file x.lua; } } }"
    )
    toml = converted(file, "toml")
    check(file, toml)
    back = convert(str(toml), "nginx").text
    for statement in (
        "thing_modules x;",
        'more_clear_headers A "B c";',
        "content_by_lua_file x.lua;",
    ):
        assert statement in back


def test_a_value_that_is_not_known_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "site.toml"
    file.write_text('unsupported = "warn"\n\n[http]\nbrotli_headers_x = "A"\n')
    with pytest.raises(ConversionError, match=r'site.toml:4: sniproxy does not have "brotli_head'):
        convert(str(file), "nginx")


def test_servers_behind_an_include_stay_there(tmp_path: Path) -> None:
    """The first server of an address is its default server."""
    (tmp_path / "more.conf").write_text("server { listen 127.0.0.1:80; return 201; }")
    file = tmp_path / "nginx.conf"
    file.write_text(
        "events {} http { server { listen 127.0.0.1:80; return 200; } include more.conf; }"
    )
    check(file, converted(file, "toml"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nginx = 1", 'invalid type of "nginx": a number instead of a string'),
        ("nginx = '''\nreturn 200;\n}\n'''", 'unexpected "}" in site.toml:7'),
        ("nginx = '''\nif ($host) {\n'''", 'unexpected end of file, expecting "}"'),
        ("nginx = '''\nreturn 200\n'''", 'unexpected end of file, expecting ";" or "}"'),
        ("nginx = '''\n\nevnts a;\n'''", 'unknown directive "evnts" in site.toml:7'),
        ("nginx = '''\nlisten 80;\nlisten 80;\n'''", "duplicate listen"),
    ],
)
def test_a_text_of_nginx_in_toml_is_refused_with_its_line(text: str, message: str) -> None:
    document = f'[events]\n\n[[http.server]]\nserver_name = "a"\n{text}\n'
    with pytest.raises(ConfigError) as refused:
        parse(document, "toml", "site.toml")
    assert message in str(refused.value)


words = st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=12)


@given(st.lists(words, min_size=1, max_size=4))
def test_words_are_read_as_they_were(args: list[str]) -> None:
    statement = next(read_statements(f"x {nginx_words(args)};", "file"))
    assert isinstance(statement, Statement)
    assert statement.args == tuple(args)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_texts_of_toml_are_read_as_they_were(text: str) -> None:
    raw = text.encode("utf-8").decode("latin-1")
    assert tomllib.loads(f"x = {toml_string(raw)}")["x"] == text
