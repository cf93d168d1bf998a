"""What a leaderboard says below its tables: how to read them, and how not to."""

from collections.abc import Hashable, Iterator
from typing import Any

from lrbench.errors import some
from lrbench.leaderboard.advantages import advantages
from lrbench.leaderboard.board import Leaderboard
from lrbench.leaderboard.layout import PAPER, ROBUST, labels, middle, summed_up
from lrbench.leaderboard.measured import measured_notes
from lrbench.leaderboard.met import attacks_of, only_weak, weak_at_the_headline, without_gradients
from lrbench.leaderboard.results import ADJUSTED
from lrbench.leaderboard.status import in_what_they_differ
from lrbench.leaderboard.stopped import fixed, stopped
from lrbench.leaderboard.warned import flags, not_standard
from lrbench.leaderboard.worth import ALONE, OPTIMALITY
from lrbench.views import in_percent, matching


def notes(board: Leaderboard) -> list[str]:
    """Give the lines in order."""
    return [
        *(f"NOT READ: {line}" for line in board.unread),
        *_missing(board),
        *_idle(board),
        *_lacking(board),
        *_environments(board),
        *_reading(board),
        *_strength(board),
        *_masking(board),
        *advantages(board),
        *_representation(board),
    ]


def _missing(board: Leaderboard) -> Iterator[str]:
    status = board.status
    if status.outdated:
        yield f"OUT OF DATE: {status.lack}. Run the same command to compute the figures."
    elif status.progress:
        steps = f"; not done: {status.left.unfinished}" if status.left and status.left.unfinished else ""
        yield f"MISSING: {status.progress}{steps}. Missing figures come last; run the same command to compute them."
    for model in board.models:
        if board.status.models and (progress := board.status.progress_of(model)):
            yield f"MISSING: {progress} of {model}."
    unknown = [model for model in board.models if not board.status.knows(model)]
    if unknown:
        yield (
            f"UNKNOWN: how many steps of {', '.join(unknown)} are done. An earlier version of lrbench wrote them, and "
            "did not record it."
        )
    causes = {step: reason for step, reason in board.failures.items() if not reason.startswith("needs ")}
    for step, reason in causes.items():
        yield f"MISSING: {step} failed: {reason} (its traceback is in steps/{step}/failure.txt)"
    if rest := len(board.failures) - len(causes):
        yield f"MISSING: {rest} steps that depend on those. Run the same command to try again."


def _idle(board: Leaderboard) -> Iterator[str]:
    for model in board.idle:
        yield board.cautions(model)[-1]


def _lacking(board: Leaderboard) -> Iterator[str]:
    asked = [
        kind for kind, spec in board.suite["diagnostics"].items() if spec and {"layer", "layers"}.intersection(spec)
    ]
    yield from without_gradients(board)
    yield from weak_at_the_headline(board)
    for model in board.models:
        lacks = board.suite["models"].get(model, {}).get("lacks") or ()
        if "layers" in lacks and asked:
            yield f"LEFT OUT of {model}: {', '.join(asked)}, since it has no named layers."


def _environments(board: Leaderboard) -> Iterator[str]:
    differing = in_what_they_differ(board.status.environments)
    if differing:
        settings = "; ".join(f"{key}: {', '.join(map(str, values))}" for key, values in differing.items())
        yield f"Computed on several machines, versions or settings, which may affect the figures. {settings}."


def _reading(board: Leaderboard) -> Iterator[str]:
    by = "Wilson interval" if fixed(board) else "interval: under attack of a confidence sequence, elsewhere Wilson's"
    yield (
        f"Means over seeds, ± standard deviation over seeds, [95 % {by}] for n images (the smallest n of any seed). "
        "± says how far trainings scatter; it is not the error of a figure, which the interval is, however small ± is."
        if len(board.suite["seeds"]) > 1
        else f"[95 % {by}] for n images, of one seed: another training may differ by more."
    )
    yield from stopped(board)
    if board.suite["attacks"]:
        at = board.shown.radius(middle(board.suite))
        placed = any(column.form == "rank" for block in board.blocks[:1] for column in block.columns)
        if placed:
            yield (
                f"Place: by verdict, then robust accuracy at {at}, then clean accuracy, rounded as shown. Equal "
                "figures tie; missing figures (-) come last, as do models that were not checked for masked gradients."
            )
        if board.suite["threat_model"]["space"] == "normalized":
            yield (
                "Radii are in sd, standard deviations of the training images' pixels: 8/255 in the suite is 0.0314 sd, "
                "and not 8 grey levels."
            )
    for attack in summed_up(board.suite):
        if attack in board.limits:
            limit = f"{board.limits[attack]:.3g}"
            yield (
                f"Error area {attack}{', as in the paper' if attack in PAPER else ''}: area under the curve of "
                f"misclassified % against L2 dissimilarity, divided by its range, 0 to {limit}; lower is more robust."
            )
    if board.suite["threat_model"].get("l2_dissimilarities"):
        yield "Robust accuracy at an L2 dissimilarity is interpolated between the radii of the attack."


def _strength(board: Leaderboard) -> Iterator[str]:
    if weak := [*only_weak(board)]:
        yield from weak
    elif board.suite["attacks"]:
        yield (
            "Robust accuracy: share of images that are still classified correctly under attack; higher is better. In "
            "the worst case: under every attack, at this radius and at smaller ones. At a radius where fewer attacks "
            'ran it is a looser bound. In the first table "of" is what it is to be held against: the '
            "clean accuracy on the very images that were attacked."
        )
    yield from not_standard(board)
    yield from _above_clean(board)
    yield from _worth(board)
    yield from _made_on_one(board)
    yield from _differences(board)


