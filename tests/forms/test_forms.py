"""The table of settings, and what is written from it (pure)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sniproxy.explain import catalog
from sniproxy.explain.fix_forms import fixes_in_form
from sniproxy.forms import FORMS, Cure, parse_directive, read_cure, write_form
from sniproxy.forms.cure import UNKNOWN_CA
from sniproxy.forms.skeletons import SKELETONS
from sniproxy.forms.table import SETTINGS, VERIFIED_BY_DEFAULT

FULL = (
    "proxy_ssl_server_name on;",
    "proxy_ssl_name site.test;",
    "proxy_set_header Host host.test;",
    "proxy_ssl_verify on;",
    "proxy_ssl_trusted_certificate /ca.pem;",
    "proxy_ssl_verify_depth 2;",
    "proxy_ssl_crl /lists.crl;",
    "proxy_ssl_certificate /client.pem;",
    "proxy_ssl_certificate_key /client.key;",
    "proxy_ssl_protocols TLSv1.1 TLSv1.2;",
    "proxy_ssl_ciphers DEFAULT:@SECLEVEL=0;",
    "proxy_ssl_conf_command Options UnsafeLegacyServerConnect;",
    "proxy_http_version 2;",
    "proxy_connect_timeout 10s;",
    "proxy_read_timeout 5m;",
    "proxy_send_timeout 30;",
    "proxy_buffer_size 16k;",
)
OTHERS = tuple(SKELETONS)
UNVERIFIED = re.compile(r"insecureSkipVerify|tls_insecure|verify none|Verify none|CheckPeer\w+ off")


def cure_of(*directives: str, url: str = "https://10.0.0.7:8443", **options: str) -> Cure:
    return read_cure(url, map(parse_directive, directives), **options)  # type: ignore[arg-type]


def text_of(form: str, cure: Cure) -> str:
    return "\n".join(line for block in write_form(form, cure) for line in block.lines)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("proxy_ssl_server_name on;", ("proxy_ssl_server_name", "on")),
        ('proxy_set_header Connection "";', ("proxy_set_header", "Connection", "")),
        (r'proxy_ssl_name "a \"b\" c";', ("proxy_ssl_name", 'a "b" c')),
    ],
)
def test_directives_are_split_into_words(text: str, words: tuple[str, ...]) -> None:
    assert parse_directive(text) == words


def test_every_form_is_written_by_a_skeleton_or_takes_directives() -> None:
    assert set(FORMS) - set(SKELETONS) == {"nginx", "toml", "nginx-proxy-manager", "swag"}


@pytest.mark.parametrize("form", OTHERS)
def test_slots_of_cells_are_in_the_skeleton(form: str) -> None:
    used = {line.partition(":")[0] for row in SETTINGS.values() for line in row.cells.get(form, ())}
    assert used <= {"note", "once"} | set(re.findall(r"%(\w+)%", "\n".join(SKELETONS[form].lines)))


@pytest.mark.parametrize("form", OTHERS)
def test_all_settings_are_written_without_placeholders(form: str) -> None:
    cure = cure_of(*FULL)
    assert not cure.unread
    text = text_of(form, cure)
    assert not re.search(r"\{[a-z_]+\}|%\w+%|\?\w", text), text


def test_all_settings_can_be_read_from_directives() -> None:
    read = {*cure_of(*FULL).settings, *cure_of("proxy_pass http://a.test;").settings}
    read |= set(cure_of("proxy_ssl_protocols TLSv1.2 TLSv1.3;", "proxy_http_version 1.1;").settings)
    read |= set(cure_of("proxy_ssl_verify off;").settings)
    assert set(SETTINGS) - read == {"plain"}


@pytest.mark.parametrize("form", OTHERS)
@pytest.mark.parametrize("directives", [(), FULL, FULL[:2]], ids=["none", "all", "sni"])
def test_verification_is_switched_off_only_below_its_loss(
    form: str, directives: tuple[str, ...]
) -> None:
    blocks = write_form(form, cure_of(*directives))
    assert not blocks[0].weakens
    for block in blocks:
        assert bool(UNVERIFIED.search("\n".join(block.lines))) == bool(block.weakens)
    verified = "proxy_ssl_verify on;" in directives
    assert len(blocks) == (1 if verified or form not in VERIFIED_BY_DEFAULT else 2)


@pytest.mark.parametrize("form", FORMS)
def test_what_a_cure_gives_up_is_named_with_its_first_block(form: str) -> None:
    cure = cure_of("proxy_pass http://10.0.0.7;", weakens="Encryption.")
    blocks = write_form(form, cure)
    assert [block.weakens for block in blocks] == ["Encryption."]


@pytest.mark.parametrize("form", OTHERS)
def test_a_directive_without_counterpart_is_named(form: str) -> None:
    cure = cure_of("proxy_ssl_server_name on;", "resolver 192.0.2.1;")
    assert "`resolver 192.0.2.1`" in text_of(form, cure)
    assert write_form(form, cure_of("resolver 192.0.2.1;")) == ()


def test_a_name_that_is_the_hosts_need_not_be_in_etc_hosts() -> None:
    assert "/etc/hosts" in text_of("apache", cure_of("proxy_ssl_name a.test;"))
    named = cure_of("proxy_ssl_server_name on;", url="https://a.test")
    assert "/etc/hosts" not in text_of("apache", named)
    assert "https://a.test:443/" in text_of("apache", named)


def test_swag_leaves_out_what_its_own_file_has() -> None:
    text = text_of("swag", cure_of("proxy_read_timeout 5m;", "proxy_set_header Host a.test;"))
    assert "sed '/^proxy_read_timeout /d; /^proxy_set_header Host /Id'" in text
    assert "proxy.conf;" not in text
    assert "include /config/nginx/proxy.conf;" in text_of("swag", cure_of("proxy_ssl_name a.test;"))


def test_nginx_proxy_manager_gets_a_location_only_for_fields() -> None:
    assert "location" not in text_of("nginx-proxy-manager", cure_of("proxy_ssl_name a.test;"))
    with_host = cure_of("proxy_ssl_name a.test;", host_header="a.test")
    assert "    proxy_set_header Host a.test;" in text_of("nginx-proxy-manager", with_host)


@pytest.mark.parametrize("form", OTHERS)
def test_paths_with_spaces_are_quoted(form: str) -> None:
    text = text_of(
        form, cure_of("proxy_ssl_verify on;", 'proxy_ssl_trusted_certificate "/a b.pem";')
    )
    assert re.search(r"""["'=]/a b\.pem["']""", text), text


def test_an_unknown_authority_is_a_placeholder_that_may_be_left_out() -> None:
    text = text_of("caddy", cure_of("proxy_ssl_server_name on;"))
    assert f"tls_trusted_ca_certs {UNKNOWN_CA}" in text
    assert "public authority" in text
    system = read_cure(
        "https://a.test",
        [("proxy_ssl_verify", "on"), ("proxy_ssl_trusted_certificate", "/etc/ssl/certs/all.crt")],
        system_ca=True,
    )
    assert "tls_trusted_ca_certs" not in text_of("caddy", system)


@pytest.mark.parametrize("form", [form for form in FORMS if form != "nginx"])
def test_the_first_fixes_of_upstream_causes_have_a_text_in_every_form(form: str) -> None:
    for name in ("sni-missing", "verify-chain", "verify-depth", "client-certificate-needed"):
        first = next(fixes_in_form(catalog().causes[name], "upstream", {}, form))
        assert first.blocks, name
        assert not re.search(r"\{\w+\}", "\n".join(first.blocks[0].lines))


words = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=20)


