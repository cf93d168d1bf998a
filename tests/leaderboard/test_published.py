import json
import shutil

import pytest
from support.boards import NASTY, renamed, resealed

from lrbench.cli import main
from lrbench.errors import UsageError
from lrbench.leaderboard import Leaderboard
from lrbench.leaderboard.kept import read_record
from lrbench.leaderboard.published import check, publish
from lrbench.leaderboard.published.read import require_one_measure
from lrbench.leaderboard.published.record import table_of


@pytest.fixture
def run(pair_run, tmp_path):
    copied = tmp_path / "run"
    shutil.copytree(pair_run, copied)
    return copied


@pytest.fixture(scope="module")
def published(shown_boards, tmp_path_factory):
    return shutil.copytree(shown_boards, tmp_path_factory.mktemp("published") / "leaderboards")


@pytest.fixture
def of_pair(pair_boards, tmp_path):
    return shutil.copytree(pair_boards, tmp_path / "to")


def test_a_run_is_published_with_a_record_for_each_model(shown_run, published, capsys):
    place = published / "small"
    assert sorted(path.name for path in published.iterdir()) == [".lock", "README.md", "index.html", "small"]
    files = {"README.md", "figures", "leaderboard.csv", "masking.json", "records", "results.csv", "status.json"}
    files |= {"suite.yaml", "timings.csv"}
    assert {path.name for path in place.iterdir()} == files
    assert len(list((place / "records").iterdir())) == 4
    rows = [(folder / "results.csv").read_text().splitlines() for folder in (place, shown_run)]
    assert sorted(rows[0]) == sorted(rows[1])
    assert main(["publish", "--check", "--to", str(published)]) == 0
    assert "4 records" in capsys.readouterr().out
    assert main(["show", str(place)]) == 0
    assert "Robust accuracy % in the worst case" in capsys.readouterr().out


def test_the_markdown_holds_the_tables_with_the_figures_beside(published):
    text = (published / "small/README.md").read_text()
    pictures = [line for line in text.splitlines() if line.startswith("![")]
    assert len(pictures) >= 3
    for line in pictures:
        name = line.partition("(")[2].rstrip(")")
        assert (published / "small" / name).read_bytes().startswith(b"<svg")
    assert text.count("| model |") >= 5
    assert "suspicious" in text or "held up" in text
    for record in (published / "small/records").iterdir():
        assert json.loads(record.read_text())["sha256"][:12] in text
    assert "(small/README.md)" in (published / "README.md").read_text()


def test_publishing_again_changes_nothing(shown_run, published):
    before = {path: path.read_bytes() for path in published.rglob("*") if path.is_file()}
    publish(shown_run, published)
    assert {path: path.read_bytes() for path in published.rglob("*") if path.is_file()} == before


def test_a_page_over_all_suites_shows_names_as_text(published):
    page = (published / "index.html").read_text()
    assert NASTY not in page
    assert "&lt;script&gt;alert(1)" in page


