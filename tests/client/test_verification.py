"""`ssl_verify_client`: every mode with every certificate."""

from __future__ import annotations

from typing import Any, cast

import pytest

from sniproxy.client.verify import Rejection, check_client_certificate
from sniproxy.context import ClientTLSInfo


class Client:
    """A client with or without a certificate, and its verification result."""

    def __init__(self, result: int | None) -> None:
        self.client_certificate: Any = None if result is None else object()
        self.verify_result = result or 0
        self.ocsp_error: str | None = None

    def verify_error(self) -> str:
        return "some words"


@pytest.mark.parametrize(
    ("result", "refused_by"),
    [
        (None, {"on": 496}),
        (0, {}),
        (18, {"on": 495, "optional": 495}),
        (19, {"on": 495, "optional": 495}),
        (20, {"on": 495, "optional": 495}),
        (21, {"on": 495, "optional": 495}),
        (27, {"on": 495, "optional": 495}),
        (10, {"on": 495, "optional": 495, "optional_no_ca": 495}),
        (22, {"on": 495, "optional": 495, "optional_no_ca": 495}),
        (23, {"on": 495, "optional": 495, "optional_no_ca": 495}),
    ],
)
def test_verify_modes_reject_as_nginx_does(result: int | None, refused_by: dict[str, int]) -> None:
    client = cast(ClientTLSInfo, Client(result))
    for mode in ("off", "on", "optional", "optional_no_ca"):
        refused = check_client_certificate(mode, client)
        assert (refused.status if refused else None) == refused_by.get(mode)


def test_verify_error_texts() -> None:
    error = Rejection(495, "client SSL certificate verify error: (18:some words)")
    assert check_client_certificate("on", cast(ClientTLSInfo, Client(18))) == error
    missing = Rejection(496, "client sent no required SSL certificate")
    assert check_client_certificate("on", cast(ClientTLSInfo, Client(None))) == missing
