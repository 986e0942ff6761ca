"""Valid and invalid raw requests."""

from __future__ import annotations


def get(*lines: str, target: str = "/", version: str = "HTTP/1.1") -> bytes:
    """A GET request with `Host: a` followed by `lines`."""
    head = [f"GET {target} {version}", "Host: a", *lines, "", ""]
    return "\r\n".join(head).encode("latin-1")


def _first(line: str) -> bytes:
    return f"{line}\r\nHost: a\r\n\r\n".encode("latin-1")


PLAIN: dict[str, bytes] = {
    "ordinary": get("User-Agent: x", "Accept: */*"),
    "lines ended by LF": b"GET / HTTP/1.1\nHost: a\nX: y\n\n",
    "empty lines before": b"\r\n\n\r\n" + get(),
    "empty lines that fill the buffer": b"\r\n" * 700 + get(),
    "method with _ and -": _first("G_E-T / HTTP/1.1"),
    "long method": _first("A" * 100 + " / HTTP/1.1"),
    "method of lower case": _first("get / HTTP/1.1"),
    "method of digits": _first("G3T / HTTP/1.1"),
    "no method": _first(" / HTTP/1.1"),
    "method alone": b"GET\r\n\r\n",
    "spaces between": _first("GET   /   HTTP/1.1"),
    "spaces after": _first("GET / HTTP/1.1  "),
    "tab between": _first("GET\t/ HTTP/1.1"),
    "target without slash": _first("GET foo HTTP/1.1"),
    "target *": _first("OPTIONS * HTTP/1.1"),
    "target with tab": _first("GET /\t HTTP/1.1"),
    "target with DEL": _first("GET /\x7f HTTP/1.1"),
    "target with high bytes": _first("GET /\xe4\xf6 HTTP/1.1"),
    "target with quotes": _first('GET /"<>\\^`{|} HTTP/1.1'),
    "target with space": _first("GET /a b HTTP/1.1"),
    "fragment": _first("GET /a?b#c HTTP/1.1"),
    "fragment with question": _first("GET /a#b?c HTTP/1.1"),
    "encoded path": _first("GET /%61/%2e%2E/%2fb%3Fc?%41 HTTP/1.1"),
    "encoded NUL": _first("GET /a%00 HTTP/1.1"),
    "broken escape": _first("GET /%4 HTTP/1.1"),
    "above the root": _first("GET /a/../../b HTTP/1.1"),
    "HTTP/0.9": b"GET /a?b\r\n",
    "HTTP/0.9 with spaces": b"GET /a   \n",
    "HTTP/0.9 absolute": b"GET http://b/a\r\n",
    "HTTP/0.9 absolute without path": b"GET http://b \r\n",
    "HTTP/0.9 with a bad path": b"GET /%00\r\n",
    "HTTP/0.9 by POST": b"POST /\r\n",
    "HTTP/0.9 in words": _first("GET / HTTP/0.9"),
    "HTTP/1.0": b"GET / HTTP/1.0\r\n\r\n",
    "HTTP/1.2": _first("GET / HTTP/1.2"),
    "HTTP/1.001": _first("GET / HTTP/1.001"),
    "HTTP/1.0000": b"GET / HTTP/1.0000\r\n\r\n",
    "HTTP/1.1000": _first("GET / HTTP/1.1000"),
    "HTTP/1": _first("GET / HTTP/1"),
    "HTTP/1.": _first("GET / HTTP/1."),
    "HTTP/2.0": _first("GET / HTTP/2.0"),
    "HTTP/11.0": _first("GET / HTTP/11.0"),
    "HTTP/2.0 after a bad target": _first("GET foo HTTP/2.0"),
    "http/1.1": _first("GET / http/1.1"),
    "HTTQ": _first("GET / HTTQ/1.1"),
    "words after the version": _first("GET / HTTP/1.1 x"),
    "CR in the line": _first("GET / HTTP/1.1\rx"),
    "absolute": _first("GET http://B.test:80/c?d HTTP/1.1"),
    "absolute without path": _first("GET http://b HTTP/1.1"),
    "absolute with query alone": _first("GET http://b?c HTTP/1.1"),
    "absolute without host": _first("GET http:///b HTTP/1.1"),
    "absolute of IPv6": _first("GET http://[::1]:80/b HTTP/1.1"),
    "absolute of open IPv6": _first("GET http://[::1/b HTTP/1.1"),
    "absolute after IPv6": _first("GET http://[::1]b/ HTTP/1.1"),
    "absolute with one slash": _first("GET http:/b/ HTTP/1.1"),
    "absolute with user": _first("GET http://u@b/ HTTP/1.1"),
    "absolute with underscore": _first("GET http://a_b/ HTTP/1.1"),
    "absolute with two dots": _first("GET http://a..b/ HTTP/1.1"),
    "absolute with port out of range": _first("GET http://b:65536/ HTTP/1.1"),
    "absolute with odd scheme": _first("GET a1+.-://b/ HTTP/1.1"),
    "absolute and line end": b"GET http://b\r\n\r\n",
    "absolute without Host header": b"GET http://b/ HTTP/1.1\r\n\r\n",
    "CONNECT": _first("CONNECT b:443 HTTP/1.1"),
    "CONNECT 1.0": b"CONNECT b:443 HTTP/1.0\r\n\r\n",
    "CONNECT without port": _first("CONNECT b HTTP/1.1"),
    "CONNECT with path": _first("CONNECT / HTTP/1.1"),
    "CONNECT without host": _first("CONNECT :443 HTTP/1.1"),
    "CONNECT of IPv6": _first("CONNECT [::1]:443 HTTP/1.1"),
    "CONNECT of HTTP/2": _first("CONNECT b:443 HTTP/2.0"),
    "CONNECT of HTTP/0.9": b"CONNECT b:443 \r\n",
    "CONNECTED": _first("CONNECTED / HTTP/1.1"),
    "TRACE": _first("TRACE / HTTP/1.1"),
    "TRACE without Host": b"TRACE / HTTP/1.1\r\n\r\n",
    "HEAD with a bad field": b"HEAD / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
}