def test_files_that_do_not_match_their_checksums_are_refused(run, tmp_path):
    path = run / "steps/attack/net/seed-0/iter-fsgm/eps-8/outcomes.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(UsageError, match=r"iter-fsgm/eps-8 .* is damaged \(outcomes.safetensors\)"):
        publish(run, tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_a_table_that_says_what_no_step_found_is_refused(run, tmp_path, capsys):
    lines = (run / "results.csv").read_text().splitlines()
    place = next(i for i, line in enumerate(lines) if line.startswith("small,net,0,digits,,autoattack,0.03"))
    parts = lines[place].split(",")
    parts[9] = "0.05"
    lines[place] = ",".join(parts)
    (run / "results.csv").write_text("\n".join(lines) + "\n")
    assert main(["publish", str(run), "--to", str(tmp_path / "to")]) == 2
    assert "says what no step of net found" in capsys.readouterr().err


@pytest.mark.parametrize("hidden", ["masking.json", "verdict"])
def test_a_flag_that_is_not_shown_is_refused(run, tmp_path, hidden):
    if hidden == "masking.json":
        masking = json.loads((run / "masking.json").read_text())
        for each in masking["net"]["0"]["checks"]:
            each["flagged"] = not each["flagged"]
        (run / "masking.json").write_text(json.dumps(masking))
    else:
        text = (run / "results.csv").read_text()
        kept = [line for line in text.splitlines() if not line.startswith("small,net,0,digits,,,,,verdict,")]
        assert len(kept) == len(text.splitlines()) - 1
        (run / "results.csv").write_text("\n".join(kept) + "\n")
    with pytest.raises(UsageError, match="does not show what the checks for masked gradients found of net, seed 0"):
        publish(run, tmp_path / "to")


def test_an_unfinished_run_is_refused(run, tmp_path):
    (run / "failures.json").write_text('{"attack/net/seed-0/x/eps-8": "ValueError: no"}')
    with pytest.raises(UsageError, match="is not finished: attack/net/seed-0/x/eps-8 failed"):
        publish(run, tmp_path / "to")
    (run / "failures.json").unlink()
    (run / "status.json").write_text('{"done": 6, "planned": 46, "environments": []}')
    with pytest.raises(UsageError, match="is not finished: 6 of 46 steps done"):
        publish(run, tmp_path / "to")
    (run / "status.json").unlink()
    with pytest.raises(UsageError, match="does not say how many of its steps are done"):
        publish(run, tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_a_changed_record_is_found(of_pair):
    path = of_pair / "small/records/net.json"
    content = json.loads(path.read_text())
    content["results"][0]["value"] = 1.0
    path.write_text(json.dumps(content))
    with pytest.raises(UsageError, match=r"net\.json does not match its checksum"):
        check(of_pair)
    resealed(path, lambda content: content.update(verdict="broken"))
    with pytest.raises(UsageError, match="says 'broken', but its checks come to"):
        check(of_pair)
    path.write_text("{}")
    with pytest.raises(UsageError, match="is no record"):
        check(of_pair)


def test_records_of_another_threat_model_are_not_mixed(pair_run, of_pair):

    def otherwise(content):
        renamed(content, "other")
        content["configuration"]["threat_model"]["space"] = "normalized"
        for row in content["results"]:
            row["space"] = row["space"] and "normalized"

    shutil.copy(of_pair / "small/records/net.json", of_pair / "small/records/other.json")
    resealed(of_pair / "small/records/other.json", otherwise)
    with pytest.raises(UsageError, match="another threat model"):
        publish(pair_run, of_pair)


def test_records_whose_work_was_cut_up_otherwise_belong_together(pair_run, of_pair):

    def otherwise(content):
        renamed(content, "older")
        del content["configuration"]["threat_model"]["part"]
        content["configuration"]["threat_model"]["batch_size"] = 3

    shutil.copy(of_pair / "small/records/net.json", of_pair / "small/records/older.json")
    resealed(of_pair / "small/records/older.json", otherwise)
    assert publish(pair_run, of_pair)


def test_a_run_whose_checks_for_masked_gradients_are_gone_is_refused(run, tmp_path):
    shutil.rmtree(run / "steps/masking/net/seed-0")
    plan = json.loads((run / "plan.json").read_text())
    del plan["masking/net/seed-0"]
    (run / "plan.json").write_text(json.dumps(plan))
    masking = json.loads((run / "masking.json").read_text())
    del masking["net"]["0"]
    (run / "masking.json").write_text(json.dumps(masking))
    lines = (run / "results.csv").read_text().splitlines()
    kept = [
        line
        for line in lines
        if not ("net,0," in line and (",verdict," in line or ",check," in line or ",flag," in line))
    ]
    (run / "results.csv").write_text("\n".join(kept) + "\n")
    with pytest.raises(UsageError, match="does not show what the checks for masked gradients found of net, seed 0"):
        publish(run, tmp_path / "to")


@pytest.mark.parametrize("change", ["left out", "repeated"])
@pytest.mark.parametrize("metric", ["accuracy", "misclassification", "lr_layer_epochs", "p_value"])
def test_a_table_that_says_less_or_more_than_the_steps_is_refused(run, tmp_path, metric, change):
    lines = (run / "results.csv").read_text().splitlines(keepends=True)
    place = next(place for place, line in enumerate(lines) if f",{metric}," in line and ",lr," in line)
    lines[place : place + 1] = [] if change == "left out" else [lines[place]] * 2
    (run / "results.csv").write_text("".join(lines))
    with pytest.raises(
        UsageError, match="lacks what a step of lr found" if change == "left out" else "says what no step"
    ):
        publish(run, tmp_path / "boards")
    assert not (tmp_path / "boards/small/records").exists()


@pytest.mark.parametrize(
    ("kept", "says"),
    [
        (lambda line: ",lr," not in line, "(does not show|lacks what the steps of lr found)"),
        (lambda line: ",net,1," not in line, "(does not show|lacks what a step of net found)"),
        (lambda line: ",net,1," not in line or ",accuracy," not in line, "lacks what a step of net found"),
        (lambda line: ",net,1," not in line or ",auc_l2," not in line, "is not as its run wrote it"),
        (lambda line: ",net,1," not in line or ",robust_accuracy," not in line, "is not as its run wrote it"),
    ],
)
def test_whatever_is_taken_out_of_a_table_is_missed(run, tmp_path, kept, says):
    lines = (run / "results.csv").read_text().splitlines(keepends=True)
    remaining = [line for line in lines if kept(line)]
    assert len(remaining) < len(lines)
    (run / "results.csv").write_text("".join(remaining))
    with pytest.raises(UsageError, match=says):
        publish(run, tmp_path / "boards")
    assert not (tmp_path / "boards").exists()


def test_models_under_other_attacks_are_not_put_on_one_board(published, tmp_path):
    to = tmp_path / "boards"
    shutil.copytree(published, to)
    path = to / "small/records/lr.json"
    resealed(path, lambda record: record["configuration"]["attacks"][0].update(steps=99))
    records = [read_record(each) for each in sorted((to / "small/records").glob("*.json"))]
    with pytest.raises(UsageError, match="another set of attacks"):
        require_one_measure(records, to / "small")


def test_differences_follow_the_baseline_that_is_published(shown_run, published):
    records = [read_record(path) for path in sorted((published / "small/records").glob("*.json"))]
    records.sort(key=lambda record: record["model"] != record["baseline"])
    before = table_of(records)
    found = before[(before["metric"] == "robust_accuracy_difference") & (before["model"] == "lr")]
    assert len(found)
    changed = [dict(record) for record in records]
    other = next(record for record in records if record["model"] == "lr")
    changed[0]["outcomes"] = other["outcomes"]
    after = table_of(changed)
    again = after[(after["metric"] == "robust_accuracy_difference") & (after["model"] == "lr")]
    assert (again["value"] == 0).all()
    of_run = Leaderboard.load(shown_run).results
    of_run = of_run[(of_run["metric"] == "robust_accuracy_difference") & (of_run["model"] == "lr")]
    assert found["value"].tolist() == of_run["value"].tolist()
