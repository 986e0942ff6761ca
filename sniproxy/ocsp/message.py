"""OCSP requests, and the verification of responses (pure)."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID
from OpenSSL import crypto

GOOD, REVOKED, UNKNOWN = "good", "revoked", "unknown"
_STATUS = {
    ocsp.OCSPCertStatus.GOOD: GOOD,
    ocsp.OCSPCertStatus.REVOKED: REVOKED,
    ocsp.OCSPCertStatus.UNKNOWN: UNKNOWN,
}
_UNSUCCESSFUL = {
    ocsp.OCSPResponseStatus.MALFORMED_REQUEST: "malformedrequest",
    ocsp.OCSPResponseStatus.INTERNAL_ERROR: "internalerror",
    ocsp.OCSPResponseStatus.TRY_LATER: "trylater",
    ocsp.OCSPResponseStatus.SIG_REQUIRED: "sigrequired",
    ocsp.OCSPResponseStatus.UNAUTHORIZED: "unauthorized",
}
_LEEWAY = 300
"""Seconds by which clocks may differ."""

# Reasons of OpenSSL's OCSP library.
_VERIFY_ERROR = "13800065:OCSP routines::certificate verify error"
_NO_USAGE = "13800067:OCSP routines::missing ocspsigning usage"
_NOT_TRUSTED = "13800070:OCSP routines::root ca not trusted"
_BAD_SIGNATURE = "13800075:OCSP routines::signature failure"
_NO_SIGNER = "13800076:OCSP routines::signer certificate not found"
_BEFORE = "1380007C:OCSP routines::nextupdate before thisupdate"
_EXPIRED = "1380007D:OCSP routines::status expired"
_NOT_YET = "1380007E:OCSP routines::status not yet valid"


class OCSPResponseError(Exception):
    """A response cannot be used; the text is for the log, "" to log nothing."""


@dataclass(frozen=True, slots=True)
class CertificateStatus:
    """What a response says about a certificate."""

    status: str
    """`good`, `revoked` or `unknown`."""
    valid_until: float
    """POSIX time; infinite if the response does not say."""


@dataclass(frozen=True, slots=True)
class CheckedCertificate:
    """A certificate whose status is asked for."""

    certificate: x509.Certificate
    issuer: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    """Certificates that may have signed a response."""
    trusted: tuple[x509.Certificate, ...] = ()
    """The trust store."""


def responder_url(certificate: x509.Certificate) -> str | None:
    """The URL of the OCSP responder in a certificate."""
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess)
    except (x509.ExtensionNotFound, ValueError):
        return None
    for description in access.value:
        location = description.access_location
        if description.access_method == AuthorityInformationAccessOID.OCSP and isinstance(
            location, x509.UniformResourceIdentifier
        ):
            return location.value
    return None


def request_target(uri: str, checked: CheckedCertificate) -> str:
    """The target of the GET request for a status (RFC 6960, appendix A.1)."""
    builder = ocsp.OCSPRequestBuilder()
    made = builder.add_certificate(checked.certificate, checked.issuer, SHA1()).build()
    encoded = base64.b64encode(made.public_bytes(Encoding.DER)).decode()
    return uri + ("" if uri.endswith("/") else "/") + quote(encoded, safe="")


def certificate_id(checked: CheckedCertificate) -> tuple[bytes, bytes, int]:
    """What identifies a certificate: hashes of its issuer's name and key, its serial number."""
    return (
        _name_hash(checked.issuer.subject),
        _key_hash(checked.issuer),
        checked.certificate.serial_number,
    )


def check_response(
    data: bytes,
    checked: CheckedCertificate,
    now: float,
    *,
    verify: bool = True,
    trust_chain: bool = False,
) -> CertificateStatus:
    """Check a response, as `OCSP_basic_verify` and `OCSP_check_validity` do.

    Without `verify` only the signature is checked, not who made it; with `trust_chain` the
    certificates of the chain may sign anything. Raises `OCSPResponseError`.
    """
    try:
        response = ocsp.load_der_ocsp_response(data)
    except ValueError:
        raise OCSPResponseError("d2i_OCSP_RESPONSE() failed") from None
    unsuccessful = _UNSUCCESSFUL.get(response.response_status)
    if unsuccessful is not None:
        number = response.response_status.value
        raise OCSPResponseError(f"OCSP response not successful ({number}: {unsuccessful})")
    try:
        _check_signer(response, checked, verify=verify, trust_chain=trust_chain)
        single = _single_response(response, checked)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise OCSPResponseError(f"OCSP_basic_verify() failed ({error})") from None
    except crypto.Error:
        # A certificate in the response that only cryptography can read.
        raise OCSPResponseError("OCSP_response_get1_basic() failed") from None
    if single is None:
        raise OCSPResponseError("certificate status not found in the OCSP response")
    return _status(single, now)


