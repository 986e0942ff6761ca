"""The forms that are not run here have the names of their programs' documentation.

ingress-nginx: docs/user-guide/nginx-configuration/annotations.md of the controller. Traefik 3.8:
reference, routing configuration, HTTP, ServersTransport and middleware Headers. Envoy: api-v3,
`config.cluster.v3`, `extensions.transport_sockets.tls.v3`, `config.route.v3.RouteAction`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from sniproxy.forms import write_form
from tests.forms.test_forms import FULL, cure_of

PREFIX = "nginx.ingress.kubernetes.io/"
ANNOTATIONS = {
    "backend-protocol",
    "configuration-snippet",
    "proxy-buffer-size",
    "proxy-connect-timeout",
    "proxy-http-version",
    "proxy-read-timeout",
    "proxy-send-timeout",
    "proxy-ssl-name",
    "proxy-ssl-protocols",
    "proxy-ssl-secret",
    "proxy-ssl-server-name",
    "proxy-ssl-verify",
    "proxy-ssl-verify-depth",
    "upstream-vhost",
}
TRAEFIK: Mapping[str, Any] = {
    "http": {
        "middlewares": {"*": {"headers": {"customRequestHeaders": {"*": str}}}},
        "services": {
            "*": {
                "loadBalancer": {"serversTransport": str, "servers": [{"url": str}]},
            }
        },
        "serversTransports": {
            "*": {
                "serverName": str,
                "insecureSkipVerify": bool,
                "rootCAs": [str],
                "certificates": [{"certFile": str, "keyFile": str}],
                "disableHTTP2": bool,
                "minVersion": str,
                "maxVersion": str,
                "forwardingTimeouts": {"dialTimeout": str, "responseHeaderTimeout": str},
            }
        },
    }
}
ENVOY: Mapping[str, Any] = {
    "route": {"cluster": str, "host_rewrite_literal": str, "timeout": str},
    "clusters": [
        {
            "name": str,
            "type": str,
            "connect_timeout": str,
            "load_assignment": {
                "cluster_name": str,
                "endpoints": [
                    {
                        "lb_endpoints": [
                            {
                                "endpoint": {
                                    "address": {
                                        "socket_address": {"address": str, "port_value": int}
                                    }
                                }
                            }
                        ]
                    }
                ],
            },
            "typed_extension_protocol_options": {
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                    "@type": str,
                    "explicit_http_config": {"http2_protocol_options": {}},
                }
            },
            "transport_socket": {
                "name": str,
                "typed_config": {
                    "@type": str,
                    "sni": str,
                    "common_tls_context": {
                        "tls_params": {
                            "tls_minimum_protocol_version": str,
                            "tls_maximum_protocol_version": str,
                        },
                        "tls_certificates": [
                            {
                                "certificate_chain": {"filename": str},
                                "private_key": {"filename": str},
                            }
                        ],
                        "validation_context": {
                            "trusted_ca": {"filename": str},
                            "crl": {"filename": str},
                            "match_typed_subject_alt_names": [
                                {"san_type": str, "matcher": {"exact": str}}
                            ],
                        },
                    },
                },
            },
        }
    ],
}

CASES = [
    (),
    FULL,
    *((text,) for text in FULL),
    ("proxy_ssl_verify off;",),
    ("proxy_http_version 1.1;",),
    ("proxy_pass http://a.test:8080;", "proxy_read_timeout 5m;"),
]


def differences(value: object, schema: Any, path: str = "") -> Iterator[str]:
    """Where `value` has a name or a type that `schema` does not."""
    if isinstance(schema, Mapping) and isinstance(value, dict):
        for key, inner in value.items():
            expected = schema.get(key, schema.get("*"))
            if expected is None:
                yield f"{path}/{key}"
            else:
                yield from differences(inner, expected, f"{path}/{key}")
    elif isinstance(schema, list) and isinstance(value, list):
        for inner in value:
            yield from differences(inner, schema[0], path)
    elif isinstance(schema, type):
        if not isinstance(value, schema):
            yield f"{path} is {value!r}"
    else:
        yield f"{path} is {value!r}"


def documents(form: str, directives: tuple[str, ...]) -> Iterator[Any]:
    for block in write_form(form, cure_of(*directives)):
        yield yaml.safe_load("\n".join(block.lines))


@pytest.mark.parametrize("directives", CASES, ids=lambda words: " ".join(words)[:50])
@pytest.mark.parametrize(("form", "schema"), [("traefik", TRAEFIK), ("envoy", ENVOY)])
def test_names_and_types_are_documented(
    form: str, schema: Mapping[str, Any], directives: tuple[str, ...]
) -> None:
    for document in documents(form, directives):
        assert list(differences(document, schema)) == []


@pytest.mark.parametrize("directives", CASES, ids=lambda words: " ".join(words)[:50])
def test_annotations_are_documented_and_texts(directives: tuple[str, ...]) -> None:
    for block in write_form("ingress-nginx", cure_of(*directives)):
        text = "\n".join(block.lines)
        document = yaml.safe_load(text)
        annotations = document["metadata"]["annotations"]
        assert len(annotations) == text.count(PREFIX), "a name is written twice"
        assert {name.removeprefix(PREFIX) for name in annotations} <= ANNOTATIONS
        assert all(isinstance(value, str) for value in annotations.values())


@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        ({"http": {"router": {}}}, ["/http/router"]),
        ({"http": []}, ["/http is []"]),
        (
            {"http": {"serversTransports": {"a": {"serverName": 1}}}},
            ["/http/serversTransports/a/serverName is 1"],
        ),
    ],
)
def test_the_comparison_finds_differences(wrong: object, found: list[str]) -> None:
    assert list(differences(wrong, TRAEFIK)) == found
