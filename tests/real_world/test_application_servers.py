"""PHP, a WSGI application and memcached behind both programs: the same answers and log lines."""

from __future__ import annotations

import contextlib
import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.nginx import NGINX
from tests.programs import OURS
from tests.real_world import application_servers as servers
from tests.real_world.site_requests import Request
from tests.real_world.test_sites import exchange, log_lines, logged_so_far, serving

pytestmark = pytest.mark.nginx

PARAMS = """
fastcgi_param QUERY_STRING $query_string;
fastcgi_param REQUEST_METHOD $request_method;
fastcgi_param CONTENT_TYPE $content_type;
fastcgi_param CONTENT_LENGTH $content_length;
fastcgi_param SCRIPT_NAME $fastcgi_script_name;
fastcgi_param REQUEST_URI $request_uri;
fastcgi_param DOCUMENT_URI $document_uri;
fastcgi_param DOCUMENT_ROOT $document_root;
fastcgi_param SERVER_PROTOCOL $server_protocol;
fastcgi_param REQUEST_SCHEME $scheme;
fastcgi_param HTTPS $https if_not_empty;
fastcgi_param GATEWAY_INTERFACE CGI/1.1;
fastcgi_param SERVER_SOFTWARE nginx;
fastcgi_param REMOTE_ADDR $remote_addr;
fastcgi_param SERVER_ADDR $server_addr;
fastcgi_param SERVER_NAME $server_name;
fastcgi_param REDIRECT_STATUS 200;
"""
"""The file `fastcgi_params` that nginx comes with."""

PHP_FILES = {
    "index.php": """<?php
header("X-Script: " . $_SERVER["SCRIPT_NAME"]);
header("Link: <https://blog.example.com/wp-json/>; rel=\\"https://api.w.org/\\"");
foreach (["REQUEST_METHOD", "REQUEST_URI", "PATH_INFO", "QUERY_STRING", "HTTP_HOST", "HTTP_COOKIE",
          "CONTENT_LENGTH"] as $name) echo $name, "=", $_SERVER[$name] ?? "-", "\\n";
print_r($_GET); print_r($_POST);
foreach ($_FILES as $file) echo $file["name"], " ", $file["size"], " ",
    sha1_file($file["tmp_name"]), "\\n";
""",
    "redirect.php": '<?php header("Location: /index.php?moved=1"); setcookie("a", "b");',
    "missing.php": '<?php http_response_code(404); echo "none here";',
    "broken.php": "<?php throw new Exception('on purpose');",
    "warns.php": "<?php error_log('a warning'); echo 'ok';",
    "large.php": '<?php for ($i = 0; $i < 5000; $i++) echo str_repeat("x", 99), "\\n";',
    "flush.php": '<?php echo "one\\n"; flush(); echo "two\\n";',
    "sends.php": '<?php header("X-Accel-Redirect: /private/file.txt"); header("X-A: b");',
    "cached.php": '<?php header("Cache-Control: max-age=60"); echo "cached ", $_GET["n"] ?? "";',
    "style.css": "body {}",
    "private/file.txt": "private\n",
}
PHP = """
fastcgi_cache_path {room}/cache keys_zone=php:1m;
fastcgi_cache_key $scheme$request_method$host$request_uri;
server {{
    listen 127.0.0.1:@PORT80@;
    root {room}/www;
    index index.php;
    client_max_body_size 8m;
    location / {{ try_files $uri $uri/ /index.php?$args; }}
    location /private/ {{ internal; }}
    location ~ [^/]\\.php(/|$) {{
        fastcgi_split_path_info ^(.+?\\.php)(/.*)$;
        if (!-f $document_root$fastcgi_script_name) {{ return 404; }}
        include fastcgi_params;
        fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
        fastcgi_param PATH_INFO $fastcgi_path_info;
        fastcgi_param HTTP_PROXY "";
        fastcgi_index index.php;
        fastcgi_intercept_errors {intercept};
        fastcgi_keep_conn {keep};
        fastcgi_buffering {buffering};
        fastcgi_cache php;
        fastcgi_cache_bypass $arg_nocache;
        add_header X-Cache $upstream_cache_status;
        fastcgi_pass php;
    }}
}}
upstream php {{ server 127.0.0.1:{port}; keepalive 2; }}
"""
UPLOAD = (
    b'--b\r\nContent-Disposition: form-data; name="f"; filename="f.bin"\r\n'
    b"Content-Type: application/octet-stream\r\n\r\n" + bytes(range(256)) * 2000 + b"\r\n"
    b'--b\r\nContent-Disposition: form-data; name="title"\r\n\r\nhello\r\n--b--\r\n'
)
FORM = "Content-Type: application/x-www-form-urlencoded"
PHP_REQUESTS = (
    *(
        Request(target)
        for target in (
            *("/", "/index.php?a=1&b[]=2", "/2024/01/hello-world/?p=3", "/index.php/a/b?c=d"),
            *("/redirect.php", "/missing.php", "/broken.php", "/warns.php", "/large.php"),
            *("/flush.php", "/sends.php", "/style.css", "/private/file.txt", "/nosuch.php"),
            *("/cached.php?n=1", "/cached.php?n=1", "/cached.php?n=1&nocache=1"),
        )
    ),
    Request("/index.php", ("Cookie: a=b", "Proxy: evil"), method="HEAD"),
    Request("/index.php", (FORM,), method="POST", body=b"a=1&b=2"),
    Request("/index.php", (FORM,), method="POST", body=b"a=1&b=2", chunked=True),
    Request(
        "/index.php", ("Content-Type: multipart/form-data; boundary=b",), method="POST", body=UPLOAD
    ),
)


