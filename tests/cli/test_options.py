"""Options: read as nginx reads them, refused in its words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sniproxy.cli import COMMANDS
from sniproxy.cli.options import Options, UsageError, parse_options
from sniproxy.version import NGINX_VERSION, SNIPROXY_VERSION
from tests.cli.commands import Sniproxy, run_nginx

GOOD = "events {}\n"

ARGUMENTS = [
    # refused
    ("-x",),
    ("foo",),
    ("-tx",),
    ("-c",),
    ("-tc",),
    ("-p",),
    ("-e",),
    ("-g",),
    ("-s",),
    ("-s", "foo"),
    ("-sfoo",),
    ("-v", "-x"),
    ("-cX", "-x"),
    ("-",),
    # tested
    ("-t",),
    ("-tc", "good.conf"),
    ("-tcgood.conf",),
    ("-t", "-c", "good.conf"),
    ("-tqc", "good.conf"),
    ("-q", "-t", "-cgood.conf"),
    ("-Tc", "good.conf"),
    ("-Tqc", "good.conf"),
    ("-tqc", "bad.conf"),
    ("-Tc", "bad.conf"),
    ("-tc", "missing.conf"),
    ("-c", "missing.conf"),
    ("-c", "bad.conf"),
    ("-tc", "warning.conf"),
    ("-tqc", "warning.conf"),
    ("-c", ""),
    # directives
    ("-tc", "good.conf", "-g", "worker_processes 2;"),
    ("-tc", "good.conf", "-g", "foo;"),
    ("-tc", "good.conf", "-g", "worker_processes"),
    ("-tc", "good.conf", "-g", "events {}"),
    ("-tc", "good.conf", "-g", "worker_processes nope;"),
    ("-tc", "worker.conf", "-g", "worker_processes 2;"),
    # the prefix
    ("-tc", "good.conf", "-p", "missing"),
    ("-tc", "good.conf", "-p", "folder"),
    ("-tc", "good.conf", "-pfolder/"),
]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    warning = "http { server { listen 1; server_name a; } server { listen 1; server_name a; } }\n"
    (tmp_path / "folder").mkdir()
    for name, text in {
        "good.conf": GOOD,
        "bad.conf": "events {\n  foo;\n}\n",
        "warning.conf": GOOD + warning,
        "worker.conf": GOOD + "worker_processes 1;\n",
        "folder/good.conf": GOOD,
    }.items():
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.nginx
@pytest.mark.parametrize("words", ARGUMENTS, ids=" ".join)
def test_commands_end_as_nginx_ends_them(
    words: tuple[str, ...], files: Path, sniproxy: Sniproxy
) -> None:
    prefix = () if any(word.startswith("-p") for word in words) else ("-p", f"{files}/")
    theirs = run_nginx((*prefix, *words), files)
    assert sniproxy("-e", "early.log", *prefix, *words) == theirs


def test_joined_letters_and_values() -> None:
    assert parse_options(["-tqcX", "-p", "P", "-g", "a;", "-e", "E"]) == Options(
        test=True, quiet=True, conf_file="X", prefix="P", directives="a;", error_log="E"
    )


@pytest.mark.parametrize("name", ["stop", "quit", "reopen", "reload"])
def test_names_of_signals(name: str) -> None:
    assert parse_options(["-s", name]).signal == name
    assert parse_options([f"-s{name}"]).signal == name
    with pytest.raises(UsageError, match=r'^invalid option: "-s term"$'):
        parse_options(["-s", "term"])


def test_the_version_is_nginx_s_and_ours(sniproxy: Sniproxy) -> None:
    rendered = sniproxy("-v")
    assert rendered.status == 0
    assert rendered.stdout == ""
    assert rendered.stderr == (
        f"nginx version: nginx/{NGINX_VERSION} (sniproxy {SNIPROXY_VERSION})\n"
    )


def test_configure_arguments_name_the_modules(sniproxy: Sniproxy) -> None:
    """Tools that look for a module in `nginx -V` find what works here, and nothing else."""
    rendered = sniproxy("-V")
    assert rendered.status == 0
    version, library, sni, arguments = rendered.lines
    assert version.startswith(f"nginx version: nginx/{NGINX_VERSION} ")
    assert re.fullmatch(r"built with OpenSSL \d+\.\d+\.\d+ .*", library)
    assert sni == "TLS SNI support enabled"
    words = arguments.removeprefix("configure arguments: ").split()
    assert "--with-http_ssl_module" in words
    assert "--without-http_ssi_module" not in words
    assert {"--with-http_realip_module", "--with-http_gunzip_module"} < set(words)
    assert "--without-http_gzip_module" not in words
    assert "--without-http_charset_module" not in words
    assert "--with-http_sub_module" in words
    assert "--without-http_proxy_module" not in words
    assert "--with-http_v2_module" not in words
    stream = ("", "_ssl_module", "_realip_module", "_ssl_preread_module")
    assert {f"--with-stream{name}" for name in stream} < set(words)
    assert not any(word.startswith("--without-") for word in words)


@pytest.mark.nginx
def test_every_module_named_is_one_that_nginx_could_leave_out(
    sniproxy: Sniproxy, tmp_path: Path
) -> None:
    """What nginx itself is built with shows in `nginx -V`: the form is the same."""
    theirs = run_nginx(["-V"], tmp_path).stderr
    ours = sniproxy("-V").stderr
    for line in ("TLS SNI support enabled", "configure arguments: --"):
        assert line in theirs
        assert line in ours


@pytest.mark.parametrize("words", [("-h",), ("-?",), ("-th",), ("-?", "-q")])
def test_help_lists_every_option(words: tuple[str, ...], sniproxy: Sniproxy) -> None:
    rendered = sniproxy(*words)
    assert rendered.stdout == ""
    assert rendered.stderr.startswith(f"nginx version: nginx/{NGINX_VERSION} ")
    for option in ("-h", "-v", "-V", "-t", "-T", "-q", "-p", "-e", "-c", "-g"):
        assert re.search(rf"^  (-\?,)?{option}[ ,]", rendered.stderr, re.MULTILINE)
    for name, summary in COMMANDS.items():
        assert re.search(rf"^  {name} +: {re.escape(summary)}$", rendered.stderr, re.MULTILINE)
