"""Which sniproxy this is, and which nginx it imitates."""

SNIPROXY_VERSION = "0.1.0"
NGINX_VERSION = "1.31.3"