def _status(single: ocsp.OCSPSingleResponse, now: float) -> CertificateStatus:
    begins = single.this_update_utc.timestamp()
    ends = math.inf if single.next_update_utc is None else single.next_update_utc.timestamp()
    wrong = ""
    if begins > now + _LEEWAY:
        wrong = _NOT_YET
    elif ends < now - _LEEWAY:
        wrong = _EXPIRED
    elif ends < begins:
        wrong = _BEFORE
    if wrong:
        raise OCSPResponseError(f"OCSP_check_validity() failed (SSL: error:{wrong})")
    return CertificateStatus(_STATUS[single.certificate_status], ends)


def _single_response(
    response: ocsp.OCSPResponse, checked: CheckedCertificate
) -> ocsp.OCSPSingleResponse | None:
    """The part of a response about a certificate."""
    wanted = certificate_id(checked)
    for single in response.responses:
        found = (single.issuer_name_hash, single.issuer_key_hash, single.serial_number)
        if isinstance(single.hash_algorithm, SHA1) and found == wanted:
            return single
    return None


def _check_signer(
    response: ocsp.OCSPResponse, checked: CheckedCertificate, *, verify: bool, trust_chain: bool
) -> None:
    sent = tuple(response.certificates)
    signer = _find_signer(response, checked.chain)
    is_of_chain = signer is not None
    if signer is None:
        signer = _find_signer(response, sent)
    if signer is None:
        raise _failure(_NO_SIGNER)
    if not _has_signed(signer, response):
        raise _failure(_BAD_SIGNATURE)
    if not verify or (trust_chain and is_of_chain):
        return
    chain = _verified_chain(signer, checked.trusted, (*sent, *checked.chain))
    if len(chain) > 1 and _is_issuer(chain[1], checked):
        if not _may_sign(signer):
            raise _failure(f"{_NO_USAGE} error:{_NOT_TRUSTED}")
    elif not _is_issuer(signer, checked):
        raise _failure(_NOT_TRUSTED)


def _failure(reason: str) -> OCSPResponseError:
    return OCSPResponseError(f"OCSP_basic_verify() failed (SSL: error:{reason})")


def _find_signer(
    response: ocsp.OCSPResponse, certificates: Sequence[x509.Certificate]
) -> x509.Certificate | None:
    name, key_hash = response.responder_name, response.responder_key_hash
    for certificate in certificates:
        if name is not None and certificate.subject == name:
            return certificate
        if key_hash is not None and _key_hash(certificate) == key_hash:
            return certificate
    return None


def _has_signed(signer: x509.Certificate, response: ocsp.OCSPResponse) -> bool:
    key, algorithm = signer.public_key(), response.signature_hash_algorithm
    signature, signed = response.signature, response.tbs_response_bytes
    try:
        if isinstance(key, rsa.RSAPublicKey) and algorithm is not None:
            key.verify(signature, signed, padding.PKCS1v15(), algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey) and algorithm is not None:
            key.verify(signature, signed, ec.ECDSA(algorithm))
        elif isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
            key.verify(signature, signed)
        else:
            return False
    except InvalidSignature:
        return False
    return True


def _verified_chain(
    signer: x509.Certificate,
    trusted: Sequence[x509.Certificate],
    others: Sequence[x509.Certificate],
) -> list[x509.Certificate]:
    """The chain from the signer to a trusted certificate."""
    try:
        return verified_chain(signer, trusted, others)
    except crypto.X509StoreContextError as error:
        raise _failure(f"{_VERIFY_ERROR}:Verify error: {error}") from None


def verified_chain(
    certificate: x509.Certificate,
    trusted: Sequence[x509.Certificate],
    others: Sequence[x509.Certificate],
) -> list[x509.Certificate]:
    """The chain to a trusted certificate. Raises `crypto.X509StoreContextError`."""
    store = crypto.X509Store()
    for one in trusted:
        store.add_cert(crypto.X509.from_cryptography(one))
    context = crypto.X509StoreContext(
        store,
        crypto.X509.from_cryptography(certificate),
        [crypto.X509.from_cryptography(one) for one in others],
    )
    return [one.to_cryptography() for one in context.get_verified_chain()]


def _is_issuer(certificate: x509.Certificate, checked: CheckedCertificate) -> bool:
    """Whether a certificate is that of the checked certificate's issuer."""
    name, key, _ = certificate_id(checked)
    return _name_hash(certificate.subject) == name and _key_hash(certificate) == key


def _may_sign(signer: x509.Certificate) -> bool:
    """Whether the issuer lets a certificate sign responses."""
    try:
        usage = signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except (x509.ExtensionNotFound, ValueError):
        return False
    return ExtendedKeyUsageOID.OCSP_SIGNING in usage.value


def _name_hash(name: x509.Name) -> bytes:
    return hashlib.sha1(name.public_bytes(), usedforsecurity=False).digest()


def _key_hash(certificate: x509.Certificate) -> bytes:
    return x509.SubjectKeyIdentifier.from_public_key(certificate.public_key()).digest
