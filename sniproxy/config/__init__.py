"""Configuration: text in, one frozen `Config` out, every refusal in nginx's words.

nginx's concept is the directive: a name, the blocks it may stand in, its arguments.
Both readers (`tokens` for nginx.conf, `toml`) yield the same statements; `reader` checks each
against the one table in `directives/` as it arrives, since nginx reports the first error of
either kind in file order. What a directive is stands in its row and nowhere else.

No file but the configuration's own is opened here; certificates and host names are `site`'s.
"""

from .build import load, parse

__all__ = ["load", "parse"]
