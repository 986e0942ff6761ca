"""`sniproxy ca`: show the development CA, make programs trust it, and issue certificates from it.

Without a subcommand nothing is changed: the commands that make programs trust it are printed.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from ..models import ConfigError
from ..tls.ca import CERTIFICATE_FILE, FOLDER, KEY_FILE, DevCA, host_name, state_folder
from ..tls.issued_files import issue_files
from . import ca_install
from .output import print_prose
from .parsers import command_parser
from .trust_stores import KINDS, Step, System, TrustedCA, install_steps


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action")
    issue = actions.add_parser("issue", help="write a certificate for these names, and its key")
    issue.add_argument("names", nargs="+", metavar="NAME", help="a DNS name or an address")
    issue.add_argument(
        "-d", "--directory", default=".", help="folder to write to (default: the current one)"
    )
    for name, summary in (
        ("install", "make the system, Chrome, Chromium and Firefox trust the CA"),
        ("uninstall", "remove the CA from these stores"),
    ):
        action = actions.add_parser(name, help=summary, description=f"{summary.capitalize()}.")
        action.add_argument("--yes", action="store_true", help="do not ask")
        action.add_argument("--dry-run", action="store_true", help="print the commands only")
        action.add_argument(
            "--store", action="append", choices=KINDS, help="change only these stores"
        )
    parser.epilog = (
        "exit status: 0 done, 1 the CA cannot be used or a store cannot be changed, 2 invalid "
        "arguments, or not confirmed"
    )


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    options = command_parser("ca").parse_args(arguments)
    try:
        if options.action == "uninstall":
            return _uninstall(options)
        ca = DevCA.open()
        if options.action == "issue":
            return _issue(ca, options.names, Path(options.directory))
    except ConfigError as error:
        print(f"sniproxy: [emerg] {error}", file=sys.stderr)
        return 1
    except OSError as error:
        if error.filename is None:
            raise  # of the output
        print(f"sniproxy: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    trusted = _trusted(ca.certificate, ca.certificate_path)
    if options.action == "install":
        return ca_install.install(
            trusted, options.store or (), yes=options.yes, dry_run=options.dry_run
        )
    _show(ca, trusted)
    return 0


def _show(ca: DevCA, trusted: TrustedCA) -> None:
    fingerprint = ca.certificate.fingerprint(hashes.SHA256()).hex(":").upper()
    path = ca.certificate_path
    print_prose("The development CA of sniproxy signs the certificates of `ssl_certificate auto`.")
    print(f"\n  certificate   {path}")
    print(f"  fingerprint   SHA-256 {fingerprint}")
    print(f"  valid until   {ca.certificate.not_valid_after_utc:%Y-%m-%d}\n")
    print_prose(
        "Nothing trusts it until you install it. For this system, Chrome, Chromium and Firefox, "
        "after a question:"
    )
    print("\n  sniproxy ca install\n\nBy hand:\n")
    print(f"  curl          curl --cacert {path} https://127.0.0.1:8443/")
    print(f'  Python        ssl.create_default_context(cafile="{path}")')
    for step in install_steps(trusted, System()):
        print(f"  {step.store}\n    {_in_one_line(step)}")
    print()
    print_prose(
        f"Keep {path.with_name(KEY_FILE)} to yourself: anyone who has it can impersonate any host "
        "to clients that trust this CA."
    )


def _in_one_line(step: Step) -> str:
    """The commands of a step as one command for a shell."""
    return step.problem or " && ".join(map(shlex.join, step.commands))


def _uninstall(options: argparse.Namespace) -> int:
    path = state_folder() / FOLDER / CERTIFICATE_FILE
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except FileNotFoundError:
        print(f"There is no development CA: {path} does not exist.")
        return 0
    except ValueError as error:
        raise ConfigError(f'the development CA "{path}" is damaged ({error})') from None
    return ca_install.uninstall(
        _trusted(certificate, path),
        options.store or (),
        yes=options.yes,
        dry_run=options.dry_run,
    )


def _trusted(certificate: x509.Certificate, path: Path) -> TrustedCA:
    fingerprint = certificate.fingerprint(hashes.SHA256()).hex()
    return TrustedCA(str(path.absolute()), fingerprint, f"{certificate.serial_number:x}")


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
