"""The upstreams of `grpc_pass` with variables, determined for each request."""

from __future__ import annotations

from ..config.addresses import Address, AddressError, parse_address
from ..config.directives.grpc import split_grpc_url
from ..config.directives.upstream_target import ProxyPass
from ..models import Failure, FailureType, ProxyError
from ..template import VariableLookup
from .dynamic import DynamicUpstream
from .selector import Peer


class GrpcUpstream(DynamicUpstream):
    """The `grpc_pass` of one location: its scheme is optional, and it has no default port."""

    def target(self, values: VariableLookup) -> ProxyPass:
        url = self._template.render(values)
        scheme, rest = split_grpc_url(url)
        try:
            address = parse_address(rest, 0)
        except AddressError as error:
            text = f'{error} in upstream "{rest}"'
            raise ProxyError(Failure(text, kind=FailureType.INTERNAL)) from None
        return ProxyPass(url, scheme, address, self._template, *self._place)

    async def _peers(self, address: Address) -> list[Peer]:
        if not (address.port or address.is_unix):
            text = f'no port in upstream "{address.host}"'
            raise ProxyError(Failure(text, kind=FailureType.INTERNAL))
        return await super()._peers(address)
