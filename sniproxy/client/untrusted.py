"""Report that a client does not trust the development CA (`ssl_certificate auto`).

nginx logs a client's alert at the level info, which the default level leaves out: someone whose
browser refuses the certificate would see nothing.
"""

from __future__ import annotations

import re

from ..logs.error import ConnectionLog
from ..models import Failure, Level
from ..runtime import Runtime, ServerTLS

_NOT_TRUSTED = re.compile(r"SSL alert number (46|48)\b")
"""certificate_unknown, which Chrome sends, and unknown_ca (RFC 8446, section 6.2)."""


def report_untrusted(
    running: Runtime, tls: ServerTLS, failure: Failure, log: ConnectionLog
) -> None:
    """Log once, at level error, how to trust the CA, if that is why a handshake failed."""
    if not tls.ca_path or running.untrusted_reported:
        return
    alert = _NOT_TRUSTED.search(failure.text)
    if alert is None:
        return
    running.untrusted_reported = True
    log.write(
        Level.ERROR,
        f"the client does not trust the development CA of sniproxy (SSL alert number {alert[1]}): "
        f'run "sniproxy ca install" and restart the client, or give it the file {tls.ca_path}',
    )
