"""Links with a signature: `secure_link`, `secure_link_md5`, `secure_link_secret`."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator

from tests.conformance.scenario import Scenario, Table, get

EXPRESSIONS = 'secure_link $arg_md5,$arg_e; secure_link_md5 "$arg_e$uri secret"; '
NO_TIME = 'secure_link $arg_md5; secure_link_md5 "$uri secret"; '
SHOW = 'return 200 "$secure_link|$secure_link_expires";'
FUTURE, PAST = "4102444800", "1"


def digest(text: str) -> bytes:
    return hashlib.md5(text.encode("latin-1"), usedforsecurity=False).digest()


def signature(text: str) -> str:
    return base64.urlsafe_b64encode(digest(text)).decode().rstrip("=")


def own(
    name: str,
    rule: str,
    directives: str,
    *paths: str,
    server: str = "",
    status: int | tuple[int, ...] = 200,
) -> Scenario:
    *earlier, last = paths
    requests = [get(path=path).replace("Connection: close\r\n", "") for path in earlier]
    return Scenario(
        name,
        rule,
        directives,
        (),
        proxy_pass="none",
        requests=(*requests, get(path=last)),
        server=server,
        status=status,
    )


def expressions() -> Iterator[Scenario]:
    for label, expires in (
        ("future", FUTURE),
        ("past", PAST),
        ("zero", "0"),
        ("word", "soon"),
        ("negative", "-1"),
        ("empty", ""),
        ("max", str(2**63 - 1)),
        ("over", str(2**63)),
        ("huge", "9" * 400),
        ("zeros", "00004102444800"),
        ("two", FUTURE + ",1"),
        ("blank", FUTURE + "%20"),
    ):
        name = f"expires-{label}"
        yield own(
            name,
            "A link is valid until its time, which must be a number above 0.",
            EXPRESSIONS + SHOW,
            f"PATH?md5={signature(f'{expires}/{name} secret')}&e={expires}",
        )
    for label, change in (
        ("right", lambda text: text),
        ("padded", lambda text: text + "=="),
        ("padded-more", lambda text: text + "==="),
        ("padded-garbage", lambda text: text + "=x"),
        ("short", lambda text: text[:-1]),
        ("long", lambda text: text + "A"),
        ("other-bits", lambda text: text[:-1] + chr(ord(text[-1]) + 1)),
        ("wrong", lambda text: "A" + text[1:] if text[0] != "A" else "B" + text[1:]),
        ("empty", lambda text: ""),
        ("plus", lambda text: "+" + text[1:]),
        ("slash", lambda text: "/" + text[1:]),
        ("hex", lambda text: base64.urlsafe_b64decode(text + "==").hex()),
        ("escaped", lambda text: f"%{ord(text[0]):02x}{text[1:]}"),
    ):
        name = f"hash-{label}"
        yield own(
            name,
            "The signature is Base64 for URLs, with or without padding.",
            NO_TIME + SHOW,
            f"PATH?md5={change(signature(f'/{name} secret'))}",
        )
    for label, directives in (
        ("no-md5", "secure_link $arg_md5; "),
        ("no-link", "secure_link_md5 x; "),
        ("none", ""),
        ("empty", 'secure_link ""; secure_link_md5 ""; '),
        ("empty-md5", f'secure_link {signature("")}; secure_link_md5 ""; '),
    ):
        yield own(
            f"partial-{label}",
            "Without both directives $secure_link is empty.",
            directives + SHOW,
            "PATH?md5=x",
        )
    yield own(
        "order",
        "$secure_link_expires is empty before $secure_link was evaluated.",
        EXPRESSIONS + 'return 200 "$secure_link_expires|$secure_link|$secure_link_expires";',
        f"PATH?md5={signature(f'{FUTURE}/order secret')}&e={FUTURE}",
        "PATH?md5=x&e=1",
    )
    yield own(
        "once",
        "$secure_link is evaluated once, though the URI changes.",
        NO_TIME + "set $first $secure_link; rewrite ^ /once-after;",
        f"PATH?md5={signature('/once secret')}",
        server='location /once-after { return 200 "$first|$secure_link"; }',
    )
    yield own(
        "conditions",
        "The usual configuration answers 403 and 410.",
        EXPRESSIONS
        + 'if ($secure_link = "") { return 403; } if ($secure_link = "0") { return 410; } '
        + SHOW,
        *(f"PATH?md5={signature(f'{e}/conditions secret')}&e={e}" for e in (FUTURE, "x", "0")),
        f"PATH?md5={signature(f'{PAST}/conditions secret')}&e={PAST}",
        status=(200, 403, 403, 410),
    )
    yield own(
        "inherited",
        "A location inherits the directives of the server that it does not set.",
        SHOW,
        f"PATH?md5={signature('0/inherited server')}&e=0",
    )
    yield own(
        "inherited-part",
        "A location inherits each of the two directives.",
        "secure_link $arg_m; " + SHOW,
        f"PATH?m={signature('/inherited-part server')}",
    )
    yield own(
        "nested",
        "secure_link_secret is not inherited by a location with the other form.",
        f"secure_link_secret a; {SHOW} location PATH/a {{ {SHOW} }} "
        f"location PATH/b {{ secure_link $arg_m; {SHOW} }}",
        f"PATH/{digest('lsecret').hex()}/l",
        f"PATH/a/{digest('la').hex()}/l",
        f"PATH/b?m={signature('')}",
    )


def secrets() -> Iterator[Scenario]:
    def link(prefix: str, path: str, secret: str = "secret") -> str:
        return f"{prefix}/{digest(path + secret).hex()}/{path}"

    good = link("PATH", "a/b.txt")
    for label, paths in (
        ("right", (good,)),
        ("upper", ("PATH/" + digest("a/b.txtsecret").hex().upper() + "/a/b.txt",)),
        ("wrong", (link("PATH", "a", "other"),)),
        ("short", ("PATH/abc/a",)),
        ("not-hex", ("PATH/" + "g" * 32 + "/a",)),
        ("no-link", ("PATH/" + digest("secret").hex() + "/",)),
        ("no-slash", ("PATH/" + digest("secret").hex(),)),
        ("nothing", ("PATH",)),
        ("query", (link("PATH", "a?b=c"),)),
        ("escaped", (link("PATH", "%61 b".replace(" ", "%20")),)),
        ("two-slashes", (link("PATH", "/a"),)),
        ("root-slashes", (f"//secret-root-slashes/{digest('asecret').hex()}/a",)),
        ("query-slashes", ("PATH?/" + digest("asecret").hex() + "/a",)),
        ("long-hash", (f"PATH/{digest('asecret').hex()}0/a",)),
    ):
        yield own(
            f"secret-{label}",
            "With secure_link_secret $secure_link is the part of the URI after the hash.",
            "secure_link_secret secret; " + SHOW,
            *(path.replace("PATH", f"/secret-{label}") for path in paths),
        )
    yield own(
        "secret-empty",
        "An empty secret is one.",
        f'secure_link_secret ""; {SHOW}',
        link("PATH", "a", ""),
    )


TABLE = Table(
    "signed-links",
    (*expressions(), *secrets()),
    server='secure_link $arg_md5; secure_link_md5 "$uri server";',
)
