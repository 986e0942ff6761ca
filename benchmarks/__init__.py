"""sniproxy beside the real nginx: one configuration text, one machine, in alternation.

The figure that counts is the proxy's own CPU time (user and system, of all its processes)
for a handshake or a request: it survives a noisy machine where a rate does not. Load
generator and origin are processes of their own and are not counted.

The rule inside: a figure is printed only when both sides saw what its case promises (so
many full handshakes, so many resumed, the right bytes, an empty error log); otherwise
`invalid:` and the reason stand in its place. A case is a row in `cases.py`. Nothing here is
imported by the product.
"""
