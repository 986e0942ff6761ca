"""HTTP/1.x as nginx reads and writes it.

`head.py` reads request heads: `request_line.py` holds the grammar of their first line,
`draft.py` what each field has to pass, `buffers.py` how long lines may be. `upstream_head.py`
reads response heads; `fields.py` is the grammar of header lines that both share.
`response.py` writes the head that goes to the client, `uri.py` normalises and escapes,
`chunks.py` reads and writes chunked bodies, `pages.py` has the statuses and built-in pages.

The rule inside: bytes in, values or nginx's words out, and the same values however the bytes
were cut. Nothing here knows a socket, a clock, a configuration file or what is done with a
request; where nginx accepts what a standard forbids, or refuses what it allows, nginx is right.
"""
