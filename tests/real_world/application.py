"""The application behind the sites: it shows requests, and does what applications do."""

# ruff: noqa: N802, N815 - the names are those of `http.server`

from __future__ import annotations

import hashlib

from tests.services import Service

TEXT = "A line of an answer that is worth compressing.\n" * 100

PAGE = """<html><head><title>Docs</title>
<script async src="/analytics.js"></script></head>
<a href="https://docs.example.com/a">a</a> <a href="//DOCS.example.com/b">b</a>
<p>See docs.example.com, docs.example.com and docs.example.org.</p></html>
"""


class Application(Service):
    """Answers by path; any other path shows the request."""

    name = "application"

    def do_GET(self) -> None:
        if self.headers.get("Upgrade", "").lower() == "websocket":
            self.echo_texts()
            return
        body = self.body()
        path = self.path.partition("?")[0]
        if path.endswith("/redirect"):
            port = self.server.server_port  # type: ignore[attr-defined]
            self.reply(302, "", {"Location": f"http://127.0.0.1:{port}/target?a=b"})
        elif path.endswith("/cookie"):
            self.reply(200, "cookie", {"Set-Cookie": "a=b; Domain=localhost; Path=/adminer/"})
        elif path.endswith("/check"):
            allowed = "Authorization" in self.headers
            self.reply(204 if allowed else 401, "", {"X-User": "alice"})
        elif path.endswith("/events"):
            self.events()
        elif path == "/pool/text":  # stored with this time
            self.reply(200, TEXT, {"Last-Modified": "Fri, 14 Nov 2025 22:13:20 GMT"})
        elif path.endswith("/text"):
            self.reply(200, TEXT, {"ETag": '"text-1"', "X-Powered-By": "PHP/8.3"})
        elif path.endswith("/json"):
            self.reply(200, '{"a": "b"}' * 50, {"Content-Type": "application/json"})
        elif path.endswith("/page.html"):
            self.reply(200, PAGE, {"Content-Type": "text/html", "ETag": '"page-1"'})
        elif path.endswith("/broken"):
            self.reply(503, "a stack trace")
        elif path.endswith("/absent"):
            self.reply(404, "the application's own page")
        else:
            seen = f"{self.requestline}\n{self.headers}".replace("\r\n", "\n")
            self.reply(200, f"{seen}{len(body)} {hashlib.sha1(body).hexdigest()}\n")

    do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_HEAD = do_GET

    def end_headers(self) -> None:
        """Announce the end of the connection: otherwise a proxy may use it again."""
        if self.close_connection:
            self.send_header("Connection", "close")
        super().end_headers()

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            data = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return data
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def reply(self, status: int, text: str, fields: dict[str, str] | None = None) -> None:
        encoded = text.encode()
        fields = {"Content-Type": "text/plain"} | (fields or {})
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(encoded)))
        self.end_headers()
        if self.command != "HEAD" and status != 204:
            self.wfile.write(encoded)

    def events(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number in range(3):
            event = f"data: event {number}\n\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")
