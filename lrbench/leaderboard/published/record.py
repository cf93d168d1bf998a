"""The record of one model: everything that was measured of it, what it was made from, and checksums of both."""

import json
import math
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from lrbench.errors import UsageError
from lrbench.leaderboard.board import Leaderboard
from lrbench.leaderboard.difference_rows import difference_rows, stopping_in
from lrbench.leaderboard.kept import FORMAT, Content, checksum, environments_of, packed, unpacked, verdict_of_checks
from lrbench.leaderboard.outcomes import Run
from lrbench.leaderboard.results import COMPARED, DERIVED, is_time, timed
from lrbench.leaderboard.said import Said, is_noise, said_of
from lrbench.leaderboard.status import Status, distinct
from lrbench.leaderboard.worth import WORTH, worth_rows
from lrbench.names import WORST, model_path
from lrbench.renamed import renamed_row
from lrbench.statistics import difference_of, on_the_same_images
from lrbench.store import Record
from lrbench.suite import known_suite
from lrbench.suite.document import Document
from lrbench.verdicts import VERDICTS
from lrbench.views import COLUMNS, tidy
from lrbench.views.rows import records


def record_of(run: Run, model: str, *, partial: bool = False) -> Content:
    """Make a model's record from a run, every file of which is as its steps wrote it.

    Raises
    ------
    UsageError
        If a step's file does not match its checksum, a table says what no step found or lacks what one did, a flag is
        not shown, or, unless `partial`, the checks for masked gradients were not made.
    """
    table = run.board.results
    rows = table[(table["model"] == model) & ~table["metric"].isin(DERIVED)]
    rows = rows[~timed(rows)]
    planned = run.steps(model)
    steps = {step: record for step, record in planned.items() if record is not None}
    masking = run.board.masking.get(model, {})
    _require_flags_shown(run, model, rows, masking, steps, partial=partial)
    _require_found(run, model, rows, steps)
    # What is made of what became of the images: differences from another model, whichever stands beside it, and worth.
    rows = rows[~rows["metric"].isin([*COMPARED, *WORTH])]
    suite = run.board.suite
    environments = run.environments(model)
    if not environments:
        msg = f"{run.folder} does not say where the steps of {model} were taken (environments/); make them again"
        raise UsageError(msg)
    content = {
        "format": FORMAT,
        "suite": suite["name"],
        "model": model,
        "baseline": next(iter(suite["models"])),
        "dataset": str(rows["dataset"].iloc[0]),
        "test_images": run.test_images(model),
        "configuration": {**suite, **of_model(suite, model), "reference": None},
        "steps": {
            "done": len(steps),
            "planned": len(planned),
            "missing": [step for step in planned if step not in steps],
            "seconds": round(sum(record.seconds for record in steps.values()), 1),
        },
        "published": datetime.now(UTC).date().isoformat(),
        "environments": environments,
        "attacks": _said(suite, run.board.status.attacks),
        "cautions": [],
        "verdict": verdict_of_checks(masking),
        "masking": masking,
        "results": [_plain(row) for row in records(rows)],
        "outcomes": {str(seed): packed(wrong) for seed in run.seeds(model) if (wrong := run.wrong(model, seed))},
        "artefacts": {record.id: record.files for record in steps.values()},
        "keys": {record.id: record.key for record in steps.values()},
    }
    # Of this model alone: the run's own are of all its models.
    content["cautions"] = board_of([content]).cautions(model)
    return {**content, "sha256": checksum(content)}


def of_model(suite: dict[str, Any], model: str) -> dict[str, Any]:
    """Give what a suite says of one model alone."""
    claims = [claim for claim in suite.get("claims") or () if claim["model"] == model]
    return {"models": {model: suite["models"][model]}, "claims": claims}


def _said(suite: Content, recorded: dict[str, Said]) -> dict[str, Said]:
    """Give what a suite's attacks say of themselves, as far as it is known."""
    names = dict.fromkeys(attack["name"] for attack in suite["attacks"])
    return {name: said for name in names if (said := said_of(name, recorded)) is not None}


def table_of(records: list[Content]) -> pd.DataFrame:
    """Tidy results of several records; differences are made of what became of their images, whoever was first then."""
    left_out = {*COMPARED, *WORTH}
    measured = [row for record in records for row in record["results"] if row["metric"] not in left_out]
    measured += [row for record in records for row in _worth(record)]
    baseline = next((record for record in records if record["model"] == records[0]["baseline"]), None)
    others = [record for record in records if record is not baseline]
    return tidy([*measured, *(row for record in others if baseline for row in _differences(record, baseline))])


def _differences(record: Content, baseline: Content) -> list[dict[str, Any]]:
    """Hold a record's worst case against another's; nothing where a record keeps no outcomes, or other seeds."""
    own, other = (each.get("outcomes") or {} for each in (record, baseline))
    if not own or own.keys() != other.keys():
        return []
    seeds = sorted(own, key=int)
    wrong, reference = ([unpacked(outcomes[seed]) for seed in seeds] for outcomes in (own, other))
    common = {name: record[name] for name in ("suite", "model", "dataset")}
    space, rows, stopping = record["configuration"]["threat_model"]["space"], [], stopping_in(record["results"])
    for key in wrong[0]:
        if key[0] == WORST and all(key in each for each in (*wrong, *reference)):
            first, second = ([~each[key] for each in outcomes] for outcomes in (wrong, reference))
            found = difference_of(*on_the_same_images(first, second), stopping)
            rows += [{**common, **row} for row in difference_rows(found, key[1], space)]
    return rows


