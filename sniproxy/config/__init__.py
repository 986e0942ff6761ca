"""Configuration: nginx.conf or TOML text in, one frozen `Config` out, errors in nginx's words.

The central concept is nginx's directive: a name, the contexts that allow it, its arguments.
Both readers (`tokens` for nginx.conf, `toml`) yield the same statements. `reader` checks each
statement against the directives in `directives/` as it arrives, because nginx reports the first
error in file order, whatever its kind. Everything known about a directive is in its
`Directive` object and nowhere else.

This package opens configuration files only. Certificates are loaded and host names resolved
later, by `sniproxy.build`.
"""

from .build import load, parse

__all__ = ["load", "parse"]
