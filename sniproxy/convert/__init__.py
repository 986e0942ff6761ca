"""Convert a configuration between nginx.conf and TOML, with its comments.

`source` reads either syntax into a tree of statements with comments, `to_toml` and `to_nginx` write
it. What sniproxy alone has is replaced on the way to nginx (`extensions`), and `releases` knows
what an older nginx lacks. `equality` compares the configurations that both texts stand for: a text
that means something else is never written.
"""

from .conversion import Conversion, ConversionError, convert

__all__ = ["Conversion", "ConversionError", "convert"]
