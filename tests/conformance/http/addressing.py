"""Whose address a request has behind trusted proxies: `set_real_ip_from` and its companions."""

from __future__ import annotations

from collections.abc import Iterator

from tests.conformance.scenario import Scenario, Table, get

ANSWER = 'return 200 "$remote_addr $remote_port $realip_remote_addr $proxy_add_x_forwarded_for\\n";'
FORWARDED = "real_ip_header X-Forwarded-For; "


def addressed(
    name: str,
    rule: str,
    directives: str,
    *fields: str,
    logs: tuple[str, ...] = (),
    status: int = 200,
) -> Scenario:
    """Without a port of its own, `$remote_port` is the client's, which differs in each run."""
    return Scenario(
        name,
        rule,
        f"{directives} try_files /none =404; error_page 404 =200 /NAME-page; ",
        (),
        proxy_pass="none",
        requests=(get(*fields),),
        status=status,
        logs=logs,
        server=f"location /NAME-page {{ {directives} "
        'return 200 "$remote_addr $realip_remote_addr $proxy_add_x_forwarded_for"; }',
    )


def scenarios() -> Iterator[Scenario]:
    trusted = "set_real_ip_from 127.0.0.0/8; "
    yield addressed("real-ip", "X-Real-IP is the default field.", trusted, "X-Real-IP: 192.0.2.7")
    yield addressed(
        "untrusted",
        "A client that is not trusted keeps its address.",
        "set_real_ip_from 192.0.2.0/24;",
        "X-Real-IP: 192.0.2.7",
    )
    yield addressed("missing", "Without the field the address stays.", trusted)
    for number, value in enumerate(
        ("192.0.2.7:80", "[2001:db8::1]:80", "2001:db8::1", "garbage", "192.0.2.7, 192.0.2.8",
         "192.0.2.7:99999", " 192.0.2.9 ", "192.0.2.7,", "192.0.2.300", "unix:", "")
    ):  # fmt: skip
        yield addressed(
            f"value-{number}", "Addresses may have a port.", trusted, f"X-Real-IP: {value}"
        )
        yield addressed(
            f"forwarded-{number}",
            "The last address of X-Forwarded-For counts.",
            trusted + FORWARDED,
            f"X-Forwarded-For: {value}",
        )
        yield addressed(
            f"recursive-{number}",
            "With real_ip_recursive trusted addresses are skipped.",
            f"{trusted}{FORWARDED} set_real_ip_from 192.0.2.8; real_ip_recursive on;",
            f"X-Forwarded-For: 198.51.100.1, {value}",
        )
    yield addressed(
        "several-fields",
        "Several X-Forwarded-For fields are read from the last to the first.",
        f"{trusted}{FORWARDED} set_real_ip_from 192.0.2.8; real_ip_recursive on;",
        "X-Forwarded-For: 198.51.100.1",
        "X-Forwarded-For: 192.0.2.8",
    )
    yield addressed(
        "all-trusted",
        "If all addresses are trusted, the first one counts.",
        f"{trusted}{FORWARDED} set_real_ip_from 0.0.0.0/0; real_ip_recursive on;",
        "X-Forwarded-For: 198.51.100.1, 192.0.2.8",
    )
    yield addressed(
        "own-field",
        "Any field may have the address; of several the first counts.",
        trusted + "real_ip_header CF-Connecting-IP;",
        "CF-Connecting-IP: 192.0.2.1",
        "CF-Connecting-IP: 192.0.2.2",
    )
    yield addressed(
        "proxy-protocol",
        "Without the PROXY protocol there is no address in it.",
        trusted + "real_ip_header proxy_protocol;",
        "X-Real-IP: 192.0.2.1",
    )
    yield addressed(
        "denied",
        "Access rules see the address of the field.",
        trusted + "deny 192.0.2.7; ",
        "X-Real-IP: 192.0.2.7",
        status=403,
        logs=("access forbidden by rule, client: 192.0.2.7",),
    )


TABLE = Table("addressing", tuple(scenarios()))
