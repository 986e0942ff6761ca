"""Upstreams of every temper, each recording what it saw: the other end of `proxy_pass`.

The rule inside: an upstream is a frozen description (`behaviour.py`), the table of them is
`animals/`, and one keeper (`keeper.py`) plays them all; what it saw are frozen `Visit`s.
No proxy is started here, and nothing is compared.

    async with open_zoo(directory) as zoo:      # trio
    with zoo_in_thread(directory) as zoo:       # everybody else
"""

from sniproxy.testing.zoo.behaviour import TLS, Ending, Listens, Move, Refusal, Upstream
from sniproxy.testing.zoo.keeper import Peer, Zoo, open_zoo, reserve_port
from sniproxy.testing.zoo.records import Parting, Visit
from sniproxy.testing.zoo.thread import ThreadZoo, zoo_in_thread
from sniproxy.testing.zoo.wardrobe import wear

__all__ = [
    "TLS",
    "Ending",
    "Listens",
    "Move",
    "Parting",
    "Peer",
    "Refusal",
    "ThreadZoo",
    "Upstream",
    "Visit",
    "Zoo",
    "open_zoo",
    "reserve_port",
    "wear",
    "zoo_in_thread",
]