def _worth(record: Content) -> Iterator[dict[str, Any]]:
    """Give what each attack was worth; nothing where a record keeps no outcomes.

    Nor of a seed that has not met an attack which was planned, or which another one has met, where an older record does
    not say what was: beside fewer, each is worth more.
    """
    common = {name: record[name] for name in ("suite", "model", "dataset")}
    configuration, recorded = record["configuration"], record.get("attacks", {})
    labels = [each["label"] for each in configuration["attacks"] if not is_noise(each["name"], recorded)]
    wrong = {seed: unpacked(outcomes) for seed, outcomes in (record.get("outcomes") or {}).items()}
    met = set().union(*wrong.values())
    missing = (record.get("steps") or {}).get("missing") or ()
    for seed, under in wrong.items():
        lacking = f"attack/{model_path(record['model'], int(seed))}/"
        if under.keys() < met or any(step.startswith(lacking) for step in missing):
            continue
        for row in worth_rows(under, labels, configuration["threat_model"]["space"]):
            yield {**common, "seed": int(seed), **row}


def board_of(records: list[Content]) -> Leaderboard:
    """One leaderboard of several records: all their models, attacks and diagnostics."""
    suite, unread = known_suite(Document("suite.yaml", suite_of(records), {}))
    masking = {record["model"]: record["masking"] for record in records if record["masking"]}
    taken = {record["model"]: record["steps"] for record in records if record.get("steps")}
    status = Status.of_models(
        {model: (steps["done"], steps["planned"]) for model, steps in taken.items()},
        distinct(each for record in records for each in environments_of(record)),
        {name: said for record in records for name, said in record.get("attacks", {}).items()},
    )
    return Leaderboard(table_of(records), suite.model_dump(mode="json"), masking, status=status, unread=unread)


def suite_of(records: list[Content]) -> Content:
    """One suite of several records: all their models, attacks and diagnostics, as they ran."""
    suite = dict(records[0]["configuration"])
    models = {name: spec for record in records for name, spec in record["configuration"]["models"].items()}
    # Differences are to the first model of a suite.
    first = [name for name in (records[0]["baseline"],) if name in models]
    suite["models"] = {name: models[name] for name in dict.fromkeys([*first, *models])}
    suite["seeds"] = sorted({seed for record in records for seed in record["configuration"]["seeds"]})
    attacks = {attack["label"]: attack for record in records for attack in record["configuration"]["attacks"]}
    suite["attacks"] = list(attacks.values())
    # A model's record keeps the claims about it alone.
    if any("claims" in record["configuration"] for record in records):
        suite["claims"] = [claim for record in records for claim in record["configuration"].get("claims") or ()]
    asked = {record["configuration"].get("question") for record in records}
    if len(asked) > 1 or None in asked:
        # An empty key would say no more, and commits of before there was such a key refuse it.
        suite.pop("question", None)
    suite["diagnostics"] = {}
    for record in records:
        for kind, spec in record["configuration"]["diagnostics"].items():
            suite["diagnostics"][kind] = suite["diagnostics"].get(kind) or spec
    return suite


def _require_found(run: Run, model: str, rows: pd.DataFrame, steps: dict[str, Record]) -> None:
    """Hold the run's table against what its steps say: whoever edits a table has not edited those."""

    def counted(table: pd.DataFrame) -> Counter[tuple[Any, ...]]:
        rows = [_plain(row) for row in records(table.drop(columns=["suite", "dataset"]))]
        return Counter(tuple(sorted(row.items())) for row in rows)

    found = tidy(
        {"suite": "", "dataset": "", "model": model, "seed": record.config.get("seed"), **row}
        for record in steps.values()
        for row in map(renamed_row, record.rows)
        if not is_time(row["metric"])
    )
    # A row that is left out or counted twice changes a mean as one that is made up does.
    for strange, says in (
        (counted(rows) - counted(found), "says what no step"),
        (counted(found) - counted(rows), "lacks what a step"),
    ):
        if strange:
            row = dict(sorted(strange, key=str)[0])
            what = f"{row['metric']} {row['attack']} = {row['value']}".replace("  ", " ")
            msg = f"results.csv of {run.folder} {says} of {model} found ({what}); run the suite again"
            raise UsageError(msg)


def _require_flags_shown(
    run: Run, model: str, rows: pd.DataFrame, masking: Content, steps: dict[str, Record], *, partial: bool
) -> None:
    shown = rows[rows["metric"] == "verdict"]
    verdicts = {str(seed): VERDICTS[int(value)] for seed, value in shown[["seed", "value"]].itertuples(index=False)}
    for seed in map(str, run.seeds(model)):
        step_id = f"masking/{model_path(model, int(seed))}"
        path = run.store.folder(step_id) / "masking.json"
        found = json.loads(path.read_text("utf-8")) if step_id in steps else None
        asked = bool(run.board.suite["diagnostics"].get("masking"))
        shown_as_found = found == masking.get(seed) and (found is None or verdicts.get(seed) == found["verdict"])
        if not shown_as_found or (asked and found is None and not partial):
            msg = (
                f"{run.folder} does not show what the checks for masked gradients found of {model}, seed {seed}; run "
                "the suite again"
            )
            raise UsageError(msg)


def _plain(row: dict[Any, Any]) -> Content:
    """Turn a row's missing numbers into None; a parameter that it has not is left out."""
    return {
        str(key): None if value is pd.NA or (isinstance(value, float) and math.isnan(value)) else value
        for key, value in row.items()
        if value != "" or key in COLUMNS
    }
