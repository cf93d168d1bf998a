"""The SLURM scripts of the documentation, with SLURM's commands played by others."""

import os
import select
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.plain import FACTORY

import lrbench
from lrbench.cli import main

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
SERVED = """\
#!/bin/bash
# Hands its arguments to whoever serves it, and ends with the status that comes back.
printf '%s\\0' "$@" > "$QUEUE/../arguments"
read -r status < "$QUEUE/../status"
exit "$status"
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
    variables = {
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
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return tmp_path


@contextmanager
def begun(script, folder):
    """Begin a script; what it says goes to a file of the folder."""
    with (folder / "said").open("w") as said:
        process = subprocess.Popen(["bash", str(SCRIPTS / script)], stdout=said, stderr=said, cwd=folder)
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def served(slurm):
    """Do here what a script asks of lrbench, one command at a time, until it ends: none has to load what this has."""
    (slurm / "bin/lrbench").write_text(SERVED)
    ends = []
    for name in ("arguments", "status"):
        os.mkfifo(slurm / name)
        # Both of its ends, so that nobody waits for a script that has ended.
        ends.append(os.open(slurm / name, os.O_RDWR))

    def serve(process):
        asked, answered = ends
        while process.poll() is None:
            if select.select([asked], [], [], 0.1)[0]:
                status = main(os.read(asked, 65536).decode().split("\0")[:-1])
                os.write(answered, f"{status}\n".encode())

    yield serve
    for end in ends:
        os.close(end)


def outcome(process, folder):
    """Wait for a script, and give its tables."""
    log = folder / "queue/log"
    assert process.wait(300) == 0, (folder / "said").read_text() + (log.read_text() if log.exists() else "")
    return (folder / "out/results.csv").read_text()


@pytest.mark.slow
def test_a_script_gives_what_one_run_gives_as_an_array(slurm, served):
    expected = lrbench.run(slurm / "queued.yaml", out=slurm / "alone").results_csv()
    with begun("array.sbatch", slurm) as process:
        served(process)
        assert outcome(process, slurm) == expected


@pytest.mark.slow
def test_a_script_gives_what_one_run_gives_on_a_ray_cluster(slurm):
    expected = lrbench.run(slurm / "queued.yaml", out=slurm / "alone").results_csv()
    with begun("ray.sbatch", slurm) as process:
        assert outcome(process, slurm) == expected


def test_a_script_without_a_suite_says_so(slurm, monkeypatch):
    monkeypatch.delenv("SUITE")
    done = subprocess.run(
        ["bash", str(SCRIPTS / "array.sbatch")], capture_output=True, text=True, check=False, cwd=slurm
    )
    assert done.returncode != 0
    assert "name a suite" in done.stderr
