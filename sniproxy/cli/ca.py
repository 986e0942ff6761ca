"""`sniproxy ca`: show how to trust the development CA, and issue certificates from it.

Nothing is installed: the commands to do so are printed for the user to run.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives import hashes

from ..models import ConfigError
from ..tls.ca import DevCA, host_name
from ..tls.issued_files import issue_files
from .parsers import command_parser

TRUST = """\
The development CA of sniproxy signs the certificates of `ssl_certificate auto`.

  certificate   {path}
  fingerprint   SHA-256 {fingerprint}
  valid until   {until:%Y-%m-%d}

Nothing trusts it until you install it:

  curl          curl --cacert {path} https://127.0.0.1:8443/
  Python        ssl.create_default_context(cafile="{path}")
  Chromium      certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n sniproxy -i {path}
  Firefox       Settings, Certificates, View Certificates, Authorities, Import
  Debian        sudo cp {path} /usr/local/share/ca-certificates/sniproxy.crt
                sudo update-ca-certificates
  macOS         security add-trusted-cert -k ~/Library/Keychains/login.keychain-db {path}

Keep {key} to yourself: anyone who has it can impersonate any host
to clients that trust this CA.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action")
    issue = actions.add_parser("issue", help="write a certificate for these names, and its key")
    issue.add_argument("names", nargs="+", metavar="NAME", help="a DNS name or an address")
    issue.add_argument(
        "-d", "--directory", default=".", help="folder to write to (default: the current one)"
    )


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    options = command_parser("ca").parse_args(arguments)
    try:
        ca = DevCA.open()
        if options.action == "issue":
            return _issue(ca, options.names, Path(options.directory))
    except ConfigError as error:
        print(f"sniproxy: [emerg] {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"sniproxy: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    fingerprint = ca.certificate.fingerprint(hashes.SHA256()).hex(":").upper()
    path = ca.certificate_path
    print(
        TRUST.format(
            path=path,
            fingerprint=fingerprint,
            until=ca.certificate.not_valid_after_utc,
            key=path.with_name("ca-key.pem"),
        ),
        end="",
    )
    return 0


def _issue(ca: DevCA, texts: Sequence[str], directory: Path) -> int:
    names = []
    for text in texts:
        name = host_name(text)
        if name is None:
            print(f'sniproxy: "{text}" is neither a DNS name nor an address', file=sys.stderr)
            return 1
        names.append(name)
    certificate, key = issue_files(ca, names, directory)
    print(f"ssl_certificate     {certificate};")
    print(f"ssl_certificate_key {key};")
    return 0
