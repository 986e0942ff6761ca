"""`--fix`: the lines that must change do, and nothing else of a file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sniproxy
from sniproxy.config.lenient import parse_lenient
from sniproxy.diagnose.config_file import FileOptions, diagnose_file
from sniproxy.diagnose.patch import unified_diff
from sniproxy.diagnose.probe import Timeouts
from sniproxy.diagnose.proxy_passes import find_passes
from sniproxy.testing.upstreams import catalog
from tests.compare_nginx import get, served
from tests.diagnose.conftest import Diagnose, RunUpstreams
from tests.diagnose.test_faulty_upstreams import status_of
from tests.nginx import NGINX

NGINX_FILE = """\
# site "a"; { unbalanced
load_module modules/x.so;
events { worker_connections 10; }
http {
    brotli on;  # not ours
    proxy_set_header X-A 'a "b" ; {';
    include conf.d/*.conf;
    server {
        listen 80; server_name "www.test";
        location / {
\t\tproxy_pass  https://a.test/;   # here; {
            proxy_ssl_server_name   off; # not off
        }
        location /one/ { proxy_pass "https://b.test"; brotli_headers_x 'X: y'; }
        location = /quoted { "proxy_pass" https://c.test
            ; }
        content_by_lua_block { ngx.say("} ; {") -- } '
        }
    }
}
"""

NGINX_FIXED = [
    ("            proxy_ssl_server_name   off; # not off",
     "            proxy_ssl_server_name on; # not off"),
    ("        location /one/ { proxy_pass \"https://b.test\"; brotli_headers_x 'X: y'; }",
     "        location /one/ { proxy_pass \"https://b.test\"; proxy_ssl_server_name on;"
     " brotli_headers_x 'X: y'; }"),
    ("            ; }", "            ; proxy_ssl_server_name on; }"),
]  # fmt: skip

TOML_FILE = """\
# a comment = "x"
[[http.server]]
listen = "127.0.0.1:80"
[http.server.location."/"]
  proxy_pass = "https://a.test"  # here
  proxy_ssl_server_name = false   # not off

[http.server.location]
"/b" = { proxy_pass = "https://b.test" }
'/c'.proxy_pass = 'https://c.test'
"""

TOML_FIXED = """\
# a comment = "x"
[[http.server]]
listen = "127.0.0.1:80"
[http.server.location."/"]
  proxy_pass = "https://a.test"  # here
  proxy_ssl_server_name = true   # not off

[http.server.location]
"/b" = { proxy_pass = "https://b.test", proxy_ssl_server_name = true }
'/c'.proxy_pass = 'https://c.test'
'/c'.proxy_ssl_server_name = true
"""


def test_nginx_conf_is_spliced(tmp_path: Path, diagnose: Diagnose) -> None:
    file = tmp_path / "nginx.conf"
    file.write_text(NGINX_FILE)
    included = tmp_path / "conf.d" / "x.conf"
    included.parent.mkdir()
    included.write_bytes(b"# \xff\r\nserver {\r\n  location / {\r\n\tproxy_pass https://d.test;"
                         b" # d\r\n  }\r\n}")  # fmt: skip
    os.chmod(file, 0o640)
    output = diagnose("-c", str(file), "--offline", "--fix")
    assert output.status == 3, output.text
    wanted = NGINX_FILE
    for before, after in NGINX_FIXED:
        wanted = wanted.replace(before, after)
    assert file.read_text() == wanted
    assert file.stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "nginx.conf.bak").read_text() == NGINX_FILE
    assert included.read_bytes() == (
        b"# \xff\r\nserver {\r\n  location / {\r\n\tproxy_pass https://d.test; # d\r\n"
        b"\tproxy_ssl_server_name on;\r\n  }\r\n}"
    )
    assert diagnose("-c", str(file), "--offline").status == 0
    diagnose("-c", str(file), "--offline", "--fix")
    assert not (tmp_path / "nginx.conf.bak1").exists()


def test_toml_is_changed_by_lines(tmp_path: Path, diagnose: Diagnose) -> None:
    file = tmp_path / "site.toml"
    file.write_text(TOML_FILE)
    assert diagnose("-c", str(file), "--offline").status == 3
    assert file.read_text() == TOML_FILE
    assert diagnose("-c", str(file), "--offline", "--fix").status == 3
    assert file.read_text() == TOML_FIXED
    sniproxy.load(file)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('proxy_set_header = { Host = "old.test" }', 'proxy_set_header = { Host = "old.test" }'),
        ("proxy_ssl_verify = false", "proxy_ssl_verify = false"),
    ],
)
def test_what_is_right_stays(tmp_path: Path, diagnose: Diagnose, before: str, after: str) -> None:
    file = tmp_path / "site.toml"
    head = '[[http.server]]\nlisten = "127.0.0.1:80"\n[http.server.location."/"]\n'
    file.write_text(f'{head}{before}\nproxy_pass = "https://a.test"\n')
    diagnose("-c", str(file), "--offline", "--fix")
    text = f'{head}{after}\nproxy_pass = "https://a.test"\nproxy_ssl_server_name = true\n'
    assert file.read_text() == text


def test_a_letter_does_not_end_a_line_of_a_diff() -> None:
    before, after = "# \xc3\x85\na 1;\n", "# \xc3\x85\na 2;\n"
    changed = [line for line in unified_diff({"f": before}, {"f": after}) if line[:1] in "+-"]
    assert changed == ["--- a/f", "+++ b/f", "-a 1;", "+a 2;"]


def test_a_link_stays_a_link(tmp_path: Path, diagnose: Diagnose) -> None:
    real = tmp_path / "real.conf"
    real.write_text("events {} http { server { location / { proxy_pass https://a.test; } } }")
    (tmp_path / "nginx.conf").symlink_to(real)
    assert diagnose("-c", str(tmp_path / "nginx.conf"), "--offline", "--fix").status == 3
    assert (tmp_path / "nginx.conf").is_symlink()
    assert "proxy_ssl_server_name on;" in real.read_text()


def test_shared_snippets_are_left_to_people(tmp_path: Path, diagnose: Diagnose) -> None:
    """A line that other locations depend on is not changed for one of them."""
    (tmp_path / "tls.conf").write_text("proxy_ssl_server_name off;\n")
    locations = (
        "location /a/ { include tls.conf; proxy_pass https://a.test; }"
        "location /b/ { include tls.conf; proxy_pass http://b.test; }"
    )
    file = tmp_path / "nginx.conf"
    file.write_text(f"events {{}} http {{ server {{ {locations} }} }}")
    output = diagnose("-c", str(file), "--offline", "--fix")
    assert (output.status, "manual edit needed: " in output.text) == (4, True)
    assert (tmp_path / "tls.conf").read_text() == "proxy_ssl_server_name off;\n"
    assert not list(tmp_path.glob("*.bak"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("events {} http { server {", 'unexpected end of file, expecting "}"'),
        ("events {} }", 'unexpected "}"'),
        ("include nginx.conf;", "includes itself"),
        ("events {} http { server { location / { proxy_pass nonsense; } } }", ""),
        ("http", "unexpected end of file"),
        ("", ""),
    ],
)
def test_broken_files(tmp_path: Path, diagnose: Diagnose, text: str, words: str) -> None:
    file = tmp_path / "nginx.conf"
    file.write_text(text)
    output = diagnose("-c", str(file), "--offline")
    assert output.status == (2 if words else 0)
    assert words in output.errors
    assert "Traceback" not in output.errors


@pytest.mark.parametrize(
    "words",
    [
        ("-c", "/nowhere/nginx.conf"),
        ("-c", "/nowhere/site.toml"),
        ("-c", "/"),
        (),
        ("a", "-c", "b"),
    ],
)
def test_what_can_not_be_read(diagnose: Diagnose, words: tuple[str, ...]) -> None:
    assert diagnose(*words, "--offline").status == 2


def test_toml_that_is_wrong(tmp_path: Path, diagnose: Diagnose) -> None:
    file = tmp_path / "site.toml"
    file.write_text("[http]\nnonsense = \n")
    output = diagnose("-c", str(file), "--offline")
    assert (output.status, "invalid TOML" in output.errors) == (2, True)


def test_toml_with_an_unknown_directive(tmp_path: Path, diagnose: Diagnose) -> None:
    file = tmp_path / "site.toml"
    file.write_text("[http]\nnonsense = 1\n")
    assert diagnose("-c", str(file), "--offline").status == 0


@given(
    st.lists(st.sampled_from([" ", "\t", "\n", "\r\n", "# c {;\n", "other 'a b';", "x { y z; }"])),
    st.sampled_from(["https://a.test", '"https://a.test"', "'https://a.test/'"]),
    st.lists(st.sampled_from([" ", "\n", "  # d\n", " more x;"]), max_size=3),
)
def test_any_layout_is_retained(
    tmp_path_factory: pytest.TempPathFactory, before: list[str], url: str, behind: list[str]
) -> None:
    """Whatever stands around it, the change adds one statement and takes nothing away."""
    file = tmp_path_factory.mktemp("any") / "nginx.conf"
    inside = "".join(before) + f" proxy_pass {url};" + "".join(behind)
    text = f"events {{}} http {{ server {{ location / {{ {inside} \n}} }} }}"
    file.write_bytes(text.encode())
    report = diagnose_file(FileOptions(str(file), offline=True), Timeouts(), lambda *_: None)
    new = report.after[str(file)]
    assert "".join(new.replace("proxy_ssl_server_name on;", "").split()) == "".join(text.split())
    (site,) = find_passes(parse_lenient(str(file), {str(file): new}))
    assert site.settings.ssl_server_name


CONFIGURATION = """\
error_log stderr;
events {{}}
http {{
    server {{
        listen 127.0.0.1:{port};
        server_name upstream.test;
        proxy_set_header Host $host;
        location /sni/ {{
            proxy_pass https://127.0.0.1:{sni}; # 112
        }}
        location /plain/ {{ proxy_pass https://127.0.0.1:{plain}; }}
        location /deep/ {{
            proxy_pass https://127.0.0.1:{deep};
            proxy_ssl_verify on;
            proxy_ssl_verify_depth 1;
            proxy_ssl_name upstream.test;
            proxy_ssl_server_name on;
            proxy_ssl_trusted_certificate "{root}";
        }}
        location /good/ {{ proxy_pass https://127.0.0.1:{good}; proxy_ssl_server_name on;
            proxy_ssl_name upstream.test; }}
    }}
}}
"""


@pytest.mark.nginx
def test_a_fixed_file_works(
    run_upstreams: RunUpstreams, diagnose: Diagnose, certificates: Path, tmp_path: Path
) -> None:
    file = tmp_path / "site.conf"
    with run_upstreams(
        catalog.NEEDS_SNI, catalog.PLAIN, catalog.deep_chain(3), catalog.GOOD
    ) as peers:
        sni, plain, deep, good = (peer.port for peer in peers)
        text = CONFIGURATION.format(
            port=0,
            sni=sni,
            plain=plain,
            deep=deep,
            good=good,
            root=certificates / "root.pem",
        )
        file.write_text(text)
        output = diagnose("-c", str(file), "--fix", "--allow-insecure", "--host", "upstream.test")
        assert output.status == 3, output.text
        fixed = file.read_text()
        assert diagnose("-c", str(file), "--host", "upstream.test").status == 0
        with sniproxy.serve_in_thread(fixed) as proxy:
            port = proxy.addresses[0][1]
            for path in ("/sni/", "/plain/", "/deep/", "/good/"):
                assert status_of(port, path, "upstream.test") == 200, (path, fixed)
        http = fixed[fixed.index("http {") + 6 : fixed.rindex("}")].replace(":0;", ":@PORT@;")
        with served(NGINX, tmp_path, http) as nginx:
            targets = ("/sni/", "/plain/", "/deep/", "/good/")
            answers = nginx.ask([get(target, host="upstream.test") for target in targets])
        assert [response.status for response in answers] == [200] * 4


def test_a_fixed_file_with_grpc_and_uwsgi_passes_tls(
    run_upstreams: RunUpstreams, diagnose: Diagnose, tmp_path: Path
) -> None:
    """gRPC calls and handshakes with uwsgi servers are tried as requests of `proxy_pass` are."""
    file = tmp_path / "site.conf"
    with run_upstreams(catalog.GRPC_NEEDS_SNI, catalog.NEEDS_SNI, catalog.GRPC) as peers:
        calls, uwsgi, good = (peer.port for peer in peers)
        file.write_text(
            f"""events {{}} http {{ server {{
    listen 127.0.0.1:0;
    location /calls {{
        grpc_pass grpcs://127.0.0.1:{calls};
        grpc_set_header Host upstream.test;
    }}
    location /uwsgi {{
        uwsgi_pass suwsgi://127.0.0.1:{uwsgi};
        uwsgi_ssl_name upstream.test;
    }}
    location /good {{
        grpc_pass grpcs://127.0.0.1:{good};
        grpc_ssl_server_name on;
        grpc_ssl_name upstream.test;
    }}
}} }}
"""
        )
        output = diagnose("-c", str(file), "--fix")
        assert output.status == 3, output.text
        again = diagnose("-c", str(file))
        assert again.status == 0, again.text
    text = file.read_text()
    assert text.count("grpc_ssl_server_name on;") == 2
    assert text.count("grpc_ssl_name upstream.test;") == 2
    assert text.count("uwsgi_ssl_server_name on;") == 1
    assert "proxy_" not in text
    assert "proxy_" not in output.text
    server_names = [[r.server_name for r in peer.connections] for peer in peers]
    assert [names[0] for names in server_names] == [None, None, "upstream.test"]
    assert [names[-1] for names in server_names] == ["upstream.test"] * 3


def test_one_location(run_upstreams: RunUpstreams, diagnose: Diagnose, tmp_path: Path) -> None:
    with run_upstreams(catalog.GOOD, catalog.NEEDS_SNI) as peers:
        good, sni = (peer.port for peer in peers)
        file = tmp_path / "nginx.conf"
        file.write_text(
            "events {} http { server { proxy_ssl_server_name on; proxy_ssl_name upstream.test;"
            f"location /a/ {{ proxy_pass https://127.0.0.1:{good}; }}"
            f"location /b/ {{ proxy_pass https://127.0.0.1:{sni}; }} }} }}"
        )
        assert diagnose("-c", str(file), "--location", "/a/").status == 0
        assert (len(peers[0].connections), len(peers[1].connections)) == (1, 0)
        assert diagnose("-c", str(file), "--location", "/nowhere/").status == 2


def test_every_peer_is_tried(
    run_upstreams: RunUpstreams, diagnose: Diagnose, tmp_path: Path
) -> None:
    with run_upstreams(catalog.GOOD, catalog.CLOSES) as peers:
        good, bad = (peer.port for peer in peers)
        file = tmp_path / "nginx.conf"
        file.write_text(
            f"events {{}} http {{ upstream g {{ server 127.0.0.1:{good};"
            f" server 127.0.0.1:{bad}; }} server {{ location / {{ proxy_pass https://g;"
            " proxy_ssl_server_name on; proxy_ssl_name upstream.test; } } }"
        )
        output = diagnose("-c", str(file))
    assert output.status == 4
    assert f"the peer 127.0.0.1:{bad} fails: peer closed connection" in output.text


STREAM = """\
error_log stderr;
events {{}}
stream {{
    upstream g {{ server 127.0.0.1:{sni}; }}
    server {{
        listen 127.0.0.1:0;
        proxy_pass 127.0.0.1:{sni};
        proxy_ssl on;
        proxy_ssl_name upstream.test;
    }}
    server {{
        listen 127.0.0.1:0;
        proxy_pass 127.0.0.1:{plain};
        proxy_ssl on;
    }}
}}
"""


def test_servers_of_stream_are_connected_and_fixed(
    run_upstreams: RunUpstreams, diagnose: Diagnose, tmp_path: Path
) -> None:
    with run_upstreams(catalog.NEEDS_SNI, catalog.PLAIN_HTTP) as peers:
        file = tmp_path / "nginx.conf"
        file.write_text(STREAM.format(sni=peers[0].port, plain=peers[1].port))
        output = diagnose("-c", str(file), "--fix", "--allow-insecure")
        assert output.status == 3, output.text
        assert "stream server 127.0.0.1:0: proxy_pass 127.0.0.1:" in output.text
        fixed = file.read_text()
        assert "proxy_ssl_server_name on;" in fixed
        assert "proxy_ssl off;" in fixed
        # Sessions are not requests: nothing was sent behind the handshake.
        assert not any(peers[0].connections[-1].requests)
        assert diagnose("-c", str(file)).status == 0
