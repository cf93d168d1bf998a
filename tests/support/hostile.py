"""Watch a command that is given something hostile: what it writes, how long it takes, what memory it needs."""

import re
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

from lrbench.cli import main

COLD = False
"""With `pytest --cold`: each command in a process of its own, which is slow and the measure that counts."""

MOST = {"seconds": 0.0, "bytes": 0}

SECONDS = 5.0
WAITING = 60.0
BYTES = 1 << 30

WRITING = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link", "os.chmod", "os.truncate"}
RUNNING = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "socket.connect"}


@dataclass
class Watch:
    """What a process did while it was watched."""

    active: bool = False
    deeds: list[str] = field(default_factory=list)

    def __call__(self, event, arguments):
        if not self.active:
            return
        if event == "open":
            path, mode, flags = arguments
            # A number is a file that is open already.
            if isinstance(path, int):
                return
            if (mode is not None and set(mode) & set("wxa+")) or (mode is None and flags & 3):
                self.note(event, path)
        elif event == "socket.connect" and arguments[0].family == socket.AF_UNIX:
            return  # to a process of its own
        elif event in WRITING | RUNNING:
            self.note(event, arguments[0])

    def note(self, event, path):
        # /dev/null keeps nothing; ART makes a folder for its settings when it is first imported, multiprocessing one
        # for its sockets.
        if not str(path).startswith(("/dev/", str(Path("~/.art").expanduser()), f"{gettempdir()}/pymp-")):
            self.deeds.append(f"{event} {path}")


WATCH = Watch()
sys.addaudithook(WATCH)


@contextmanager
def watched():
    WATCH.deeds.clear()
    WATCH.active = True
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    try:
        yield WATCH.deeds
    finally:
        WATCH.active, sys.dont_write_bytecode = False, before


def _memory(what):
    match = re.search(rf"^{what}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(match[1]) * 1024


@contextmanager
def frugal():
    """Fail if the block takes 5 s of processor time, or more memory than makes a process with torch in it use 1 GiB.

    By the clock it may take a minute: other tests run beside it.
    """
    reset = Path("/proc/self/clear_refs")
    before = _memory("VmRSS") if reset.exists() else 0
    if reset.exists():
        reset.write_text("5")  # the peak counts from here
    started, worked = time.monotonic(), time.process_time()
    yield
    assert time.process_time() - worked < SECONDS
    assert time.monotonic() - started < WAITING
    if reset.exists():
        assert _memory("VmHWM") - before < BYTES / 2


def refused(arguments, capsys):
    """Run a command that has to be refused; give what it said, which is one to three lines."""
    if COLD:
        status, out, err = _cold(arguments)
    else:
        with frugal(), watched() as deeds:
            status = main(arguments)
        assert not deeds, deeds
        out, err = capsys.readouterr()
    assert status == 2, err
    assert out == ""
    lines = err.splitlines()
    assert 1 <= len(lines) <= 3, err
    assert all(line.isprintable() and len(line) < 800 for line in lines), err
    assert "Traceback" not in err
    return err


# The peak of the process's own memory: what wait4 tells counts the process that it was forked from, too.
COLD_CODE = """\
import sys
from pathlib import Path
from lrbench.cli import main
status = main(sys.argv[2:])
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
Path(sys.argv[1]).write_text(peak.split()[1])
sys.exit(status)
"""


def _cold(arguments):
    """Run a command in a process of its own, from Python's start to its end within the limits."""
    with TemporaryDirectory() as folder:
        peak_file = Path(folder) / "peak"
        command = [sys.executable, "-c", COLD_CODE, str(peak_file), *arguments]
        started = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        seconds, peak = time.monotonic() - started, int(peak_file.read_text()) * 1024
    MOST["seconds"] = max(MOST["seconds"], seconds)
    MOST["bytes"] = max(MOST["bytes"], peak)
    assert seconds < SECONDS
    assert peak < BYTES
    return done.returncode, done.stdout, done.stderr
