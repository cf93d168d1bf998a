"""How often the host waits for a CUDA device."""

import warnings
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import torch


@contextmanager
def waits():
    """Count the waits of a block, by the file and line that asked."""
    found = Counter()
    torch.cuda.synchronize()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = lambda message, _kind, file, line, *_: (
            found.update([f"{Path(file).name}:{line}"]) if "called a synchronizing" in str(message) else None
        )
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield found
        finally:
            torch.cuda.set_sync_debug_mode("default")
