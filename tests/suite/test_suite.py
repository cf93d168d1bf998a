import pytest
import yaml

from lrbench.errors import UsageError
from lrbench.suite import AttackSpec, Suite, load_suite, shipped_suites
from lrbench.suite.load import summary

MINIMAL = """\
name: mine
data: digits
models:
  net: {arch: resnet18, width: 4}
"""

CLAIMS = """\
claims:
  - {model: net, attack: pgd, eps: 8/255, robust_accuracy: 50}
"""
REFERENCE = """\
reference:
  source: A paper
  figures:
    - {model: net, metric: accuracy, value: 90, where: table 1}
    - {model: nett, metric: accuracy, value: 90, where: table 1}
"""
UNTIL = """\
threat_model:
  samples: {until: 2 points, of: difference}
"""


def load(tmp_path, text):
    path = tmp_path / "suite.yaml"
    path.write_text(text)
    return load_suite(path)[0]


def fault(tmp_path, text):
    with pytest.raises(UsageError) as caught:
        load(tmp_path, text)
    message = str(caught.value)
    assert len(message.splitlines()) <= 3
    return message


def test_defaults_are_spelled_out_and_read_back(tmp_path):
    suite = load(tmp_path, MINIMAL)
    written = yaml.safe_dump(suite.model_dump(mode="json"), sort_keys=False)
    assert "momentum: 0.9" in written
    assert "lambda_1: 1.0" in written
    assert load(tmp_path, written) == suite


def test_a_question_of_several_lines_is_one_paragraph(tmp_path):
    assert load(tmp_path, MINIMAL + "question: |\n  Is it?\n\n  Yes:   p < 0.05.\n").question == "Is it? Yes: p < 0.05."


def test_extends_takes_over_what_is_not_given(tmp_path):
    suite = load(
        tmp_path,
        MINIMAL
        + """\
  lr: {extends: net, lr_layers: {avgpool: 3, layer3: {rank: 5, projection: nystrom}}}
  wide: {extends: lr, width: 8}
""",
    )
    assert suite.models["lr"].options == {"width": 4}
    assert suite.models["wide"].options == {"width": 8}
    assert suite.models["wide"].lr_layers["avgpool"].rank == 3
    assert suite.models["wide"].lr_layers["layer3"].options == {"rank": 5, "projection": "nystrom"}


def test_eps_may_be_a_fraction_and_is_sorted(tmp_path):
    suite = load(tmp_path, MINIMAL + "threat_model: {eps: [16/255, 0.01, 8 / 255, 1]}\n")
    assert suite.threat_model.eps == [0.01, 8 / 255, 16 / 255, 1.0]


def test_a_fast_autoattack_does_not_go_by_the_name_of_the_standard_one(tmp_path):
    attacks = (
        "attacks: [autoattack, {name: autoattack, version: fast}, {name: autoattack, version: fast, label: mine}]\n"
    )
    suite = load(tmp_path, MINIMAL + attacks)
    assert [attack.label for attack in suite.attacks] == ["autoattack", "autoattack-fast", "mine"]


def test_d_adv_is_measured_where_the_variance_ratio_is(tmp_path):
    suite = load(tmp_path, MINIMAL + "diagnostics: {variance_ratio: {layers: [layer3, avgpool]}}\n")
    assert suite.diagnostics.d_adv.layers == ["layer3", "avgpool"]


def test_a_model_s_own_training_completes_the_suite_s(tmp_path):
    text = MINIMAL + (
        "  hard: {extends: net, training: {epochs: 7, adversarial: {eps: 8/255}}}\n"
        "  harder: {extends: hard, lr_layers: {avgpool: 3}}\n"
        "training: {learning_rate: 0.3, epochs: 5}\n"
    )
    suite = load(tmp_path, text)
    assert suite.training_of("net") == suite.training
    for name in ("hard", "harder"):
        own = suite.training_of(name)
        assert (own.epochs, own.learning_rate, own.adversarial.eps) == (7, 0.3, 8 / 255)
    written = yaml.safe_dump(suite.model_dump(mode="json"), sort_keys=False)
    assert load(tmp_path, written) == suite


