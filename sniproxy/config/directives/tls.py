"""Argument parsers shared by the `ssl_…` and `proxy_ssl_…` directives."""

from __future__ import annotations

from dataclasses import dataclass

from ..numbers import parse_number
from .directive import Args
from .slots import parse_time


@dataclass(frozen=True, slots=True)
class PasswordFile:
    """A file of passphrases; the location is named if the file cannot be read."""

    path: str
    file: str
    line: int


def password_file(args: Args) -> PasswordFile:
    return PasswordFile(args.first, args.place.file, args.place.line)


@dataclass(frozen=True, slots=True)
class CacheRules:
    """`ssl_certificate_cache max=N inactive=T valid=T`; times in whole seconds."""

    maximum: int
    inactive: float = 10.0
    valid: float = 60.0


def certificate_cache(args: Args) -> CacheRules | None:
    """None for `off`."""
    maximum: int | None = None
    times: dict[str, float] = {}
    for word in args.words:
        name, _, text = word.partition("=")
        if name == "max" and word != name:
            maximum = parse_number(text) or args.fail(f'invalid parameter "{word}"')
        elif name in ("inactive", "valid") and word != name:
            seconds = parse_time(text, whole_seconds=True)
            if seconds is None:
                args.fail(f'invalid parameter "{word}"')
            times[name] = seconds
        elif word != "off":
            args.fail(f'invalid parameter "{word}"')
    if "off" in args.words:
        return None
    if maximum is None:
        args.fail(f'"{args.name}" must have the "max" parameter')
    return CacheRules(maximum, **times)


def conf_command(args: Args) -> tuple[str, str]:
    """Name and value of an OpenSSL configuration command, not checked here."""
    return args.words[0], args.words[1]
