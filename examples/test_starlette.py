"""A Starlette application that speaks TLS itself, behind the proxy, asked by httpx.

From the client to the proxy and from the proxy to the application every certificate is verified.
"""

import socket

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

CONFIG = """
events {{}}
http {{
    ssl_certificate auto;
    upstream app {{ server 127.0.0.1:{port}; keepalive 4; }}
    server {{
        listen 127.0.0.1:0 ssl;
        server_name api.test;
        location / {{
            proxy_pass https://app;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_ssl_server_name on;
            proxy_ssl_name app.internal;
            proxy_ssl_verify on;
            proxy_ssl_trusted_certificate {ca};
        }}
    }}
}}
"""


async def hello(request):
    return JSONResponse({"host": request.url.hostname, "client": request.client.port})


@pytest.fixture
def port(in_background, dev_ca):
    certificate = dev_ca.issue("app.internal")
    app = Starlette(routes=[Route("/hello", hello)])
    config = uvicorn.Config(
        app, ssl_certfile=certificate.certificate, ssl_keyfile=certificate.key, log_level="error"
    )
    server = uvicorn.Server(config)
    listening = socket.create_server(("127.0.0.1", 0))
    in_background(
        lambda: server.run(sockets=[listening]), lambda: setattr(server, "should_exit", True)
    )
    return listening.getsockname()[1]


def test_both_sides_are_verified(port, sniproxy_serve, dev_ca):
    proxy = sniproxy_serve(CONFIG.format(port=port, ca=dev_ca.path))
    with httpx.Client(base_url=proxy.urls[0], verify=dev_ca.context) as client:
        answers = [client.get("/hello", headers={"Host": "api.test"}).json() for _ in range(2)]
    assert {answer["host"] for answer in answers} == {"api.test"}
    assert answers[0] == answers[1], "one connection to the application carries both"
    assert [handshake.side for handshake in proxy.handshakes] == ["client", "upstream"]
