"""A step of `benchmarks.gpu` whose rows do what a measurement can do."""

import os
import signal
import subprocess
import time

from benchmarks.gpu.setting import LeftOut, NotNow


def rows(setting):
    def fails():
        raise RuntimeError("no such kernel")

    def works():
        setting.tell({"n": 1})
        return {"n": 2}

    def late():
        raise NotNow("3 s are left")

    def cannot():
        raise LeftOut("no torchattacks here")

    def sleeps():
        process = subprocess.Popen(["sleep", "60"])
        (setting.out / "pid").write_text(str(process.pid))
        time.sleep(60)

    yield "fails", fails
    yield "works", works
    yield "is late", late
    yield "cannot", cannot
    yield "kills itself", lambda: os.kill(os.getpid(), signal.SIGKILL)
    yield "sleeps", sleeps
