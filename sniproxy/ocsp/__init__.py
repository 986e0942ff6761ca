"""OCSP (RFC 6960): the status of certificates, for `ssl_stapling` and `ssl_ocsp`.

`message` makes requests and checks responses (pure), `responder` asks a responder, `stapling` has
the responses that are stapled to handshakes, `client_check` checks client certificates. Everything
that is logged is worded as by nginx.
"""
