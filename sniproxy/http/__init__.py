"""HTTP/1.x as nginx reads and writes it.

`head.py` judges request heads and `response.py` response heads, line by line with the
grammar of `fields.py`; `uri.py` normalises and escapes, `chunks.py` reads and writes chunked
bodies, `pages.py` holds the table of statuses and the built-in pages.

The rule inside: bytes in, values or nginx's words out, and the same values however the bytes
were cut. Nothing here knows a socket, a clock, a configuration file or what is done with a
request; where nginx accepts what a standard forbids, or refuses what it allows, nginx is right.
"""
