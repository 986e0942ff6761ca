"""Parsers of foreign bytes, each with the properties that hold for any input.

A target takes bytes and raises `AssertionError`, or any other exception that is not an error of the
parser's own, if a property is violated.
"""

from tests.fuzz.targets import fields, frames, heads, texts, tls, upstreams
from tests.fuzz.targets.target import Target

TARGETS: dict[str, Target] = {
    target.name: target
    for module in (heads, frames, fields, tls, upstreams, texts)
    for target in module.TARGETS
}

__all__ = ["TARGETS", "Target"]
