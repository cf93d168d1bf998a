"""Everything that is to be measured on a CUDA machine, in the minutes for which there is one.

    python -m benchmarks.gpu --minutes 9 --data-dir DIR --out OUT [--rehearse] [--only STEP ...] [--device cuda]

Steps run in order of worth, each in a process and with a time limit of its own. Every row is in OUT/results.jsonl and
OUT/table.md as soon as it is there. Run again with the same --out, it makes what is not there yet. Images come from
DIR/cifar10-jpeg. --rehearse runs every step at toy size on the CPU, on scikit-learn's digits.
"""

import os

# Before torch is loaded. To find out whether there is a GPU it would begin to use it; copies of this process could not.
os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"

import argparse
import sys
from pathlib import Path

import torch

from benchmarks.gpu.plan import STEPS, measure
from lrbench.errors import UsageError


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rehearse", action="store_true")
    parser.add_argument("--only", nargs="+", choices=list(STEPS), metavar="STEP", default=list(STEPS))
    parser.add_argument("--device", choices=["cpu", "cuda"])
    given = parser.parse_args()
    # One thread: what a process does with several cannot be continued in a copy of it.
    torch.set_num_threads(1)
    try:
        measure(given)
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