def _made_on_one(board: Leaderboard) -> Iterator[str]:
    """Name models of which more are fooled than of others since an attack has their gradients alone."""
    alone = board.results[(board.results["metric"] == ALONE) & (board.results["value"] > 0)]
    for label, attack in attacks_of(board).items():
        model = attack.get("surrogate")
        if len(alone[(alone["model"] == model) & (alone["attack"] == label)]):
            yield (
                f"NOT ALIKE: {label} has the gradients of {model}, and of no other model, and is the only attack to "
                f"fool some of its images. Do not hold the worst case of {model} against that of others: `lrbench "
                f"compare` leaves this attack out, and {attack['name']} without a surrogate treats all alike."
            )


def _above_clean(board: Leaderboard) -> Iterator[str]:
    """Name figures under attack that are above those of the same images without one, and say how that can be."""
    robust = matching(board.aggregated, {"metric": ROBUST})
    clean = {row["model"]: row for row in robust[robust["attack"] == ""].to_dict("records")}
    found = [
        f"{row['attack']} on {row['model']} at {board.shown.radius(row['eps'])} "
        f"({in_percent(row['value'])} %, clean {in_percent(clean[row['model']]['value'])} %)"
        for row in robust[robust["attack"].isin(labels(board.suite))].to_dict("records")
        if row["model"] in clean and _is_above(row, clean[row["model"]])
    ]
    if found:
        yield (
            f"Above the clean accuracy on the same images: {some(found, between='; ')}. What does not look for "
            "this network's errors, such as noise, a transfer attack or one towards a given class, can also put "
            "right an image that was wrong. In the worst case such an image counts as wrong: judge by that."
        )


def _is_above(row: dict[Hashable, Any], clean: dict[Hashable, Any]) -> bool:
    """Whether a figure is above another of the same images and seeds, beyond rounding."""
    same = (row["n"], row["seeds"]) == (clean["n"], clean["seeds"])
    return bool(same and row["value"] > clean["value"] + 1e-9)


def _worth(board: Leaderboard) -> Iterator[str]:
    """Say what the table of attacks means."""
    metrics = set(board.aggregated["metric"])
    if OPTIMALITY in metrics:
        yield (
            "Optimality (AttackBench): area under an attack's curve of success against radius, divided by the area "
            "under that of the best attack of each image, over the radii at which the attack ran "
            f"({_radii_of_attacks(board)}): compare attacks that share them. Only one to fool: images that would count "
            "as robust without this attack."
        )
    if "forward_passes" in metrics:
        yield "Passes of the model are counted. ms are by the clock, whatever ran beside: compare those of one run."
    budget = board.suite["threat_model"].get("budget")
    taken = board.results[board.results["metric"].isin(["forward_passes", "backward_passes"])]
    for attack, each in taken.groupby("attack", sort=False):
        total = each.groupby(["model", "seed", "eps"], dropna=False)["value"].sum().max()
        if budget is not None and total > budget:
            yield (
                f"OVER BUDGET: {attack} took {total:,.4g} passes an image, of {budget:,}. Points tried ahead of their "
                "turn count; another library's attack is as long as the suite says."
            )


def _radii_of_attacks(board: Leaderboard) -> str:
    """Say over which radii optimality is taken, once for attacks that share them."""
    ran = board.results[board.results["metric"] == ALONE]
    sharing: dict[tuple[str, ...], list[str]] = {}
    for attack, each in ran.groupby("attack", sort=False):
        radii = tuple(board.shown.radius(eps) for eps in sorted(set(each["eps"])))
        sharing.setdefault(radii, []).append(str(attack))
    return "; ".join(f"{', '.join(attacks)}: {', '.join(radii)}" for radii, attacks in sharing.items())


def _differences(board: Leaderboard) -> Iterator[str]:
    """Say how to read the table of differences, and of which trainings and images it speaks."""
    compared = matching(board.aggregated, {"metric": ADJUSTED})
    if compared.empty:
        return
    seeds, baseline = len(board.suite["seeds"]), next(iter(board.suite["models"]))
    yield (
        f"Differences of robust accuracy on the same images; positive: more robust than {baseline}. Each [95 % "
        "interval] is unadjusted: where it contains 0, the p_value in results.csv is 0.05 or more. Adjusted p: Holm, "
        f"over the {len(compared)} difference{'s' * (len(compared) > 1)} of that table. They "
        + (
            f"generalise to other images and other trainings, as far as {seeds} trainings can tell."
            if seeds > 1
            else "generalise to other images for this one training; another training may differ by more."
        )
    )


def _masking(board: Leaderboard) -> Iterator[str]:
    if not board.masking:
        return
    yield (
        "Verdict: whether the evaluation can be trusted, not whether the model is robust; the worst over seeds. Held "
        "up: all checks for masked gradients passed, so a strong attack can be believed; a weak one stays weak. "
        "Suspicious: attacks are known to fail on such models. Broken: the figures contradict each other, so an attack "
        "did fail. Not checked: no checks ran."
    )
    yield from flags(board)


def _representation(board: Leaderboard) -> Iterator[str]:
    yield from measured_notes(board.shown, board.suite)
    reference = board.suite.get("reference")
    if reference and reference["caveat"]:
        yield reference["caveat"]
