"""tlsfuzzer's scripts against sniproxy and against nginx: `python -m tests.tlsfuzzer`.

tlsfuzzer (GPL-2.0) is no part of this repository: it is fetched when the command runs, or read from
a folder (`--source`). Its scripts play handshakes with defined faults, called conversations.
"""
