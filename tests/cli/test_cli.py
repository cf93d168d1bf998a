import json
import os
import pty
import re
import subprocess
import sys

import pytest
from support.commands import COMMAND

import lrbench
from lrbench.cli import main
from lrbench.cli.plan import runs_any
from lrbench.names import attack_id, whole_of

SUITE = """\
name: tiny
data: {name: digits, train: 200, test: 60}
models:
  net: {arch: resnet18, width: 4}
  lr: {extends: net, lr_layers: {avgpool: 5}}
training: {epochs: 1, batch_size: 50, warmup_accuracy: 0.0}
threat_model: {space: normalized, eps: [8/255], samples: 20}
attacks: [iter-fsgm]
diagnostics:
  variance_ratio: {layers: [avgpool], k: [10]}
  embeddings: {layer: avgpool, dims: [8, 3]}
  masking: {samples: 20, steps: 4, queries: 10, draws: 2, unbounded: 4}
"""


@pytest.fixture
def suite_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "tiny.yaml"
    path.write_text(SUITE)
    return path


def test_a_plan_says_that_autoattack_is_counted_at_its_most(suite_file, capsys):
    suite_file.write_text(SUITE.replace("iter-fsgm", "autoattack"))
    assert main(["plan", str(suite_file)]) == 0
    assert "AutoAttack is counted as if every image withstood it" in capsys.readouterr().out
    suite_file.write_text(SUITE)
    assert main(["plan", str(suite_file)]) == 0
    assert "AutoAttack" not in capsys.readouterr().out


@pytest.mark.parametrize("model", ["net", "autoattack", "part-1", "part-time"])
@pytest.mark.parametrize("label", ["autoattack", "part-aa", "part-2"])
@pytest.mark.parametrize("part", ["", "/part-0", "/part-500"])
def test_an_attack_s_steps_are_told_by_its_label_alone(model, label, part):
    step = attack_id(model, 0, label, 8 / 255) + part
    assert whole_of(step) == step.removesuffix(part)
    assert runs_any({label}, [step])
    assert not runs_any({"square"}, [step])
    assert not runs_any({"autoattack"}, [attack_id("autoattack", 0, "square", None) + part])


@pytest.mark.usefixtures("undrawn")
def test_run_plan_show(suite_file, capsys):
    assert main(["plan", str(suite_file)]) == 0
    text = capsys.readouterr().out
    assert re.search(r"15 steps, 0 done; the rest takes about \d+ s\n", text)
    assert not (suite_file.parent / "runs").exists(), "plan writes nothing"

    assert main(["run", str(suite_file)]) == 0
    text = capsys.readouterr().out
    assert "15 steps, 0 done already" in text
    assert "clean accuracy" in text
    assert "Results in runs/tiny" in text

    assert main(["run", str(suite_file)]) == 0
    assert "15 steps, 15 done already" in capsys.readouterr().out
    assert main(["show", "runs/tiny"]) == 0
    assert "Robust accuracy % under iter-fsgm" in capsys.readouterr().out
    suite_file.write_text(SUITE.replace("samples: 20", "samples: 30"))
    assert main(["plan", str(suite_file)]) == 0
    text = capsys.readouterr().out
    assert "changed: samples 20 -> 30" in text
    assert "the rest takes about" in text
    assert "/seed-0" not in text.partition("again, ")[0]
    assert "AutoAttack" not in text
    assert main(["plan", str(suite_file), "--all"]) == 0
    every = capsys.readouterr().out
    assert main(["plan", str(suite_file), "--format", "json"]) == 0
    steps = json.loads(capsys.readouterr().out)
    assert len(steps) == 15
    assert all(step["step"] in every for step in steps)
    counted = dict.fromkeys((step["kind"], step["model"]) for step in steps)
    for kind, model in counted:
        mine = [step for step in steps if (step["kind"], step["model"]) == (kind, model)]
        done = sum(step["state"] == "done" for step in mine)
        assert re.search(rf"^│?{kind} *│ {model} *│ {len(mine)} *│ {done} ", text, re.MULTILINE), (kind, model)
        assert all((step["seconds"] is None) == (step["state"] == "done") for step in mine)


