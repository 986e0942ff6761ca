"""Files behind symbolic links: `disable_symlinks`."""

from __future__ import annotations

from collections.abc import Iterator

from tests.conformance.scenario import Scenario, Table, get

TREE = {
    "html/NAME/a.txt": "text\n",
    "html/NAME/l": "-> a.txt",
    "html/NAME/d/b.txt": "b\n",
    "html/NAME/d/index.html": "index\n",
    "html/NAME/ld": "-> d",
    "html/NAME/dl/index.html": "-> ../a.txt",
    "html/NAME/a.txt.gz": "-> a.txt",
    "html/NAME/loop": "-> loop",
}


def linked(
    name: str,
    rule: str,
    directives: str,
    *paths: str,
    status: int | tuple[int, ...] = 200,
    logs: tuple[str, ...] = (),
    server: str = "",
) -> Scenario:
    *earlier, last = paths
    requests = [get(path=path).replace("Connection: close\r\n", "") for path in earlier]
    return Scenario(
        name,
        rule,
        directives,
        (),
        proxy_pass="none",
        location="PATH/",
        files=TREE,
        requests=(*requests, get(path=last)),
        status=status,
        logs=logs,
        server=server,
    )


def rules() -> Iterator[Scenario]:
    refused = 'openat() "PREFIX/html/'
    yield linked("off", "With off all links are followed.", "disable_symlinks off;", "PATH/l")
    yield linked("on-file", "With on files are served.", "disable_symlinks on;", "PATH/a.txt")
    yield linked(
        "on",
        "With on a link to a file is refused with 403 and a line.",
        "disable_symlinks on;",
        "PATH/l",
        status=403,
        logs=(refused,),
    )
    yield linked(
        "on-folder",
        "With on a link to a directory in the path is no directory.",
        "disable_symlinks on;",
        "PATH/ld/b.txt",
        status=404,
        logs=(refused,),
    )
    yield linked(
        "on-missing",
        "With on a missing file is reported by openat().",
        "disable_symlinks on;",
        "PATH/x",
        "PATH/d/x",
        "PATH/x/y",
        status=404,
        logs=(refused, refused, refused),
    )
    yield linked(
        "on-directory",
        "With on a request for a directory without slash is redirected, not for a link to one.",
        "disable_symlinks on;",
        "PATH/d",
        "PATH/ld",
        status=(301, 403),
        logs=(refused,),
    )
    yield linked(
        "on-index",
        "With on an index file is looked for without links.",
        "disable_symlinks on;",
        "PATH/d/",
        "PATH/dl/",
        "PATH/ld/",
        status=(200, 403, 404),
        logs=('"PREFIX/html/on-index/ld/index.html" is not found',),
    )
    yield linked(
        "on-loop",
        "With on a loop of links is refused as any link.",
        "disable_symlinks on;",
        "PATH/loop",
        status=403,
        logs=(refused,),
    )
    yield linked(
        "owner",
        "With if_not_owner links of the same owner are followed.",
        "disable_symlinks if_not_owner;",
        "PATH/l",
        "PATH/ld/b.txt",
        "PATH/ld/",
        "PATH/x",
        status=(200, 200, 200, 404),
        logs=(refused,),
    )
    for label, start, status in (
        ("root", "$document_root", 403),
        ("root-slash", "$document_root/", 403),
        ("folder", "$document_root/from-folder", 403),
        ("link", "$document_root/from-link/ld", 200),
        ("whole", "$document_root/from-whole/ld/b.txt", 200),
        ("part-of-name", "$document_root/from-part", 403),
        ("other", "/other", 403),
        ("empty", "", 403),
    ):
        name = f"from-{label}"
        path = "PATH/ld/b.txt" if label in ("link", "whole") else "PATH/l"
        yield linked(
            name,
            "The part of a path that from= names is not checked.",
            f'disable_symlinks on "from={start}";',
            path,
            status=status,
            logs=() if status == 200 else (refused,),
        )
    yield linked(
        "try",
        "try_files does not find what is behind a link, and reports that.",
        "disable_symlinks on; try_files $uri $uri/ =404;",
        "PATH/l",
        "PATH/ld/b.txt",
        "PATH/a.txt",
        status=(404, 404, 200),
        logs=(refused, refused),
    )
    yield linked(
        "condition",
        "File tests of if do not follow links either.",
        "disable_symlinks on; if (-f $request_filename) { return 200 file; } "
        "if (!-e $request_filename) { return 200 none; } return 200 other;",
        "PATH/l",
        "PATH/a.txt",
        "PATH/d",
        logs=(refused, refused),
    )
    yield linked(
        "inherited",
        "A location replaces the rule of its server.",
        "disable_symlinks off; location PATH/d/ { }",
        "PATH/l",
    )


TABLE = Table("symlinks", tuple(rules()), server="disable_symlinks on;")
