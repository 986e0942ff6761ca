"""The versions of sniproxy and of the nginx release that it reproduces."""

SNIPROXY_VERSION = "0.1.0"
NGINX_VERSION = "1.31.3"
