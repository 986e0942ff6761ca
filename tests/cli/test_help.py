"""Help, suggestions, completion and the man page: all are made from one table of commands."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from sniproxy.cli import COMMANDS, main
from sniproxy.cli.manual import man_page
from sniproxy.version import SNIPROXY_VERSION
from tests.cli.commands import Sniproxy

MAN_PAGE = Path(__file__).parents[2] / "docs" / "sniproxy.1"


@pytest.mark.parametrize("words", [("--help",), ("help",), ("-t", "--help")])
def test_help_goes_to_standard_output_and_lists_every_command(
    words: tuple[str, ...], sniproxy: Sniproxy
) -> None:
    outcome = sniproxy(*words)
    assert (outcome.status, outcome.stderr) == (0, "")
    lines = [line.split() for line in outcome.stdout.splitlines()]
    assert all([name, ":", *summary.split()] in lines for name, summary in COMMANDS.items())


def test_version_goes_to_standard_output(sniproxy: Sniproxy) -> None:
    outcome = sniproxy("--version")
    assert (outcome.status, outcome.stderr) == (0, "")
    assert f"sniproxy {SNIPROXY_VERSION}" in outcome.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_is_that_of_its_help_option(
    name: str, sniproxy: Sniproxy, capfd: pytest.CaptureFixture[str]
) -> None:
    outcome = sniproxy("help", name)
    assert outcome.status == 0
    assert outcome.stdout.startswith(f"usage: sniproxy {name}")
    assert COMMANDS[name][1:] in " ".join(outcome.stdout.split())
    with pytest.raises(SystemExit) as exit_:
        main([name, "--help"])
    assert exit_.value.code == 0
    assert capfd.readouterr().out == outcome.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("explai",), 'unknown command "explai", did you mean "explain"?'),
        (("diagnos", "-c", "x"), 'unknown command "diagnos", did you mean "diagnose"?'),
        (("--hlep",), 'unknown option "--hlep", did you mean "--help"?'),
        (("-t", "--trac"), 'unknown option "--trac", did you mean "--trace"?'),
        (("--xyz",), 'invalid option: "-"'),
        (("xyz",), 'invalid option: "xyz"'),
        (("help", "trase"), 'unknown command "trase", did you mean "trace"?'),
        (("help", "xyz"), 'unknown command "xyz"'),
    ],
)
def test_an_unknown_word_names_the_nearest_known_one(
    words: tuple[str, ...], message: str, sniproxy: Sniproxy
) -> None:
    outcome = sniproxy(*words)
    assert (outcome.status, outcome.stdout, outcome.lines) == (1, "", [message])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("explain", "--jsn"), 'unknown option "--jsn", did you mean "--json"?'),
        (
            ("diagnose", "--nam=x", "https://a.test"),
            'unknown option "--nam", did you mean "--name"?',
        ),
        (("names", "a", "b"), 'unexpected argument "b"'),
    ],
)
def test_an_unknown_option_of_a_command_names_the_nearest_one(
    words: tuple[str, ...], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(words)
    assert exit_.value.code == 2
    assert capfd.readouterr().err.endswith(f"sniproxy {words[0]}: error: {message}\n")


def test_without_a_configuration_it_says_what_to_do(sniproxy: Sniproxy) -> None:
    outcome = sniproxy("-e", "early.log")
    assert outcome.status == 1
    assert outcome.lines == [
        '[emerg] open() "nginx.conf" failed (2: No such file or directory)',
        "name a configuration with -c FILE, or see the commands: sniproxy --help",
    ]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_valid_and_know_every_command(
    shell: str, sniproxy: Sniproxy, tmp_path: Path
) -> None:
    script = sniproxy("completion", shell).stdout
    assert all(name in script for name in COMMANDS)
    assert "offline" in script
    if (program := shutil.which(shell)) is not None:
        file = tmp_path / "script"
        file.write_text(script)
        subprocess.run([program, "-n", file], check=True)


def test_bash_completes_commands_and_options(sniproxy: Sniproxy, tmp_path: Path) -> None:
    (tmp_path / "script").write_text(sniproxy("completion", "bash").stdout)
    probe = """
        source ./script
        complete_words() {
            COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
            $(complete -p sniproxy | sed 's/.*-F \\([^ ]*\\).*/\\1/')
            echo "${COMPREPLY[@]}"
        }
        complete_words sniproxy diag
        complete_words sniproxy diagnose --off
    """
    bash = subprocess.run(
        ["bash", "-c", probe], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert [line.split() for line in bash.stdout.splitlines()] == [["diagnose"], ["--offline"]]


def test_the_man_page_is_up_to_date() -> None:
    """`python -m sniproxy.cli.manual > docs/sniproxy.1` updates it."""
    assert MAN_PAGE.read_text() == man_page()


def test_the_man_page_describes_every_command_and_option() -> None:
    page = man_page().replace("\\-", "-")
    assert all(f".SS {name}\n" in page for name in COMMANDS)
    for option in ("--trace", "--offline", "--for", "--sni", "--certificates", "--directory"):
        assert option in page
