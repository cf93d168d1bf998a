"""What runs in CI: with stand-ins for the programs that it calls, so that nothing is installed."""

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / ".ci/run"
BASH = "/bin/bash"


@pytest.fixture
def calls(tmp_path):
    """Run the script on a machine that has these programs alone; give its status, its calls and what it said."""

    def called(*, broken="", browser=False, user=0):
        log, programs = tmp_path / "log", tmp_path / "bin"
        programs.mkdir()
        lines = {
            "dirname": f"echo {SCRIPT.parent}",
            "id": f"echo {user}",
            "apt-get": f'/bin/sleep 0.2; echo "apt-get $*" >> {log}; [ "{broken}" != apt-get ]',
            "make": f'echo "make $*" >> {log}; [ "$*" != "{broken}" ] || exit 3',
        }
        for name, line in (lines | ({"chromium": "exit 0"} if browser else {})).items():
            (programs / name).write_text(f"#!{BASH}\n{line}\n")
            (programs / name).chmod(0o755)
        ended = subprocess.run(
            [BASH, SCRIPT], env={"PATH": str(programs)}, check=False, timeout=60, capture_output=True
        )
        return ended.returncode, log.read_text().splitlines(), ended.stdout.decode()

    return called


def test_chromium_is_installed_where_there_is_none_before_the_tests_run(calls):
    status, called, _ = calls()
    assert status == 0
    assert any(line.startswith("apt-get install") and line.endswith(" chromium") for line in called)
    assert called[-1] == "make test"


@pytest.mark.parametrize("machine", [{"browser": True}, {"user": 1000}])
def test_where_it_is_there_or_may_not_be_installed_it_is_not(calls, machine):
    assert calls(**machine)[:2] == (0, ["make .venv/installed-dev", "make test"])


def test_where_it_cannot_be_installed_the_tests_run_and_it_is_said(calls):
    status, called, said = calls(broken="apt-get")
    assert (status, called[-1]) == (0, "make test")
    assert "no Chromium: the browser tests will be skipped" in said


def test_nothing_is_left_running_where_the_packages_cannot_be_installed(calls):
    status, called, _ = calls(broken=".venv/installed-dev")
    assert status == 3
    assert called[-1].startswith("apt-get install")


def test_tests_that_fail_are_its_failure(calls):
    assert calls(broken="test")[0] == 3
