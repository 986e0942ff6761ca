"""A Flask application behind the proxy, asked by requests: what the application is told."""

import flask
import pytest
import requests
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.serving import make_server

CONFIG = """
events {{}}
http {{
    ssl_certificate auto;
    server {{
        listen 127.0.0.1:0 ssl;
        server_name shop.test;
        location /shop/ {{
            proxy_pass http://127.0.0.1:{port}/;
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Prefix /shop;
        }}
    }}
}}
"""

app = flask.Flask(__name__)
app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_prefix=1)


@app.get("/cart")
def cart():
    link = flask.url_for("cart", _external=True)
    return {"link": link, "client": flask.request.remote_addr}


@pytest.fixture
def port(in_background):
    server = make_server("127.0.0.1", 0, app, threaded=True)
    in_background(server.serve_forever, server.shutdown)
    yield server.port
    server.server_close()


def test_links_lead_through_the_proxy(port, sniproxy_serve, dev_ca):
    proxy = sniproxy_serve(CONFIG.format(port=port))
    answer = requests.get(
        f"{proxy.urls[0]}/shop/cart", headers={"Host": "shop.test"}, verify=dev_ca.path
    )
    assert answer.json() == {"link": "https://shop.test/shop/cart", "client": "127.0.0.1"}
    assert proxy.handshakes[0].side == "client"
    assert proxy.wait_for(lambda: len(proxy.access_log) == 1)
