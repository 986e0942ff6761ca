"""Where the settings of a form stand in its file.

A line of a skeleton may have

    %slot%    alone: one line for each text of this slot; in a line: all of them in a row
    ?slot     at its beginning: the line is written only if the slot (or one of `a|b`) has a text
    ?!slot    only if none of them has; `@tls` and `@named` are conditions of the cure, no slots
    {host}    placeholders, as in the table
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Skeleton:
    """The frame of a form."""

    where: str
    """Where the text is to be put, as a phrase."""
    lines: tuple[str, ...]


_ENVOY = "type.googleapis.com/envoy.extensions"

SKELETONS: Mapping[str, Skeleton] = {
    "ingress-nginx": Skeleton(
        "annotations of the Ingress",
        (
            "?secret # once, in the Ingress's namespace (without it proxy-ssl-* has no effect):",
            "?secret #   kubectl create secret generic upstream-tls %secret%",
            "metadata:",
            "  annotations:",
            '    ?secret nginx.ingress.kubernetes.io/proxy-ssl-secret: "<namespace>/upstream-tls"',
            # With a ca.crt the controller's default is TLS 1.0 to 1.2.
            '    ?secret nginx.ingress.kubernetes.io/proxy-ssl-protocols: "{protocols}"',
            "    %annotation%",
            '    ?snippet # needs allow-snippet-annotations: "true" in the controller\'s ConfigMap',
            "    ?snippet nginx.ingress.kubernetes.io/configuration-snippet: |",
            "      %snippet%",
        ),
    ),
    "caddy": Skeleton(
        "the Caddyfile, in the site's block",
        (
            "?!proxy|transport reverse_proxy {scheme}://{host}:{port}",
            "?proxy|transport reverse_proxy {scheme}://{host}:{port} {",
            "    %proxy%",
            "    ?transport transport http {",
            "        %transport%",
            "    ?transport }",
            "?proxy|transport }",
        ),
    ),
    "traefik": Skeleton(
        "a file of the file provider; with Docker, the labels name "
        "`traefik.http.services.<service>.loadbalancer.serverstransport=upstream@file`",
        (
            "http:",
            "  ?middleware middlewares:",
            "    ?middleware upstream-host: # name it in the router's `middlewares`",
            "      ?middleware headers:",
            "        ?middleware customRequestHeaders:",
            "          %middleware%",
            "  services:",
            "    upstream: # name it as the router's `service`",
            "      loadBalancer:",
            "        ?transport|timeouts serversTransport: upstream",
            "        servers:",
            '          - url: "{scheme}://{host}:{port}"',
            "  ?transport|timeouts serversTransports:",
            "    ?transport|timeouts upstream:",
            "      %transport%",
            "      ?timeouts forwardingTimeouts:",
            "        %timeouts%",
        ),
    ),
    "haproxy": Skeleton(
        "haproxy.cfg",
        (
            "?global global",
            "    %global%",
            "?global ",
            "backend upstream",
            "    %backend%",
            "    server upstream {host}:{port} %server%",
        ),
    ),
    "envoy": Skeleton(
        "envoy.yaml: the route and the cluster",
        (
            "?route # in the route of this cluster:",
            "?route route:",
            "  ?route cluster: upstream",
            "  %route%",
            "clusters:",
            "- name: upstream",
            "  type: STRICT_DNS",
            "  %cluster%",
            "  load_assignment:",
            "    cluster_name: upstream",
            "    endpoints:",
            "    - lb_endpoints:",
            "      - endpoint:",
            "          address:",
            '            socket_address: {address: "{bare_host}", port_value: {port}}',
            "  ?options typed_extension_protocol_options:",
            "    ?options envoy.extensions.upstreams.http.v3.HttpProtocolOptions:",
            f'      ?options "@type": {_ENVOY}.upstreams.http.v3.HttpProtocolOptions',
            "      %options%",
            "  ?@tls transport_socket:",
            "    ?@tls name: envoy.transport_sockets.tls",
            "    ?@tls typed_config:",
            f'      ?@tls "@type": {_ENVOY}.transport_sockets.tls.v3.UpstreamTlsContext',
            "      %tls%",
            "      ?common|params|validation common_tls_context:",
            "        ?params tls_params:",
            "          %params%",
            "        ?validation validation_context:",
            "          %validation%",
            "        %common%",
        ),
    ),
    "apache": Skeleton(
        "the <VirtualHost> (modules ssl, proxy and proxy_http)",
        (
            "%tls%",
            "?@named # Apache sends the name in this URL as SNI and Host. It must be the site's:",
            "?@named # give {site} the address of {host} in /etc/hosts.",
            "ProxyPass        / {apache_scheme}://{site}:{port}/ %worker%",
            "ProxyPassReverse / {apache_scheme}://{site}:{port}/",
        ),
    ),
}
