"""Generate the tables of `sniproxy/tls/dialect_tables/` from real OpenSSL releases.

    python -m tests.tls.make_dialects 1.1.1=PYTHON 3.0=PYTHON 3.5=PYTHON

Run it from the top of the repository. Each PYTHON is an interpreter using that release:

    python -m venv V && V/bin/pip install cryptography==3.4.8 pyOpenSSL==21.0.0

and likewise with the other versions in PACKAGES.

The same failures are caused in each release and in the linked one; the tables contain the
strings, functions and queues that differ. `--check` compares with the committed tables and
writes nothing.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)

from sniproxy.tls import dialects
from sniproxy.tls.openssl import QueuedError

from . import authority
from .error_capture import starts

PACKAGES = {
    "1.1.1": ("cryptography==3.4.8", "pyOpenSSL==21.0.0"),  # OpenSSL 1.1.1l
    "3.0": ("cryptography==39.0.2", "pyOpenSSL==23.0.0"),  # OpenSSL 3.0.8
    "3.5": ("cryptography==46.0.3", "pyOpenSSL==25.3.0"),  # OpenSSL 3.5.4
}
"""Versions of the wheels that contain each release."""

ROOT = Path(__file__).parents[2]
TABLES = Path(dialects.__file__).with_name("dialect_tables")
KEEPALIVE = (2, 3, 4, 5, 6, 8, 9, 10, 11, 13, 14, 15, 16, 20, 32, 34, 35, 36, 40, 41, 52, 57, 60)
"""Libraries whose errors nginx meets; 20 is SSL."""

UNPROVOKED = {
    111: "tls_process_finished",  # bad digest length
    122: "tls_process_key_update",  # bad key update
    146: "ssl3_get_record",  # data length too long
    149: "tls_process_finished",  # digest check failed
    150: "ssl3_get_record",  # encrypted length too long
    154: "tls_process_finished",  # got a fin before a ccs
    226: "tls_handle_status_request",  # clienthello tlsext
    291: "ssl3_read_bytes",  # application data after close notify
    293: "ssl3_read_bytes",  # mixed handshake and non handshake data
    338: "final_renegotiate",  # unsafe legacy renegotiation disabled
    339: "ssl3_read_bytes",  # no renegotiation
    345: "tls_early_post_process_client_hello",  # scsv received when renegotiating
    377: "tls_post_process_client_hello",  # cert cb error
}
"""Functions of errors that are not caused here, from the sources of 1.1.1."""

Codes = tuple[int, ...]
Place = str
"""Side and operation: `upstream SSL_do_handshake`."""


class Case(NamedTuple):
    """One failure in one release."""

    place: Place
    codes: Codes
    errors: tuple[QueuedError, ...]
    header: bytes


def make_files(folder: Path) -> None:
    """Create the certificates that the failures need."""
    ca = authority.make(ca=True, common_name="Test CA")
    (folder / "ca.pem").write_bytes(authority.pem(ca.certificate))
    leaf = authority.make("w.test", issuer=ca)
    leaf.write(folder, "leaf")
    authority.make("w.test").write(folder, "own")
    authority.make("w.test", issuer=ca, use_rsa=True).write(folder, "rsa")
    authority.make("w.test", issuer=ca, use_rsa=True, bits=1024).write(folder, "small")
    certificate, key = authority.pem(leaf.certificate), authority.key_pem(leaf.key)
    secret = BestAvailableEncryption(b"secret")
    bad = {
        "empty": b"",
        "garbage": b"hello\n",
        "certificate": certificate,
        "key": key,
        "base64": certificate.replace(b"M", b"*", 3),
        "key-base64": key.replace(b"M", b"*", 3),
        "no-end": certificate.partition(b"-----END")[0],
        "key-no-end": key.partition(b"-----END")[0],
        "der": b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "key-der": b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        "rsa-key-der": b"-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n",
        "binary": leaf.certificate.public_bytes(Encoding.DER),
        "encrypted": authority.key_pem(leaf.key, b"secret"),
        "encrypted-old": leaf.key.private_bytes(
            Encoding.PEM, PrivateFormat.TraditionalOpenSSL, secret
        ),
    }
    for name in starts.BAD:
        (folder / f"bad-{name}").write_bytes(bad[name])


def ask(python: str, files: Path) -> dict[str, Any]:
    """All that the OpenSSL of the interpreter `python` says."""
    command = [python, "-m", "tests.tls.error_capture", str(files)]
    run = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    return json.loads(run.stdout)  # type: ignore[no-any-return]


def cases(output: dict[str, Any]) -> dict[str, Case | None]:
    return {name: provoked and _case(*provoked) for name, provoked in output["provoked"].items()}


def _case(side: str, operation: str, queue: list[tuple[int, str]], header: str) -> Case:
    errors = tuple(QueuedError(code, "", reason) for code, reason in queue)
    codes = tuple(code for code, _ in queue)
    return Case(f"{side} {operation}", codes, errors, bytes.fromhex(header))


def words_of(output: dict[str, Any]) -> dict[str, Any]:
    """The strings, as in a table."""
    return {
        "release": output["release"],
        "made with": output["made with"],
        "libraries": output["libraries"],
        "reasons": {n: own for n, own in output["reasons"].items() if int(n) in (0, *KEEPALIVE)},
        "functions": output["functions"],
        "verify": output["verify"],
    }


def make(output: dict[str, Any], native: dict[str, Any]) -> dict[str, Any]:
    """The table of one release, compared with the linked release."""
    table = {**words_of(output), "beside": native["release"], "places": {}, "queues": {}}
    pairs = list(failures_of_both(dialects.ReleaseDialect(table), output, native))
    places = places_of(dialects.ReleaseDialect(table), pairs)
    if output["functions"]:
        table["functions"] = functions_of(output, places)
        table["places"] = {f"{n}:{reason}": compact(p) for (n, reason), p in sorted(places.items())}
    table["queues"] = {
        hexadecimal(codes): {
            place: hexadecimal(reports) for place, reports in compact(by_place).items()
        }
        for codes, by_place in sorted(queues_of(dialects.ReleaseDialect(table), pairs).items())
        if any(by_place.values())
    }
    return table


Pair = tuple[str, Case, Case]
"""Name of a failure, its result in the linked library and in the release."""


def failures_of_both(
    release: dialects.ReleaseDialect, output: dict[str, Any], native: dict[str, Any]
) -> Iterator[Pair]:
    linked = cases(native)
    for name, theirs in cases(output).items():
        ours = linked.get(name)
        if ours is None or theirs is None or ours.place != theirs.place:
            continue  # what fails in one of them only has no errors in common
        if not (release.needs_record_header and dialects.is_too_long(ours.header)):
            yield name, ours, theirs


def places_of(
    release: dialects.ReleaseDialect, pairs: Iterable[Pair]
) -> dict[tuple[int, int], dict[Place, int]]:
    """The function that first raised an error, by side and operation."""
    places: dict[tuple[int, int], dict[Place, int]] = {}
    for _, ours, theirs in pairs:
        for code in theirs.codes:
            by_place = places.setdefault(release.numbers(code), {})
            by_place.setdefault(ours.place, release.function_number(code))
    for reason, function in UNPROVOKED.items():
        places.setdefault((20, reason), {"": release.function_named(20, function)})
    return places


def queues_of(
    release: dialects.ReleaseDialect, pairs: Iterable[Pair]
) -> dict[Codes, dict[Place, Codes]]:
    """The queue of the release for each queue of the linked library; () if only strings and
    functions differ.
    """
    queues: dict[Codes, dict[Place, Codes]] = {}
    for name, ours, theirs in pairs:
        operation = ours.place.split()[1]
        same = release.packed(ours.errors, ours.place, operation) == list(theirs.codes)
        if same or not name.startswith("damaged"):
            reports = () if same else theirs.codes
            queues.setdefault(ours.codes, {}).setdefault(ours.place, reports)
    return queues


def functions_of(
    output: dict[str, Any], places: dict[tuple[int, int], dict[Place, int]]
) -> dict[str, dict[str, str]]:
    """All functions of the SSL library, and those of other libraries that occurred."""
    met = {(n, function) for (n, _), by_place in places.items() for function in by_place.values()}
    return {
        library: {
            n: name for n, name in own.items() if library == "20" or (int(library), int(n)) in met
        }
        for library, own in output["functions"].items()
        if library == "20" or any(int(library) == n for n, _ in met)
    }


def compact(by_place: dict[str, Any]) -> dict[str, Any]:
    """Common entries under "", then the differences by side and operation."""
    usual = next(iter(by_place.values()))
    return {"": usual} | {place: what for place, what in by_place.items() if what != usual}


def hexadecimal(codes: Codes) -> str:
    return " ".join(f"{code:08X}" for code in codes)


def written(table: dict[str, Any]) -> str:
    return json.dumps(table, indent=1) + "\n"


def tables(releases: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Name and text of each table, for the interpreters of `releases`."""
    with TemporaryDirectory() as folder:
        files = Path(folder)
        make_files(files)
        native = ask(sys.executable, files)
        for name, python in releases.items():
            yield name, written(make(ask(python, files), native))


def main() -> None:
    arguments = sys.argv[1:]
    check = "--check" in arguments
    releases = dict(argument.split("=", 1) for argument in arguments if argument != "--check")
    differ = []
    for name, text in tables(releases):
        path = TABLES / f"{name}.json"
        if not check:
            path.write_text(text)
            print(f"{path.name}: {json.loads(text)['release']}")
        elif path.read_text() != text:
            differ.append(path.name)
    if differ:
        raise SystemExit(f"not what these releases say: {', '.join(differ)}")


if __name__ == "__main__":
    main()
