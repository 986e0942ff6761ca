"""What each site is asked."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

GZIP = "Accept-Encoding: gzip, deflate, br"
LOGIN = "Authorization: Basic dXNlcjpwYXNzd29yZA=="
UPGRADE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)


@dataclass(frozen=True, slots=True)
class Request:
    """A request, to the port that the file names."""

    target: str
    fields: tuple[str, ...] = ()
    method: str = "GET"
    host: str = "localhost"
    port: int = 80
    body: bytes = b""
    chunked: bool = False

    def encode(self) -> bytes:
        lines = [f"{self.method} {self.target} HTTP/1.1", f"Host: {self.host}", *self.fields]
        body = self.body
        if self.chunked:
            lines.append("Transfer-Encoding: chunked")
            body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        elif body:
            lines.append(f"Content-Length: {len(body)}")
        if UPGRADE[0] not in self.fields:
            lines.append("Connection: close")
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def requests(
    host: str, *targets: str, port: int = 80, fields: tuple[str, ...] = ()
) -> list[Request]:
    return [Request(target, fields, host=host, port=port) for target in targets]


CLOUD, MEDIA, HUB = "cloud.example.com", "media.example.com", "registry.example.com"
APP, BLOG, NODE = "app.example.com", "blog.example.com", "node.example.com"
API, TOOLS, MATRIX = "api.example.com", "tools.example.com", "matrix.example.com"
LARGE = b"0123456789abcdef" * 100_000
LATER = "If-Modified-Since: Fri, 14 Nov 2025 22:13:20 GMT"
ORIGIN = "Origin: https://www.example.com"

QUOTA, CDN, WP_LOGIN = "quota.example.com", "cdn.example.com", "login.example.com"
FILES, SHOP, COMPAT = "files.example.com", "shop.example.com", "compat.example.com"
PICTURES, COUNT = "pictures.example.com", "count.example.com"
FOREVER = "4102444800"


def _signature(text: str) -> str:
    digest = hashlib.md5(text.encode(), usedforsecurity=False).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


SIGNED = _signature(f"{FOREVER}/s/hello.txt opensesame")
EXPIRED = _signature("1000000000/s/hello.txt opensesame")
SECRET_HASH = hashlib.md5(b"page.txtenigma", usedforsecurity=False).hexdigest()

REQUESTS: Mapping[str, list[Request]] = {
    "nextcloud": [
        *requests(CLOUD, "/apps?a=1"),
        *requests(
            CLOUD,
            *("/", "/text", "/json", "/.well-known/carddav", "/.well-known/nodeinfo", "/data/x"),
            *("/.git/config", "/redirect", "/absent", "/text?x=%20y"),
            port=443,
            fields=(GZIP,),
        ),
        Request("/text", ("Via: 1.1 proxy", GZIP), host=CLOUD, port=443),
        Request("/upload", method="PUT", host=CLOUD, port=443, body=LARGE),
        Request("/upload", method="PUT", host=CLOUD, port=443, body=b"part", chunked=True),
        Request("/push", UPGRADE, host=CLOUD, port=443),
    ],
    "home-assistant": [
        *requests("hass.example.com", "/", "/text", "/redirect", "/app.js.map", "/api/states?x"),
        Request("/api/websocket", UPGRADE, host="hass.example.com"),
        Request("/api/websocket", host="hass.example.com"),
        Request("/api/services", method="POST", host="hass.example.com", body=b"{}"),
    ],
    "grafana": [
        *requests("grafana.example.com:8443", "/grafana/", "/grafana/d/x?orgId=1", "/grafana?a=b"),
        *requests("grafana.example.com", "/", "/nosuch", "/grafana/redirect", "/grafana/a%20b"),
        Request("/grafana/api/live/ws", UPGRADE),
        Request("/grafana/api/ds/query", method="POST", body=b'{"queries": []}'),
    ],
    "jellyfin": [
        *requests(MEDIA, "/", "/web/", "/text", "/json", "/redirect", port=443, fields=(GZIP,)),
        Request("/text", ("Range: bytes=0-9",), host=MEDIA, port=443),
        Request("/socket?api_key=x", UPGRADE, host=MEDIA, port=443),
        Request("/Items", method="DELETE", host=MEDIA, port=443),
    ],
    "gitlab": [
        *requests("gitlab.example.com", "/", "/text", "/gone", "/down", "/404.html", "/absent"),
        *requests("gitlab.example.com", "/x?private_token=secret&a=b", "/x?a=1&feed-token=secret"),
        Request("/group/project.git/git-receive-pack", method="POST", body=LARGE),
        Request("/-/cable", UPGRADE),
    ],
    "link-mirror": [
        *requests(
            "docs.mirror.example.org",
            *("/page.html", "/guide/page.html", "/raw/page.html", "/text", "/json", "/redirect"),
            *("/absent", "/guide/absent", "/x?docs.example.com"),
            fields=(GZIP,),
        ),
        Request("/page.html", method="HEAD", host="docs.mirror.example.org"),
        Request("/page.html", ("Range: bytes=0-9",), host="docs.mirror.example.org"),
    ],
    "legacy-pages": [
        *requests(
            "old.example.com",
            *("/", "/?coding=koi8", "/index.shtml?x", "/parts/head.html", "/style.css"),
            *("/silent/style.css", "/silent/", "/plain.txt", "/counter/text", "/absent.html"),
        ),
        *requests("old.example.com", "/", "/?coding=koi8", fields=("User-Agent: Lynx/2.8",)),
        Request("/", method="HEAD", host="old.example.com"),
        Request("/", (LATER,), host="old.example.com"),
    ],
    "staging-mirror": [
        *requests("api.example.com", "/", "/text", "/absent", "/broken", "/login", "/x?a=b&c"),
        Request("/orders", method="POST", host="api.example.com", body=LARGE),
        Request("/orders", method="PUT", host="api.example.com", body=b"part", chunked=True),
        Request("/upload", method="POST", host="api.example.com", body=LARGE),
        Request("/login", method="POST", host="api.example.com", body=b"password"),
        Request("/text", method="HEAD", host="api.example.com"),
    ],
    "framed": [
        *requests(
            "archive.example.com",
            *("/", "/index.html", "/notes.txt", "/style.css", "/parts/head.html", "/absent"),
            *("/app/page.html", "/app/text", "/app/json", "/raw/notes.txt", "/app/redirect"),
        ),
        Request("/notes.txt", ("Range: bytes=0-1",), host="archive.example.com"),
        Request("/notes.txt", (LATER,), host="archive.example.com"),
        Request("/notes.txt", method="HEAD", host="archive.example.com"),
    ],
    "spa": [
        *requests(
            APP,
            *("/", "/index.html", "/users/7", "/assets/app.js", "/assets/none.js", "/logo.svg"),
            *("/favicon.ico", "/api/json", "/api/absent", "/.env", "/small.css", "/assets/"),
            fields=(GZIP,),
        ),
        *requests(APP, "/", "/assets/app.js", "/logo.svg"),
        Request("/assets/app.js", (GZIP,), method="HEAD", host=APP),
        Request("/assets/app.js", ("If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT",), host=APP),
        Request("/assets/app.js", ("Range: bytes=5-9",), host=APP),
        Request("/assets/app.js", ("Range: bytes=5-9", GZIP), host=APP),
        Request("/", (GZIP,), method="POST", host=APP, body=b"x"),
    ],
    "registry": [
        *requests(HUB, "/v2/", "/", port=443),
        *requests(HUB, "/v2/", "/v2/x/manifests/latest", "/v2/absent", port=443, fields=(LOGIN,)),
        Request("/v2/x/blobs/uploads/1", (LOGIN,), method="PATCH", host=HUB, port=443, body=LARGE),
        Request(
            "/v2/x/blobs/uploads/1",
            (LOGIN,),
            method="PATCH",
            host=HUB,
            port=443,
            body=LARGE,
            chunked=True,
        ),
        Request("/v2/", (LOGIN, "User-Agent: docker/1.3.2"), host=HUB, port=443),
        Request("/v2/", ("Authorization: Basic dXNlcjpiYWQ=",), host=HUB, port=443),
    ],
    "websocket-snippet": [
        *requests("localhost", "/", "/text", "/redirect", "/absent"),
        Request("/ws", UPGRADE),
    ],
    "third-party": [
        *requests("localhost", "/", "/text", "/status", "/json", fields=(GZIP,)),
        *requests("localhost", "/?a=}", "/text"),
    ],
    "wordpress": [
        *requests("www.blog.example.com", "/2024/post?x=1"),
        *requests(
            BLOG,
            *("/", "/style.css", "/missing.css", "/xmlrpc.php", "/wp-content/uploads/evil.php"),
            *("/robots.txt", "/favicon.ico", "/broken", "/redirect", "/.htaccess", "/cookie"),
            *("/wp-content/cache/page.html", "/.well-known/security.txt"),
        ),
        Request("/wp-login.php", method="POST", host=BLOG, body=b"log=a&pwd=b"),
    ],
    "node-app": [
        *requests(
            NODE,
            *("/", "/text", "/json", "/cookie", "/static/app.css", "/static/", "/health"),
            *("/hello.txt", "/redirect", "/broken"),
            fields=(GZIP,),
        ),
        Request("/text", (GZIP, "Via: 1.1 cdn"), host=NODE),
        Request(
            "/static/app.css", ("If-Modified-Since: Tue, 14 Nov 2025 22:13:20 GMT",), host=NODE
        ),
        Request("/static/app.css", ('If-None-Match: "x"',), host=NODE),
    ],
    "api-gateway": [
        *requests(API, "/v1/users/7?x=1", "/v2/users/9", "/v3/users/1", "/v1/text", "/"),
        *requests(API, "/v1/users/7?x=1", "/v2/users/9", fields=(LOGIN,)),
        Request("/v1/text", (ORIGIN,), method="OPTIONS", host=API),
        Request("/v1/text", (ORIGIN,), host=API),
        Request("/v1/text", ("Origin: https://evil.test",), host=API),
        Request("/v1/text", method="DELETE", host=API),
        Request("/v1/absent", (ORIGIN,), host=API),
        Request("/v1/users/7", (LOGIN,), method="POST", host=API, body=b"name=value"),
    ],
    "redirects": [
        *requests("shop.old.example.com", "/x?y=z"),
        *requests(
            "example.com",
            *("/", "/old-page", "/archive/2020/a/b", "/x.php?y", "/index.html", "/docs", "/docs/"),
            *("/docs/page.txt", "/no.txt", "/maintenance.html"),
        ),
        *requests("maintained.example.com", "/", "/old-page"),
        *requests("www.maintained.example.com", "/docs/"),
    ],
    "synapse": [
        *requests(
            MATRIX,
            *("/_matrix/client/versions", "/.well-known/matrix/server", "/"),
            *("/.well-known/matrix/client", "/_synapse/client/x"),
            port=443,
        ),
        *requests(MATRIX, "/_matrix/federation/v1/version", port=8448),
        Request("/_matrix/media/v3/upload", method="POST", host=MATRIX, port=443, body=LARGE),
    ],
    "pgadmin": [
        *requests(TOOLS, "/pgadmin/", "/adminer/x", "/public/", "/closed/"),
        *requests(
            TOOLS,
            "/pgadmin/login?x",
            "/adminer/cookie",
            "/closed/",
            "/pgadmin/redirect",
            fields=(LOGIN,),
        ),
    ],
    "event-stream": [
        *requests("localhost", "/events", "/text", "/json", fields=(GZIP,)),
        *requests("localhost", "/events", "/text"),
    ],
    "http3": [*requests("h3.example.com", "/", "/text", port=443)],
    "object-store": [
        *requests("files.example.com", *("/text", "/text", "/absent", "/absent", "/cookie")),
        Request("/text", method="HEAD", host="files.example.com"),
        Request("/text", ("Range: bytes=0-9",), host="files.example.com"),
        Request("/text", method="PUT", host="files.example.com", body=b"x"),
    ],
    "wordpress-cache": [
        *requests("localhost", "/text", "/text", "/text?nocache=1", "/redirect", "/redirect"),
        Request("/text", ("Cookie: wordpress_logged_in_x=1",)),
        Request("/text", method="POST", body=b"a=b"),
    ],
    "mirror": [*requests("localhost", "/pool/text", "/pool/text", "/absent", "/pool/text?x=1")],
    "api-limits": [
        *requests(QUOTA, *["/v1/text"] * 5, "/v1/search?q=a", "/v1/search", "/health"),
        *requests(QUOTA, *["/v1/json"] * 7, fields=("X-Api-Key: key-alpha",)),
        *requests(QUOTA, "/v1/json", fields=("X-Api-Key: key-beta",)),
        *requests(QUOTA, "/v1/json", fields=("X-Api-Key: unknown",)),
        Request("/v1/items", ("X-Api-Key: key-beta",), method="POST", host=QUOTA, body=b"{}"),
    ],
    "behind-cdn": [
        *requests(CDN, "/", "/region", "/admin/", "/chain/x"),
        *[
            one
            for address in ("198.51.100.7", "203.0.113.9", "2001:db8::1", "garbage", "1.2.3.4:80")
            for one in requests(
                CDN, "/x", "/region", "/admin/", fields=(f"CF-Connecting-IP: {address}",)
            )
        ],
        *requests(CDN, "/chain/x", fields=("X-Forwarded-For: 1.1.1.1, 2.2.2.2, 104.16.1.1",)),
        *requests(CDN, "/chain/x", fields=("X-Forwarded-For: 104.16.1.1", "CF-Connecting-IP: x")),
        *requests(CDN, "/region", fields=("CF-Connecting-IP: 8.8.8.8, 9.9.9.9",)),
    ],
    "wordpress-login": [
        *requests(WP_LOGIN, "/", *["/wp-login.php"] * 3, "/style.css", "/none.css", "/.git/x"),
        *[
            Request("/wp-login.php", method="POST", host=WP_LOGIN, body=b"log=a&pwd=b")
            for _ in range(4)
        ],
        *requests(WP_LOGIN, *["/xmlrpc.php"] * 3),
        *[
            Request("/wp-comments-post.php", method="POST", host=WP_LOGIN, body=b"comment=a")
            for _ in range(5)
        ],
        Request("/upload", method="POST", host=WP_LOGIN, body=LARGE),
    ],
    "downloads": [
        *requests(
            FILES,
            *("/s/hello.txt", f"/s/hello.txt?md5={SIGNED}&expires={FOREVER}"),
            *(f"/s/other.txt?md5={SIGNED}&expires={FOREVER}", "/s/hello.txt?md5=x&expires=1"),
            f"/s/hello.txt?md5={EXPIRED}&expires=1000000000",
            *(f"/p/{SECRET_HASH}/page.txt", f"/p/{SECRET_HASH}/other.txt", "/p/x/page.txt"),
            *("/protected/page.txt", "/accel/text", "/"),
        ),
        Request(f"/s/hello.txt?md5={SIGNED}&expires={FOREVER}", ("Range: bytes=1-2",), host=FILES),
    ],
    "ab-test": [
        *[
            one
            for browser in ("Firefox", "Chrome", "curl", "Safari", "Edge")
            for one in requests(SHOP, "/text", "/compare", fields=(f"User-Agent: {browser}",))
        ],
        *requests(SHOP, "/", "/compare", "/checkout/x", fields=("Cookie: front=beta",)),
        *requests(SHOP, "/", "/?front=new&a=b", "/?front=other", fields=("Cookie: front=wrong",)),
        *requests(SHOP, "/", fields=("Cookie: front=old; visitor=fwAAAWVTwyhAyQAJAwMDAg==",)),
    ],
    "old-browsers": [
        *[
            one
            for browser in (
                "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1)",
                "Mozilla/5.0 (compatible; MSIE 9.0; Windows NT 6.1)",
                "Mozilla/5.0 (X11; rv:128.0) Gecko/20100101 Firefox/128.0",
                "Mozilla/5.0 (X11; Linux) AppleWebKit/537.36 Chrome/126.0 Safari/537.36",
                "Opera/9.80 (X11; Linux) Presto/2.12",
                "Lynx/2.8.9rel.1",
                "Mozilla/4.79 [en] (X11; U; Linux)",
                "curl/8.0",
            )
            for one in requests(COMPAT, "/", "/docs/", "/api/x", fields=(f"User-Agent: {browser}",))
        ],
        *requests(COMPAT, "/", "/none"),
    ],
    "hotlinks": [
        *[
            one
            for page in (
                *(
                    "http://pictures.example.com/a",
                    "https://www.google.de/search",
                    "http://evil.test/",
                ),
                *("http://a.example.org/gallery/1", "http://a.example.org/other", "hidden"),
                *("http://www.bing.com/", "http://partner.example.net:8080/x"),
            )
            for one in requests(
                PICTURES, "/spa/logo.svg", "/thumbnails/text", fields=(f"Referer: {page}",)
            )
        ],
        *requests(PICTURES, "/spa/logo.svg", "/spa/none.svg", "/stolen.gif", "/thumbnails/x"),
    ],
    "tracking": [
        *requests(COUNT, "/pixel.gif?page=/a%22b", "/x", "/beacon"),
        *requests(COUNT, "/pixel.gif", fields=("DNT: 1",)),
        *[
            one
            for value in ("fwAAAWVTwyhAyQAJAwMDAg==", "fwAAAWVTwyhAyQAJAwMDAm=", "short")
            for one in requests(COUNT, "/pixel.gif", fields=(f"Cookie: v={value}",))
        ],
        *[
            one
            for value in ("fwAAAWVTwyhAyQAJAwMDAg==", "fwAAAWVTwyhAyQAJAwMDAgm=")
            for one in requests(COUNT, "/marked.gif", fields=(f"Cookie: v={value}",))
        ],
        Request("/beacon", method="POST", host=COUNT, body=b"{}"),
    ],
    "status": [
        *requests("localhost", "/basic_status", "/nginx_status", "/numbers", "/x", port=8081),
        *requests("localhost", "/nginx_status", port=8081, fields=(LOGIN,)),
        *requests("monitored.example.com", "/text", "/x"),
        *requests("localhost", "/basic_status", port=8081),
    ],
}
