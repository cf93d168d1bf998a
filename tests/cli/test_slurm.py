"""The SLURM scripts of the documentation, with SLURM's commands played by others."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.plain import FACTORY

import lrbench

SCRIPTS = Path(__file__).parents[2] / "docs/slurm"

SUITE = """\
name: queued
data: {name: digits, train: 150, test: 40}
models:
  net: {arch: "FACTORY:build"}
  lr: {extends: net, lr_layers: {"1": 4}}
training: {epochs: 2, batch_size: 50, warmup_accuracy: 0.0}
threat_model: {eps: [8/255], samples: 20, batch_size: 10, part: 10}
attacks: [fgsm]
diagnostics: {masking: false}
"""

SBATCH = """\
#!/bin/bash
# Runs each job of the array at once, and refuses a stage whose predecessor has failed.
count=1
for argument in "$@"; do
    case $argument in
        --array=1-*) count=${argument#--array=1-} ;;
        --dependency=afterok:*) test -e "$QUEUE/${argument#--dependency=afterok:}.done" || exit 1 ;;
    esac
    script=$argument
done
job=$((100 + $(ls "$QUEUE" | wc -l)))
for index in $(seq "$count"); do
    SLURM_ARRAY_TASK_ID=$index SLURM_ARRAY_TASK_COUNT=$count bash "$script" >> "$QUEUE/log" 2>&1 || exit 1
done
touch "$QUEUE/$job.done"
echo "$job"
"""
SRUN = """\
#!/bin/bash
while [ "${1#-}" != "$1" ]; do if [ "$1" = -w ]; then shift; fi; shift; done
exec "$@"
"""


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    commands = tmp_path / "bin"
    commands.mkdir()
    (tmp_path / "queue").mkdir()
    python = f"#!/bin/bash\nexec {sys.executable} -m"
    played = {
        "sbatch": SBATCH,
        "srun": SRUN,
        "scontrol": "#!/bin/bash\necho first; echo second\n",
        "hostname": "#!/bin/bash\necho 127.0.0.1\n",
        "lrbench": f'{python} lrbench.cli "$@"\n',
        "ray": f'{python} ray.scripts.scripts "$@"\n',
    }
    for name, text in played.items():
        (commands / name).write_text(text)
        (commands / name).chmod(0o755)
    (tmp_path / "mine.py").write_text(FACTORY)
    (tmp_path / "queued.yaml").write_text(SUITE.replace("FACTORY", str(tmp_path / "mine.py")))
    told = {
        "PATH": f"{commands}:{os.environ['PATH']}",
        "QUEUE": str(tmp_path / "queue"),
        "SUITE": str(tmp_path / "queued.yaml"),
        "OUT": str(tmp_path / "out"),
        "DATA": str(tmp_path),
        "SHARES": "1",
        "SLURM_JOB_NODELIST": "both",
        "SLURM_CPUS_PER_TASK": "1",
        "PORT": "6391",
        "HEAD_SECONDS": "6",
        "WORKER_SECONDS": "3",
    }
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    return tmp_path


@pytest.mark.parametrize("script", ["array.sbatch", "ray.sbatch"])
def test_a_script_gives_what_one_run_gives(slurm, script):
    expected = lrbench.run(slurm / "queued.yaml", out=slurm / "alone").results_csv()
    done = subprocess.run(
        ["bash", str(SCRIPTS / script)], capture_output=True, text=True, check=False, timeout=300, cwd=slurm
    )
    log = slurm / "queue/log"
    assert done.returncode == 0, done.stdout + done.stderr + (log.read_text() if log.exists() else "")
    assert (slurm / "out/results.csv").read_text() == expected


def test_a_script_without_a_suite_says_so(slurm, monkeypatch):
    monkeypatch.delenv("SUITE")
    done = subprocess.run(
        ["bash", str(SCRIPTS / "array.sbatch")], capture_output=True, text=True, check=False, cwd=slurm
    )
    assert done.returncode != 0
    assert "name a suite" in done.stderr
