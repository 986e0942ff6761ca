"""HTTP/1.x as nginx parses and writes it, without I/O.

`request_head` parses request heads: `request_line` is the grammar of the first line,
`request_fields` the checks of header fields, `header_buffers` the maximum length of lines.
`response_head` parses response heads; `header_fields` is the grammar of header lines that both
use. `serialize` formats response heads, `uri` normalizes and escapes, `chunks` decodes and encodes
chunked bodies, `pages` has the statuses and built-in pages.

Functions take bytes and return values or nginx's error messages; the result does not depend on
how the bytes were split. Where nginx differs from the standards, nginx's behaviour is
implemented.
"""