def test_given_weights_are_measured_as_they_are_unless_training_is_asked_for(tmp_path):
    text = (
        MINIMAL + "  old: {extends: net, weights: w.pt}\n  new: {extends: old, train: true, lr_layers: {avgpool: 3}}\n"
    )
    models = load(tmp_path, text).models
    assert [models[name].train for name in ("net", "old", "new")] == [True, False, True]


def test_superclasses_may_name_numbers(tmp_path):
    text = MINIMAL.replace("data: digits", "data: {name: digits, superclasses: {low: [0, 1], high: [2]}}")
    assert load(tmp_path, text).data.superclasses == {"low": ["0", "1"], "high": ["2"]}


@pytest.mark.parametrize("name", shipped_suites())
def test_shipped_suites_are_valid_and_named_after_their_file(name):
    suite, _ = load_suite(name)
    assert isinstance(suite, Suite)
    assert suite.name == name.replace("/", "-")


@pytest.mark.parametrize(
    ("text", "place", "advice"),
    [
        (MINIMAL + "  b: {extends: net, training: {epoch: 3}}\n", "models.b.training.epoch", "'epochs'"),
        (MINIMAL + "  b: {extends: net, weights: w, lr_layers: {fc: 3}}\n", "line 5: models.b", "add `train: true`"),
        (MINIMAL + "  b: {extends: net, train: false}\n", "line 5: models.b", "`train: false` needs `weights`"),
        (MINIMAL + "  b: {extends: net, normalize: {mean: [0.5], std: [0]}}\n", "models.b.normalize", "greater than 0"),
        (MINIMAL + "training: {adversarial: {eps: 1, steps: 0}}\n", "training.adversarial.steps", "equal to 1"),
        (MINIMAL + "training: {precision: half}\n", "training.precision", "'float32' or 'bfloat16'"),
        (MINIMAL + "diagnostics: {embeddings: {layer: fc, dims: [ful]}}\n", "diagnostics.embeddings.dims", "'full'"),
        (
            MINIMAL + "reference: {source: x, figures: [{model: nte, metric: accuracy, value: 1, where: y}]}\n",
            "reference",
            "did you mean 'net'?",
        ),
        (MINIMAL + "trainning: {}\n", "line 5: trainning", "did you mean 'training'?"),
        (MINIMAL + "training: {epochs: 3, epoch_size: 4}\n", "line 5: training.epoch_size", "unknown key"),
        (MINIMAL + "training: {epochs: many}\n", "line 5: training.epochs", "valid integer, got 'many'"),
        (MINIMAL + "training: {epochs: 0}\n", "training.epochs", "greater than or equal to 1"),
        (MINIMAL + "training: {learning_rate: .nan}\n", "training.learning_rate", "finite number"),
        (MINIMAL + "training: {schedule: cosin}\n", "training.schedule", "'constant', 'cosine' or 'one-cycle'"),
        (MINIMAL + "threat_model: {eps: [8/255, -1/255]}\n", "threat_model.eps.1", "greater than or equal to 0"),
        (MINIMAL + "threat_model: {eps: [8/0]}\n", "threat_model.eps.0", "a fraction such as 8/255"),
        (MINIMAL + "threat_model: {eps: []}\n", "threat_model.eps", "at least 1 item"),
        (MINIMAL + "threat_model: {eps: [0.1, 0.1]}\n", "threat_model.eps", "twice"),
        (MINIMAL + "threat_model: {l2_dissimilarities: [0.1, 0.1]}\n", "threat_model.l2_dissimilarities", "twice"),
        (MINIMAL + "attacks: [{name: pgd, label: worst-case}]\n", "line 5: attacks.0.label", "another label"),
        (MINIMAL + "threat_model: {space: pixels}\n", "threat_model.space", "'pixel' or 'normalized'"),
        (
            MINIMAL + "attacks: [fgsm]\nthreat_model: {eps: [0]}\ndiagnostics: {masking: {samples: 5}}\n",
            "line 7: diagnostics.masking: threat_model.eps has",
            "no radius above 0",
        ),
        (MINIMAL + "  Net: {extends: net}\n", "line 5: models.Net", "'net' and 'Net' differ by case alone"),
        (
            MINIMAL + "attacks: [fgsm, {name: pgd, label: FGSM}]\n",
            "line 5: attacks.1",
            "'fgsm' and 'FGSM' differ by case alone",
        ),
        (MINIMAL + CLAIMS.replace("net,", "nett,"), "line 6: claims.0.model: unknown", "did you mean 'net'?"),
        (MINIMAL + CLAIMS + CLAIMS.partition("\n")[2], "line 7: claims.1: claimed twice of net: pgd", "pgd"),
        (MINIMAL + CLAIMS.replace("net,", "'{at}{message}',"), "unknown model '{at}{message}'; valid: net", "net"),
        (MINIMAL + REFERENCE, "line 9: reference.figures.1.model: unknown", "did you mean 'net'?"),
        (MINIMAL + UNTIL, "line 6: threat_model.samples: `of: difference`", "this suite has one"),
        (MINIMAL + "seeds: [1, 1]\n", "seeds", "twice"),
        (MINIMAL + "seeds: [true]\n", "seeds.0", "valid integer"),
        (MINIMAL + "seeds: 1\n", "line 5: seeds", "valid list"),
        (MINIMAL + "attacks: [iter-fsgm, iter-fsgm]\n", "attacks", "twice"),
        (MINIMAL + "  lr: {extends: nett}\n", "line 5: models.lr.extends", "did you mean 'net'?"),
        (MINIMAL + "  a: {extends: b}\n  b: {extends: a}\n", "models.", "in a circle"),
        (MINIMAL + "  lr: {extends: net, lr_layers: {avgpool: 0}}\n", "models.lr.lr_layers.avgpool", "greater than"),
        (MINIMAL + "  lr: {extends: net, lr_layers: {avgpool: {ranc: 3}}}\n", "lr_layers.avgpool.ranc", "'rank'"),
        (MINIMAL + "  ' up': {extends: net}\n", "models", "printable characters"),
        (MINIMAL + "data: digits\n", "line 5: data", "twice"),
        (MINIMAL + "question: ' '\n", "line 5: question", "printable characters"),
        (MINIMAL.replace("name: mine", "name: ../mine"), "name", "match pattern"),
        (MINIMAL.replace("name: mine\n", ""), "name", "required"),
        (MINIMAL.replace("{arch: resnet18, width: 4}", "resnet18"), "models.net", "valid dictionary"),
        ("name: [unclosed\n", "line 2", "not valid YAML"),
        ("\t- tab\n", "line 1", "not valid YAML"),
        ("a: &a [1]\nb: *a\n", "line 2", "aliases"),
        ("a: !!python/object/apply:os.system [ls]\n", "line 1", "is not allowed"),
        ("just text\n", "suite.yaml", "mapping"),
        ("", "suite.yaml", "empty"),
        ("x: " + "[" * 200 + "]" * 200, "line 1", "nested too deep"),
        ("x: " + "[" * 50_000, "line 1", "nested too deep"),
        ("when: 2020-13-45\n", "suite.yaml", "is not allowed"),
    ],
)
def test_faults_name_place_and_remedy(tmp_path, text, place, advice):
    message = fault(tmp_path, text)
    assert place in message
    assert advice in message


def test_unreadable_files_are_named(tmp_path):
    for source, message in ((tmp_path / "none.yaml", "no such suite file"), ("quik", "did you mean 'quick'?")):
        with pytest.raises(UsageError, match=message.replace("?", r"\?")):
            load_suite(source)
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9\n")
    with pytest.raises(UsageError, match="not UTF-8"):
        load_suite(tmp_path / "latin.yaml")
    (tmp_path / "large.yaml").write_bytes(b"#" * 1_000_001)
    with pytest.raises(UsageError, match="larger than"):
        load_suite(tmp_path / "large.yaml")


@pytest.mark.parametrize("name", shipped_suites())
def test_what_a_list_says_of_a_shipped_suite_is_a_whole_sentence(name):
    said = summary(shipped_suites()[name])
    assert said[:1].isupper()
    assert said.endswith((".", "?"))


@pytest.mark.parametrize(
    ("surrogate", "label"), [("my net", "pgd-from-my-net"), ("a/b", "pgd-from-a-b"), ("é", "pgd-from--")]
)
def test_the_label_of_a_transferred_attack_is_one_whatever_its_surrogate_is_called(surrogate, label):
    assert AttackSpec.model_validate({"name": "pgd", "surrogate": surrogate}).label == label
