"""Properties of a connection's TLS handshake, read from OpenSSL on demand."""

from __future__ import annotations

import functools

from cryptography import x509

from .. import server_name
from ..models import Failure, Handshake, Side
from . import openssl
from .client_hello import ClientHello, parse_client_hello
from .der import first
from .errors import Dialect
from .iana_names import GROUPS, format_ids
from .openssl import Session, Ssl
from .peer_certificate import PeerCertificate


class HandshakeInfo:
    """Base class of `TLSStream` with the properties of its handshake."""

    side: Side
    dialect: Dialect
    server_name: str | None
    established: bool
    offered_session: bool
    _ssl: Ssl
    _hello: bytes
    """The ClientHello received, if it is stored."""
    _first_session: Session | None = None
    """The session at the end of the handshake, before TLS 1.3 tickets."""
    _client_certificate: PeerCertificate | None = None

    @property
    def protocol(self) -> str:
        """`TLSv1.3`."""
        return openssl.protocol(self._ssl)

    @property
    def cipher(self) -> str:
        """`TLS_AES_256_GCM_SHA384`."""
        return openssl.cipher(self._ssl)

    @property
    def group(self) -> str:
        """`X25519`, `prime256v1`; "" if the key exchange had none."""
        return openssl.group(self._ssl)

    @property
    def alpn(self) -> str:
        return openssl.alpn(self._ssl).decode("latin-1")

    @property
    def resumed(self) -> bool:
        return openssl.resumed(self._ssl)

    @property
    def verify_result(self) -> int:
        """Result of verifying the peer's chain (X509_V_*), also for a resumed session; 0 is OK,
        also for a client without a certificate."""
        return openssl.verify_result(self._ssl)

    def verify_error(self) -> str:
        """The text for `verify_result`: `self-signed certificate`."""
        return self.dialect.verify(self.verify_result)

    @property
    def chain_length(self) -> int:
        """Number of certificates in the verified chain, including the root; 0 without a chain."""
        return openssl.chain_length(self._ssl)

    @property
    def peer_certificate_der(self) -> bytes | None:
        return openssl.peer_certificate(self._ssl)

    @property
    def peer_certificate(self) -> x509.Certificate | None:
        """The peer's certificate; None also if `cryptography` cannot parse it."""
        der = self.peer_certificate_der
        try:
            return None if der is None else x509.load_der_x509_certificate(der)
        except ValueError:
            return None

    @property
    def peer_chain(self) -> list[x509.Certificate]:
        """The certificates that the peer has sent beside its own, if they are valid."""
        try:
            return [x509.load_der_x509_certificate(der) for der in openssl.peer_chain(self._ssl)]
        except ValueError:
            return []

    @property
    def own_certificate_der(self) -> bytes | None:
        """The certificate sent to the peer, or configured if the session was resumed."""
        return openssl.own_certificate(self._ssl)

    @property
    def client_certificate(self) -> PeerCertificate | None:
        """The client's certificate; for a resumed session that of the original handshake."""
        if self._client_certificate is None and (der := self.peer_certificate_der) is not None:
            self._client_certificate = PeerCertificate(der)
        return self._client_certificate

    @property
    def session_id(self) -> bytes:
        der = openssl.session_der(self._ssl)
        return list(first(der))[3].content if der else b""

    @property
    def offered_ciphers(self) -> str:
        """`TLS_AES_256_GCM_SHA384:…`, as sent; "" if the ClientHello is not stored."""
        hello = self._parsed_hello
        name = functools.partial(openssl.cipher_name, self._ssl)
        return format_ids(hello.cipher_suites, name) if hello else ""

    @property
    def offered_groups(self) -> str:
        """`X25519:prime256v1`; "" for a resumed session of TLS 1.2, which needs none."""
        needless = self.resumed and self.protocol != "TLSv1.3"
        hello = None if needless else self._parsed_hello
        return format_ids(hello.groups, GROUPS.get) if hello else ""

    @property
    def offered_signature_algorithms(self) -> str:
        """As numbers, `0x0403:…`, as with OpenSSL before 4; "" for a resumed session, which does
        not use them."""
        hello = None if self.resumed else self._parsed_hello
        return format_ids(hello.signature_algorithms, lambda number: None) if hello else ""

    @property
    def _parsed_hello(self) -> ClientHello | None:
        return parse_client_hello(self._hello) if self._hello else None

    @property
    def session(self) -> Session | None:
        """The session to offer next time; None before a TLS 1.3 peer has sent a ticket."""
        session = openssl.session_of(self._ssl) if self.established else None
        if session == self._first_session and self.protocol == "TLSv1.3":
            return None
        return session

    def handshake(
        self,
        peer: str,
        *,
        verified_name: str | None = None,
        began: float = 0.0,
        duration: float = 0.0,
        failure: Failure | None = None,
    ) -> Handshake:
        """A record of the handshake, finished or failed."""
        certificate = self.peer_certificate if self.established else None
        return Handshake(
            side=self.side,
            peer=peer,
            server_name=self.server_name,
            verified_name=verified_name,
            verify_result=self.verify_result if self.established else 0,
            verify_error=self.verify_error() if self.established else "",
            protocol=self.protocol if self.established else "",
            cipher=self.cipher if self.established else "",
            group=self.group if self.established else "",
            alpn=self.alpn if self.established else "",
            offered_session=self.offered_session,
            resumed=self.established and self.resumed,
            certificate_names=server_name.certificate_names(certificate).all if certificate else (),
            started_at=began,
            duration=duration,
            failure=failure,
        )
