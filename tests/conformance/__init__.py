"""Conformance tests: sniproxy and nginx run the same nginx.conf, and must behave the same.

A `Scenario` is a row of a table that states one rule of nginx's (`scenario.py`; the tables are in
the folders). The harness runs it on both programs, and records what clients, upstreams and logs
see as lines of text (`harness.py`, `observation.py`). `comparison.py` compares the records; nothing
else depends on which program is running.
"""
