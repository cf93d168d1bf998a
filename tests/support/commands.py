"""lrbench in a process of its own, for tests that kill it, stop it or run several."""

import sys

STAND_IN = """\
import lrbench.runner.figures as figures
figures._made = lambda *_, **__: {"report.html": b"a report"}
"""
"""Code that lets a process draw nothing."""

UNDRAWN = f"""\
import sys
from lrbench.child_processes import load_ahead
load_ahead()
{STAND_IN}
from lrbench.cli import main
sys.exit(main(sys.argv[1:]))
"""
COMMAND = [sys.executable, "-c", UNDRAWN]
"""What `lrbench` does on the command line, but for pictures and the report."""
