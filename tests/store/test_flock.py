"""Locks on a folder."""

import errno
import os
import subprocess
import sys

import pytest

from lrbench.errors import UsageError
from lrbench.store import Store, flock

HOLD = """\
import os, signal, sys
from lrbench.store import Store
with Store(sys.argv[1]).writing(sys.argv[2] or None):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def killed_in(folder, part=""):
    """A process that was killed while it held a lock."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder), part], env=os.environ)
    process.wait(60)
    return process.pid


@pytest.mark.parametrize("part", [None, "1-of-2"])
def test_the_lock_of_a_killed_process_is_free_and_its_owner_is_told(tmp_path, part):
    pid = killed_in(tmp_path, part or "")
    with Store(tmp_path).writing(part) as before:
        assert before.startswith(f"process {pid} on ")


def test_the_owner_who_is_named_is_the_one_who_holds_it(tmp_path):
    with Store(tmp_path).writing("1-of-3"):
        killed_in(tmp_path, "2-of-3")
        with pytest.raises(UsageError, match=f"process {os.getpid()} on"), Store(tmp_path).writing():
            pass


def test_a_child_that_lives_on_keeps_no_lock_that_was_given_back(tmp_path):
    with Store(tmp_path).writing():
        child = os.fork()
        if child == 0:
            os.read(0 if os.isatty(0) else os.pipe()[0], 1)
            os._exit(0)
    try:
        with Store(tmp_path).writing():
            pass
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


def test_a_file_system_that_cannot_lock_is_named(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(flock.fcntl, "flock", refuse)
    words = f"cannot write to {tmp_path}: its file system cannot lock files \\(No locks available\\)"
    with pytest.raises(UsageError, match=words), Store(tmp_path).writing():
        pass


def test_a_system_that_cannot_lock_is_a_line(tmp_path, monkeypatch):
    monkeypatch.setattr(flock, "fcntl", None)
    with pytest.raises(UsageError, match="this system has no flock"), Store(tmp_path).writing():
        pass