@contextlib.contextmanager
def room_of(folder: Path, name: str) -> Iterator[Path]:
    room = folder / name
    (room / "cache").mkdir(parents=True)
    (room / "fastcgi_params").write_text(PARAMS)
    yield room


def compare(
    tmp_path: Path, conf: str, requests: tuple[Request, ...], **values: object
) -> tuple[list[tuple[object, ...]], list[str]]:
    """The answers and error lines of sniproxy, which are those of nginx."""
    seen = []
    for program in (OURS, NGINX):
        with room_of(tmp_path, program.name) as room:
            (room / "www").symlink_to(tmp_path / "www")
            text = (
                "pid nginx.pid; error_log error.log warn; events {}\n"
                "http { access_log access.log; server_tokens off;"
                " server { listen 127.0.0.1:@PORT1@; return 204; }\n"
                + conf.format(room=room, **values)
                + "}\n"
            )
            with serving(program, room, text) as served:
                answers = [exchange(served, request) for request in requests]
                access = logged_so_far(served, len(requests))
                errors = [line.replace(str(room), "") for line in log_lines(served, "error.log")]
        seen.append((answers, access, errors))
    ours, theirs = seen
    for request, answer, expected in zip(requests, ours[0], theirs[0], strict=True):
        assert answer == expected, request
    assert ours[1] == theirs[1]
    assert ours[2] == theirs[2]
    return ours[0], ours[2]


@pytest.mark.needs(servers.PHP_FPM)
@pytest.mark.parametrize(
    ("buffering", "keep", "intercept"),
    [("on", "off", "off"), ("on", "on", "off"), ("off", "on", "on")],
)
def test_php_is_served_as_by_nginx(
    tmp_path: Path, buffering: str, keep: str, intercept: str
) -> None:
    for name, text in PHP_FILES.items():
        path = tmp_path / "www" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    with servers.php_fpm(tmp_path) as port:
        answers, errors = compare(
            tmp_path,
            PHP,
            PHP_REQUESTS,
            port=port,
            buffering=buffering,
            keep=keep,
            intercept=intercept,
        )
    statuses = [answer[0] for answer in answers]
    assert statuses.count(200) >= 12
    assert any("FastCGI sent in stderr: " in line for line in errors)
    assert "f.bin 512000 " in str(answers[-1][2])


UWSGI = """
uwsgi_cache_path {room}/cache keys_zone=u:1m;
server {{
    listen 127.0.0.1:@PORT80@;
    client_max_body_size 8m;
    location / {{
        uwsgi_param QUERY_STRING $query_string;
        uwsgi_param REQUEST_METHOD $request_method;
        uwsgi_param CONTENT_TYPE $content_type;
        uwsgi_param CONTENT_LENGTH $content_length;
        uwsgi_param REQUEST_URI $request_uri;
        uwsgi_param PATH_INFO $document_uri;
        uwsgi_param SERVER_PROTOCOL $server_protocol;
        uwsgi_param REQUEST_SCHEME $scheme;
        uwsgi_param REMOTE_ADDR $remote_addr;
        uwsgi_param SERVER_NAME $server_name;
        uwsgi_param SERVER_PORT 80;
        uwsgi_buffering {buffering};
        uwsgi_request_buffering {buffering};
        uwsgi_pass 127.0.0.1:{port};
    }}
}}
"""
LARGE = bytes(range(256)) * 4000
WSGI_REQUESTS = (
    *(Request(target) for target in ("/", "/a%20b?c=d", "/absent", "/broken", "/large")),
    Request("/", ("Cookie: a=b", "Cookie: c=d")),
    Request("/", method="HEAD"),
    Request("/upload", method="POST", body=LARGE),
    Request("/upload", method="PUT", body=b"abc", chunked=True),
)


@pytest.mark.needs(servers.UWSGI)
@pytest.mark.parametrize("buffering", ["on", "off"])
def test_a_wsgi_application_is_served_as_by_nginx(tmp_path: Path, buffering: str) -> None:
    (tmp_path / "www").mkdir()
    with servers.uwsgi(tmp_path) as port:
        answers, _ = compare(tmp_path, UWSGI, WSGI_REQUESTS, port=port, buffering=buffering)
    assert [answer[0] for answer in answers].count(200) >= 6


MEMCACHED = """
server {{
    listen 127.0.0.1:@PORT80@;
    location / {{
        set $memcached_key $uri;
        memcached_pass values;
        memcached_gzip_flag 2;
        error_page 404 = @absent;
    }}
    location @absent {{ return 200 "made"; }}
}}
upstream values {{ server 127.0.0.1:{port}; keepalive 2; }}
"""


@pytest.mark.needs(servers.MEMCACHED)
def test_values_of_memcached_are_served_as_by_nginx(tmp_path: Path) -> None:
    (tmp_path / "www").mkdir()
    values = {
        "/page.html": (b"<p>hello</p>", 0),
        "/large.txt": (b"x" * 100_000, 0),
        "/packed.txt": (gzip.compress(b"packed", mtime=0), 2),
        "/a%20b": (b"a space", 0),
        "/empty": (b"", 0),
    }
    requests = (
        *(
            Request(target)
            for target in ("/page.html", "/large.txt", "/empty", "/nosuch", "/a%20b")
        ),
        Request("/packed.txt", ("Accept-Encoding: gzip",)),
        Request("/page.html", ("Range: bytes=3-7",)),
        Request("/page.html", method="HEAD"),
        Request("/page.html", method="POST", body=b"x"),
    )
    with servers.memcached(tmp_path, values) as port:
        answers, _ = compare(tmp_path, MEMCACHED, requests, port=port)
    assert [answer[0] for answer in answers] == [200, 200, 200, 200, 200, 200, 206, 200, 405]
