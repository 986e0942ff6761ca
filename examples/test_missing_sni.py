"""The 502 of a missing SNI, and its cure.

`upstream.test` answers to its own name only, as CDNs and name-based hosts do. nginx sends no name
unless it is told to.
"""

import requests

CONFIG = """
events {{}}
http {{
    ssl_certificate auto;
    server {{
        listen 127.0.0.1:0 ssl;
        location /broken/ {{
            proxy_pass {url}/;
        }}
        location /cured/ {{
            proxy_pass {url}/;
            proxy_ssl_server_name on;
            proxy_ssl_name upstream.test;
            proxy_ssl_verify on;
            proxy_ssl_trusted_certificate {root};
        }}
    }}
}}
"""


def test_the_502_and_its_cure(sniproxy_serve, tls_upstream, dev_ca):
    upstream = tls_upstream("needs-sni-112")
    proxy = sniproxy_serve(CONFIG.format(url=upstream.url, root=upstream.root))

    broken = requests.get(f"{proxy.urls[0]}/broken/", verify=dev_ca.path)
    assert broken.status_code == 502
    assert upstream.connections[0].server_name is None
    line = proxy.error_log[0]
    assert line.action == "SSL handshaking to upstream"
    assert line.message.endswith("unrecognized name:SSL alert number 112)")

    cured = requests.get(f"{proxy.urls[0]}/cured/", verify=dev_ca.path)
    assert cured.text == "SNI upstream.test\nGET / HTTP/1.1\n"
    assert upstream.connections[1].server_name == "upstream.test"
