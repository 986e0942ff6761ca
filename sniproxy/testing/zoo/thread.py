"""The zoo for code that does not know trio.

with zoo_in_thread(directory) as zoo:
    peer = zoo.house("needs-sni-112")
    ...                             # a proxy connects to peer.url
    assert peer.wait_for(lambda: peer.visits)
    assert peer.visits[0].server_name == "upstream.test"
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from sniproxy.in_thread import Loop, in_thread
from sniproxy.testing.zoo.animals import ALL
from sniproxy.testing.zoo.behaviour import Upstream
from sniproxy.testing.zoo.keeper import Peer, Zoo, open_zoo


class ThreadZoo:
    """A `Zoo` in a thread of its own."""

    def __init__(self, zoo: Zoo, loop: Loop) -> None:
        self._zoo = zoo
        self._loop = loop

    def house(self, upstream: Upstream | str, port: int = 0) -> Peer:
        """Give the upstream a port (0: any that is free) and open it.

        A text is the name of one in `animals.ALL`, else KeyError. Raises OSError if the port
        is taken.
        """
        wanted = ALL[upstream] if isinstance(upstream, str) else upstream
        return self._loop.run(self._zoo.house, wanted, port)


@contextlib.contextmanager
def zoo_in_thread(certificates: Path) -> Iterator[ThreadZoo]:
    """A zoo whose upstreams all leave when the block ends; `certificates` holds the wardrobe
    (`wear`)."""

    def opened() -> AbstractAsyncContextManager[Zoo]:
        return open_zoo(certificates)

    with in_thread(opened) as (zoo, loop):
        yield ThreadZoo(zoo, loop)