@pytest.mark.parametrize("module", ["lrbench", "lrbench.cli"])
def test_the_package_runs_as_a_module(module, tmp_path):
    def ran(*arguments):
        return subprocess.run([sys.executable, "-m", module, *arguments], capture_output=True, text=True, check=False)

    done = ran("--version")
    assert (done.stdout, done.stderr) == (f"lrbench {lrbench.__version__}\n", "")
    done = ran("show", str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert f"no results in {tmp_path}" in done.stderr


@pytest.mark.parametrize("command", ["models", "attacks", "datasets", "suites"])
def test_listings_import_no_torch(command):
    code = f"import sys; from lrbench.cli import main; main(['{command}']); sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    first = {"models": "resnet18", "attacks": "iter-fsgm", "datasets": "digits", "suites": "quick"}[command]
    assert any(line.startswith(first) for line in done.stdout.splitlines())


def test_help_and_show_import_no_torch(tmp_path):
    code = (
        "import sys\nfrom lrbench.cli import main\ntry: main(['--help'])\n"
        "except SystemExit: sys.exit('torch' in sys.modules or 'pandas' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0
    code = (
        f"import sys; from lrbench.cli import main; main(['show', {str(tmp_path)!r}]); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize(
    ("old", "new", "place", "advice"),
    [
        ("training:", "trainig:", "line 6: trainig", "'training'"),
        ("epochs: 1", "epochs: one", "line 6: training.epochs", "valid integer"),
        ("data: {name: digits", "data: {name: digit", "line 2: data", "'digits'"),
        ("train: 200", "train: 2000", "line 2: data", "only 1437"),
        ("train: 200", "tain: 200", "line 2: data.tain", "'train'"),
        ("name: digits, train: 200, test: 60", "name: npz, path: nowhere.npz", "line 2: data", "nowhere.npz"),
        ("name: digits, train: 200, test: 60", "name: image-folder", "line 2: data.path", "required"),
        ("name: digits, train: 200, test: 60", "name: fashion-mnist", "line 2: data", "FashionMNIST"),
        ("arch: resnet18", "arch: resnet81", "models.net.arch", "'resnet18'"),
        ("width: 4", "widht: 4", "models.net.widht", "'width'"),
        ("width: 4", "width: wide", "models.net.width", "valid integer"),
        ("{avgpool: 5}", "{avgpol: 5}", "line 5: models.lr.lr_layers.avgpol", "'avgpool'"),
        ("{avgpool: 5}", "{avgpool: 500}", "line 5: models.lr.lr_layers.avgpool", "exceeds the layer's 32 features"),
        ("[iter-fsgm]", "[iter-fgsm]", "line 8: attacks.0", "'iter-fsgm'"),
        ("[iter-fsgm]", "[{name: iter-fsgm, step: 3}]", "line 8: attacks.0.step", "'steps'"),
        ("[iter-fsgm]", "[{name: iter-fsgm, bounds: 3}]", "line 8: attacks.0.bounds", "unknown key"),
        ("[iter-fsgm]", "[{name: iter-fsgm, zzz: 3}]", "line 8: attacks.0.zzz", "surrogate, eps, label, name"),
        ("[iter-fsgm]", "[{name: iter-fsgm, eps: [9/255]}]", "line 8: attacks.0.eps", "not one of threat_model.eps"),
        ("[iter-fsgm]", "[{name: pgd, surrogate: nett}]", "line 8: attacks.0.surrogate", "'net'"),
        ("[iter-fsgm]", "[pgd, pgd]", "line 8: attacks", "give one of them a label"),
        ("[iter-fsgm]", "['art:Nothing']", "line 8: attacks.0", "art has no attack 'Nothing'"),
        ("[iter-fsgm]", "[{name: 'foolbox:LinfPGD', stpes: 3}]", "line 8: attacks.0.stpes", "'steps'"),
        ("[iter-fsgm]", "['torchattacks:PGD']", "line 8: attacks.0", "space: pixel"),
        ("[iter-fsgm]", "[{name: deepfool, eps: [8/255]}]", "line 8: attacks.0.eps", "smallest perturbation"),
        ("[iter-fsgm]", "[{name: deepfool, surrogate: net}]", "line 8: attacks.0.surrogate", "smallest perturbation"),
        ("[iter-fsgm]", "[{name: deepfool, zzz: 3}]", "line 8: attacks.0.zzz", "overshoot, candidates, label, name"),
        ("[iter-fsgm]", "[{name: adaptive-lr, layer: avgpol}]", "line 8: attacks.0.layer", "'avgpool'"),
        ("space: normalized", "norm: l2", "line 8: attacks.0", "iter-fsgm works in the linf ball"),
        ("[8/255]", "[-8/255]", "line 7: threat_model.eps.0", "greater than or equal to 0"),
        ("samples: 20", "samples: 61", "line 7: threat_model.samples", "61 of 60"),
        ("layers: [avgpool]", "layers: [avgpol]", "diagnostics.variance_ratio.layers", "'avgpool'"),
        ("layer: avgpool", "layer: layr4", "diagnostics.embeddings.layer", "'layer4'"),
        ("  embeddings:", "  corruptions: {}\n  embeddings:", "diagnostics.corruptions", "32x32 or more, got 1x8x8"),
        ("dims: [8, 3]", "dims: [800, 3]", "diagnostics.embeddings.dims.0", "only 32"),
        ("[avgpool], k", "[avgpool, k", "line 1", "not valid YAML"),
    ],
)  # fmt: skip
def test_a_faulty_suite_is_refused_in_a_line_and_writes_nothing(suite_file, capsys, old, new, place, advice):
    assert old in SUITE
    suite_file.write_text(SUITE.replace(old, new))
    assert main(["run", str(suite_file), "--data-dir", str(suite_file.parent)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) <= 3
    assert place in captured.err
    assert advice in captured.err
    assert [path.name for path in suite_file.parent.iterdir()] == ["tiny.yaml"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "nowhere.yaml"], "no such suite file"),
        (["run", "quik"], "did you mean 'quick'"),
        (["show", "nowhere"], "no results in nowhere"),
        (["run", "quick", "--device", "cuda:77"], "no device 'cuda:77'"),
        (["run", "quick", "--address", "nowhere:6379"], "is of a Ray cluster; add --engine ray"),
    ],
)
def test_wrong_usage_is_exit_2_without_traceback(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("arguments", [[], ["rnu"], ["run"], ["run", "quick", "--outt", "x"]])
def test_argparse_faults_are_exit_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: lrbench" in capsys.readouterr().err


def test_a_failed_run_is_exit_1(suite_file, capsys):
    suite_file.write_text(SUITE.replace("epochs: 1", "learning_rate: 1.0e+20, gradient_clip: null, epochs: 1"))
    assert main(["run", str(suite_file)]) == 1
    error = capsys.readouterr().err
    assert "train/net/seed-0 failed: the training loss is not finite" in error
    assert "Traceback" not in error


def test_a_reader_that_leaves_is_no_error():
    code = "import sys; from lrbench.cli import main; sys.exit(main(['models']))"
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([sys.executable, "-c", code], stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert "Traceback" not in done.stderr


def test_an_option_of_another_command_is_not_suggested_for_itself(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["show", "runs/quick", "--data-dir", "data"])
    assert ended.value.code == 2
    assert "this command has no option --data-dir, another has" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("suite", ["one step", "with pictures"])
def test_the_live_display_runs_in_a_terminal(suite_file, suite):
    if suite == "one step":
        suite_file.write_text(
            "name: one\ndata: {name: digits, train: 60, test: 30}\ntraining: {epochs: 1}\n"
            "models: {net: {arch: resnet18, width: 4}}\nattacks: []\ndiagnostics: {masking: false}\n"
        )
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    command = [*COMMAND, "run", str(suite_file)]
    process = subprocess.Popen(command, stdout=follower, stderr=follower, env=environment)
    os.close(follower)
    output = b""
    while True:
        try:
            chunk = os.read(leader, 65536)
        except OSError:
            break
        if not chunk:
            break
        output += chunk
    assert process.wait() == 0
    text = output.decode(errors="replace")
    assert "train/net/seed-0" in text
    assert ("Activations of avgpool" if suite == "with pictures" else "clean accuracy") in text
    assert "Traceback" not in text
