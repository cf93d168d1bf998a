"""`robustbench:` against the package itself, where it can be imported: `make test` does not install it, since its
requirements are pinned to old versions and some of them are on no registry."""

import numpy as np
import pytest
import torch

import lrbench

robustbench = pytest.importorskip("robustbench", exc_type=ImportError)
autoattack = pytest.importorskip("autoattack")

NAME = "Addepalli2021Towards_RN18"
EPS = 0.4 / 255

SUITE = f"""\
name: theirs
data: {{name: npz, path: images.npz, classes: 10}}
models: {{theirs: {{arch: "robustbench:cifar10/Linf/{NAME}"}}}}
threat_model: {{eps: [{EPS}]}}
attacks: [{{name: apgd-ce, steps: 10}}]
diagnostics: {{masking: false}}
"""


@pytest.fixture
def images(tmp_path, monkeypatch):
    """Weights of no use where RobustBench looks for those that it has fetched, and images most of which they know."""
    from robustbench.model_zoo import model_dicts  # noqa: PLC0415
    from robustbench.model_zoo.enums import BenchmarkDataset, ThreatModel  # noqa: PLC0415

    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    net = model_dicts[BenchmarkDataset.cifar_10][ThreatModel.Linf][NAME]["model"]().train()
    pixels = (
        np.random.default_rng(0).integers(0, 256, (24, 3, 4, 4), dtype=np.uint8).repeat(8, axis=2).repeat(8, axis=3)
    )
    x = torch.from_numpy(pixels).float() / 255
    with torch.no_grad():
        for _ in range(10):
            net(x)  # so that batch norm knows such images
        head = [module for module in net.modules() if isinstance(module, torch.nn.Linear)][-1]
        head.bias -= net.eval()(x).mean(0)
        y = net(x).argmax(1)
    y[:4] = (y[:4] + 1) % 10
    place = tmp_path / "models" / "cifar10" / "Linf"
    place.mkdir(parents=True)
    torch.save({"state_dict": net.state_dict()}, place / f"{NAME}.pt")
    arrays = {f"{kind}_{part}": each for part in ("train", "test") for kind, each in (("x", pixels), ("y", y.numpy()))}
    np.savez(tmp_path / "images.npz", **arrays)
    (tmp_path / "suite.yaml").write_text(SUITE)
    return x, y


def test_its_figures_are_those_that_robustbench_gives_itself(images, tmp_path):
    x, y = images
    board = lrbench.run("suite.yaml", out="out", data_dir=tmp_path, device="cpu")
    rows = board.results.set_index("metric")["value"]
    model = robustbench.load_model(NAME, dataset="cifar10", threat_model="Linf")
    assert rows["accuracy"] == pytest.approx(robustbench.utils.clean_accuracy(model, x, y)) == pytest.approx(20 / 24)
    adversary = autoattack.AutoAttack(
        model, norm="Linf", eps=EPS, version="custom", attacks_to_run=["apgd-ce"], device="cpu", verbose=False
    )
    adversary.apgd.n_iter, adversary.apgd.n_restarts = 10, 1
    theirs = robustbench.utils.clean_accuracy(model, adversary.run_standard_evaluation(x, y, bs=24), y)
    ours = board.results.query("metric == 'robust_accuracy' and attack == 'apgd-ce' and eps > 0")["value"].item()
    assert 0 < theirs < 20 / 24
    assert ours == pytest.approx(theirs, abs=1 / 24)