@given(
    st.lists(
        st.tuples(st.sampled_from([parse_directive(text)[0] for text in FULL]), words, words)
        | st.tuples(words, words)
        | st.tuples(st.sampled_from(["proxy_pass", "proxy_ssl_protocols"]), words),
        max_size=6,
    ),
    words,
)
def test_no_directive_raises(directives: list[tuple[str, ...]], url: str) -> None:
    cure = read_cure(url, directives)
    for form in FORMS:
        write_form(form, cure)


def test_an_optional_fix_adds_to_the_others_where_a_text_is_the_whole() -> None:
    first, host = fixes_in_form(catalog().causes["sni-missing"], "upstream", {}, "haproxy")
    assert host.optional
    assert "sni str(" in "\n".join(first.blocks[0].lines)
    assert {"sni str(", "set-header Host"} <= set(
        re.findall(r"sni str\(|set-header Host", "\n".join(host.blocks[0].lines))
    )
    first, host = fixes_in_form(catalog().causes["sni-missing"], "upstream", {}, "toml")
    assert "proxy_ssl_server_name" not in "\n".join(host.blocks[0].lines)


def test_a_fix_that_weakens_replaces_the_others() -> None:
    fixes = list(fixes_in_form(catalog().causes["protocol-version"], "upstream", {}, "apache"))
    weak = "\n".join(fixes[1].blocks[0].lines)
    assert "SSLProxyProtocol +TLSv1 +TLSv1.1 +TLSv1.2" in weak
    assert fixes[1].blocks[0].weakens