FIELDS: dict[str, bytes] = {
    "value with spaces around": get("X:   y z   "),
    "value with tabs around": get("X: \ty\t"),
    "empty value": get("X:"),
    "value of spaces": get("X:    "),
    "value with high bytes": get("X: \xff\x01"),
    "value with NUL": get("X: y\0z"),
    "value with NUL after space": get("X: y \0"),
    "NUL for a value": get("X: \0"),
    "value with CR": get("X: y\rz"),
    "value with spaces and CR": get("X: y  \rz"),
    "spaces and CR": get("X:   \rz"),
    "name and CR": get("X\rz"),
    "many CR at the end": get("X: y\r\r\r"),
    "CR for a line": get("\rx"),
    "two CR for the last line": b"GET / HTTP/1.1\r\nHost: a\r\n\r\r\n",
    "name without colon": get("Name"),
    "no name": get(": y"),
    "space in the name": get("X y: z"),
    "space before the colon": get("X : y"),
    "tab before the colon": get("X\t: y"),
    "folded": get("X: y", " z"),
    "folded by tab": get("X: y", "\tz"),
    "folded first": b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
    "name of underscores": get("X_Y: z  "),
    "name of signs": get("X@Y!: z", "\xe4: b", "_: c", "Q:  "),
    "name with slash": get("HTTP/1.1 200 OK"),
    "name of dashes": get("-: y", "--1: z"),
    "name with NUL": get("X\0Y: z"),
    "name with DEL": get("X\x7fY: z"),
    "bad name after Referer": get("Referer: r", "X_Y: z", "X Y: z"),
    "bad name before Host": b"GET / HTTP/1.1\r\nX_Y: z\r\nHost: a\r\n\r\n",
    "no Host": b"GET / HTTP/1.1\r\nX: y\r\n\r\n",
    "no field": b"GET / HTTP/1.1\r\n\r\n",
    "no Host 1.0": b"GET / HTTP/1.0\r\nX: y\r\n\r\n",
    "two Hosts": get("host: a"),
    "empty Host": b"GET / HTTP/1.1\r\nHost:\r\n\r\n",
    **{
        f"Host {host}": f"GET / HTTP/1.1\r\nReferer: r\r\nHost: {host}\r\n\r\n".encode("latin-1")
        for host in (
            "A.b",
            "a.",
            ".",
            ".a",
            "a..b",
            "a/b",
            "a b",
            "a\tb",
            "a@b",
            'a"b',
            "a\x01",
            "a\xff",
            "a_b~!$&'()*+,;=%41",
            "a:80",
            "a.:80",
            "a:",
            "a:x",
            ":80",
            "a:65535",
            "a:65536",
            "a:000000080",
            "[::1]",
            "[::1]:443",
            "[::1",
            "[]",
            "[::1]x",
            "[a..b]",
        )
    },
    "absolute and bad Host": b"GET http://b/ HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "Content-Length": get("Content-Length: 0"),
    "Content-Length twice": get("Content-Length: 1", "content-length: 1"),
    **{
        f"Content-Length {value}": get(f"Content-Length: {value}")
        for value in ("", "+1", "-1", "1,1", "0x1", "1 1", "\xb2", "9" * 19, "0" * 5000 + "1")
    },
    "Content-Length and TE": get("Content-Length: 0", "Transfer-Encoding: chunked"),
    "TE and Content-Length": get("Transfer-Encoding: chunked", "Content-Length: x"),
    "TE twice": get("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
    "TE gzip": get("Transfer-Encoding: gzip"),
    "TE gzip, chunked": get("Transfer-Encoding: gzip, chunked"),
    "TE CHUNKED": get("Transfer-Encoding: CHUNKED") + b"0\r\n\r\n",
    "TE identity": get("Transfer-Encoding: identity"),
    "TE empty": get("Transfer-Encoding:"),
    "TE 1.0": b"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "TE gzip with Content-Length": get("Content-Length: 0", "Transfer-Encoding: gzip"),
    "TE by TRACE": b"TRACE / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
    "twice what may be": get("User-Agent: a", "User-Agent: b", "Cookie: c", "Cookie: d"),
    **{
        f"{name} twice": get(f"{name}: a", f"{name.upper()}: b")
        for name in (
            "Authorization",
            "Content-Range",
            "Expect",
            "If-Match",
            "If-Modified-Since",
            "If-None-Match",
            "If-Range",
            "If-Unmodified-Since",
            "Proxy-Authorization",
        )
    },
    **{
        f"Connection {value}, HTTP/{version}": get(
            f"Connection: {value}", version=f"HTTP/{version}"
        )
        for value in ("close", "Keep-Alive", "x", "disclose", "keep-alive, close", "keep alive")
        for version in ("1.0", "1.1")
    },
    "Connection twice": get("Connection: close", "Connection: keep-alive"),
    "Connection twice, other twice": get("Connection: keep-alive", "Connection: x"),
}

SIZES: dict[str, bytes] = {
    **{
        f"target of {size}": get(target="/" + "a" * size)
        for size in (1008, 1009, 1010, 1011, 8175, 8176, 8177, 8178, 9000)
    },
    **{f"value of {size}": get("X: " + "a" * size) for size in (980, 990, 8186, 8187, 8188, 9000)},
    **{
        f"{count} lines of {size}": get(*["X: " + "a" * size] * count)
        for count in (3, 4, 5, 6)
        for size in (4000, 8000, 8186)
    },
    "first line and four more": get(*["X: " + "a" * 8000] * 4, target="/" + "a" * 2000),
    "line after empty lines": b"\r\n" * 300 + get("X: " + "a" * 8186),
    "bad byte within the buffer": get("X: " + "a" * 8000 + "\0" + "a" * 1000),
    "bad byte behind the buffer": get("X: " + "a" * 9000 + "\0"),
    "bad byte in a long target": get(target="/" + "a" * 8000 + "\x01" + "a" * 1000),
    "1000 fields": get(*["X: y"] * 999),
    "1001 fields": get(*["X: y"] * 1000),
    "1001 fields, some dropped": get(*["X: y"] * 998, *["X_: y"] * 20),
}

UNFINISHED: dict[str, bytes] = {
    "nothing": b"",
    "empty lines": b"\r\n\r\n",
    "method": b"GET",
    "target": b"GET /a",
    "scheme": b"GET htt",
    "authority": b"GET http://[::1",
    "version": b"GET / HTTP/1.",
    "CR": b"GET / HTTP/1.1\r",
    "line": b"GET / HTTP/1.1\r\n",
    "field": b"GET / HTTP/1.1\r\nHost: a",
    "fields": b"GET / HTTP/1.1\r\nHost: a\r\n",
    "last CR": b"GET / HTTP/1.1\r\nHost: a\r\n\r",
    "IPv6 and port": b"GET http://[::1]:8",
    "tunnel": b"CONNECT a:4",
}

ALL: dict[str, bytes] = {**PLAIN, **FIELDS, **SIZES, **UNFINISHED}
