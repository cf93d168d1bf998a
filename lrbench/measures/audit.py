"""What is left of claimed robust accuracies under attacks that change one thing each, and why."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from lrbench.declared import named
from lrbench.measures.base import Measure, Metric, Options, Progress, Row, Subject, proportion
from lrbench.strict import Count

if TYPE_CHECKING:
    from lrbench.data import ImageData
    from lrbench.diagnostics.claims import Audit
    from lrbench.views import Block, Chart, Column, Shown

RUNG = ("claim", "rung")

COLUMNS = (
    "audit_robust_accuracy", "audit_worst", "audit_less", "audit_forward_passes", "audit_backward_passes", "audit_time",
)  # fmt: skip
"""Figures of a rung, as tables show them."""

KEPT = "audit.json"

PANELS = {"audit_robust_accuracy": "each attack alone", "audit_worst": "this attack and all above it"}

NONE = "none"

USUAL = 200
"""Images, where a suite does not say."""


class ClaimAuditOptions(Options):
    """A ladder of attacks for each of the suite's `claims`, on `samples` test images (default: 200, or all if fewer).

    `effort` says how much each may do, `surrogates` how many of the suite's other models attacks are made on. The
    `whole` ladder has rungs, too, that tell nothing new, since nothing has withstood those before.
    """

    samples: Count | None = None
    effort: Literal["short", "full"] = "short"
    surrogates: Annotated[int, Field(ge=0, le=100)] = 1
    whole: bool = False


@named("audit")
class ClaimAudit(Measure):
    """What attacks that change one thing each leave of claimed robust accuracies, and why (`claims`)."""

    Options = ClaimAuditOptions
    of_claims: ClassVar[bool] = True
    figures: ClassVar[Mapping[str, Metric]] = {
        "audit_claimed": Metric("claimed", "percent", "higher", ("claim",)),
        "audit_robust_accuracy": Metric("alone", "percent", "higher", RUNG),
        "audit_worst": Metric("worst so far", "percent", "higher", RUNG),
        "audit_less": Metric("less than the claim's attack", "points", None, RUNG),
        "audit_forward_passes": Metric("forward passes", cost=True, parameters=RUNG),
        "audit_backward_passes": Metric("backward passes", cost=True, parameters=RUNG),
        "audit_time": Metric("ms an image", "milliseconds", time=True, parameters=RUNG),
        "audit_not_tried": Metric("not tried", parameters=(*RUNG, "reason")),
        "audit_sign": Metric("images at which gradients say little", "percent", "lower", ("claim", "sign")),
        "audit_place": Metric("of a module's output in leaps or unexplained", "percent", "lower", ("claim", "place")),
        "audit_verdict": Metric("closed of the gap", "percent", None, ("claim", "bill", "cause", "rung")),
        "audit_gap": Metric("gap to the claim's attack", "percent", "lower", ("claim",)),
    }

    def unfit(self, options: Any, data: "ImageData") -> Iterator[tuple[tuple[str, ...], str]]:
        """Ask for as many images."""
        if options.samples is not None and options.samples > len(data.test):
            yield ("samples",), f"asks for {options.samples} of {len(data.test)} test images"

    def beside(self, options: Any) -> int:
        """Give how many other models attacks are made on."""
        return int(options.surrogates)

    def passes(self, options: Any, train: int, test: int) -> float:
        """Climb a ladder of which some images withstand all rungs."""
        return float(_count(options, test)) * (2000.0 if options.effort == "short" else 15000.0)

    def take(self, options: Any, subject: Subject, progress: Progress) -> Iterator[Row]:
        """Audit claim by claim; every rung is kept as soon as it has been climbed."""
        known: dict[str, dict[str, Any]] = json.loads(subject.unfinished or b"{}")
        for index, claimed in enumerate(subject.claims):

            def told(share: float, what: str, index: int = index) -> None:
                progress((index + share) / len(subject.claims), what)

            def keep(rung: str, content: dict[str, Any], index: int = index) -> None:
                known.setdefault(str(index), {})[rung] = content
                subject.save(json.dumps(known).encode())

            yield from _rows(_audited(options, subject, claimed, known.get(str(index), {}), keep, told))
        subject.kept[KEPT] = json.dumps(known).encode()

    def summary(self, options: Any, shown: "Shown") -> Iterator["Column"]:
        """Give of the first claim what is left; models of which it is not claimed have none."""
        for claim in _claims(shown)[:1]:
            last = list(dict.fromkeys(shown.rows("audit_worst", claim=claim)["rung"]))[-1]
            key = f"audit_worst[{claim},{last}]"
            yield shown.column("audit_worst", f"left of {claim}", "percent", key, claim=claim, rung=last)

    def tables(self, options: Any, shown: "Shown") -> Iterator["Block"]:
        """Give a table for each claim, with a row for each rung."""
        from lrbench.views import Block

        for claim in _claims(shown):
            columns = [each for rung in _rungs(shown, claim) for each in _columns(self.figures, shown, claim, rung)]
            yield Block(f"Audit of {claim}", columns, by="rung")

    def notes(self, options: Any, shown: "Shown") -> Iterator[str]:
        """Say of each claim what is left, why, and what was not tried."""
        from lrbench.diagnostics.claims import Verdict, conclusion, not_tried

        for row in shown.rows_of_seeds("audit_verdict").to_dict("records"):
            where = {"claim": row["claim"], "model": row["model"], "seed": row["seed"]}
            gap = float(shown.rows_of_seeds("audit_gap", **where)["value"].iloc[0])
            cause, rung = (str(row[name]).replace(NONE, "") for name in ("cause", "rung"))
            verdict = Verdict(row["bill"], cause, rung, float(row["value"]), gap)
            said = f"{row['model']}, seed {row['seed']}: {_said(shown, where)}. {conclusion(verdict)}"
            yield said.removesuffix(".") + "."
            signs = shown.rows_of_seeds("audit_sign", **where).to_dict("records")
            listed = ", ".join(f"{each['sign']} {100 * each['value']:.0f} %" for each in signs)
            places = [str(each["place"]) for each in shown.rows_of_seeds("audit_place", **where).to_dict("records")]
            if row["bill"] != "nothing left":
                yield ". ".join([f"Of {signs[0]['n']:.0f} images that were looked at: {listed}", *places]) + "."
                skipped = shown.rows_of_seeds("audit_not_tried", **where).to_dict("records")
                yield from not_tried({each["rung"]: each["reason"] for each in skipped})

    def charts(self, options: Any, shown: "Shown") -> Iterator["Chart"]:
        """Draw the ladder of each claim: every rung alone, and together with those before."""
        from lrbench.views import Axis, Chart, Panel, n_suffix

        for claim in _claims(shown):
            said = 100 * shown.rows("audit_claimed", claim=claim)["value"]
            panels = []
            for figure in ("audit_robust_accuracy", "audit_worst"):
                rows = shown.rows(figure, claim=claim)
                ends = {"low": 100 * rows["ci_low"], "high": 100 * rows["ci_high"]}
                table = rows.assign(value=100 * rows["value"], **ends)[["model", "rung", "value", "low", "high"]]
                x = Axis("value", f"robust accuracy, %{n_suffix(rows)}", domain=(0, 100))
                y = Axis("rung", "", "category", order=_rungs(shown, claim))
                panels.append(Panel(table, x, y, "points", PANELS[figure], rules=list(said)))
            name = "audit-" + re.sub(r"[^A-Za-z0-9.]+", "-", claim).strip("-")
            caption = " ".join(f"{said}." for said in _verdicts(shown, claim))
            caption += " Each attack changes one thing of the claim's own, on the same images. Dotted: as claimed. "
            caption += "Error bars are 95 % Wilson intervals."
            yield Chart(name, f"Audit of {claim}", caption, panels, shown.labels)


def _count(options: Any, test: int) -> int:
    """Give how many images are attacked."""
    return min(USUAL, test) if options.samples is None else int(options.samples)


def _audited(
    options: Any, subject: Subject, claimed: Mapping[str, Any], known: Any, keep: Any, progress: Progress
) -> "Audit":
    from lrbench.attacks import NormalizedSpace
    from lrbench.data import to_unit
    from lrbench.diagnostics.claims import Claim, audit

    split = subject.test.balanced(_count(options, len(subject.test)))
    x, model, others = to_unit(split.pixels), subject.model, dict(subject.others)
    names = ("attack", "options", "eps", "robust_accuracy", "norm", "space", "source")
    claim = Claim(**{name: claimed[name] for name in names})
    if (statistics := claimed["statistics"]) is not None:
        model = NormalizedSpace(model, *statistics)
        x, others = model.encode(x), {name: NormalizedSpace(other, *statistics) for name, other in others.items()}
    return audit(
        model, x, split.labels, claim, others=others, effort=options.effort, whole=options.whole,
        seed=subject.seed, known=known, keep=keep, progress=progress,
    )  # fmt: skip


def _rows(found: "Audit") -> Iterator[Row]:
    """Give the rows of an audit."""
    claim, n = {"claim": found.claim.label}, found.images
    if found.claim.robust_accuracy is not None:
        yield {"metric": "audit_claimed", "value": found.claim.robust_accuracy / 100, **claim}
    for rung in found.ladder.rungs:
        where = {**claim, "rung": rung.name}
        if rung.tried is None or rung.alone is None or rung.worst is None:
            yield {"metric": "audit_not_tried", "value": 1, **where, "reason": " ".join(rung.reason.split())[:200]}
            continue
        yield proportion("audit_robust_accuracy", rung.alone.value, n, **where)
        yield proportion("audit_worst", rung.worst.value, n, **where)
        low, high = rung.less_interval
        yield {"metric": "audit_less", "value": rung.less, "ci_low": low, "ci_high": high, "n": n, **where}
        yield {"metric": "audit_forward_passes", "value": rung.tried.forward, **where}
        yield {"metric": "audit_backward_passes", "value": rung.tried.backward, **where}
        yield {"metric": "audit_time", "value": rung.tried.seconds / n, **where}
    for sign, share in found.shares.items():
        looked_at = {"n": found.shares.images} if found.shares.images else {}
        yield {"metric": "audit_sign", "value": share, "sign": sign, **claim, **looked_at}
    for place, share in found.ladder.places.items():
        yield {"metric": "audit_place", "value": share, "place": place, **claim}
    verdict = found.verdict
    said = {"bill": verdict.bill, "cause": verdict.cause or NONE, "rung": verdict.rung or NONE}
    yield {"metric": "audit_verdict", "value": verdict.closes, "n": n, **claim, **said}
    yield {"metric": "audit_gap", "value": verdict.gap, "n": n, **claim}


def _claims(shown: "Shown") -> list[str]:
    return list(dict.fromkeys(row["claim"] for row in shown.rows_of_seeds("audit_gap").to_dict("records")))


def _verdicts(shown: "Shown", claim: str) -> Iterator[str]:
    """Say of each model in a few words what a claim comes to."""
    for row in shown.rows_of_seeds("audit_verdict", claim=claim).to_dict("records"):
        cause = "" if row["cause"] == NONE else f"{', but' if row['bill'] == 'clean' else ':'} {row['cause']}"
        none = row["rung"] == NONE or row["bill"] == "clean"
        most = "" if none else f", {row['rung']} closes {100 * row['value']:.0f} % of the gap"
        yield f"{row['model']}, seed {row['seed']}: {row['bill']}{cause}{most}"


def _rungs(shown: "Shown", claim: str) -> list[str]:
    """Give the rungs that some model has, in the ladder's order, which is that of any model's rows."""
    from lrbench.diagnostics.claims import LADDER

    there = set(shown.rows("audit_robust_accuracy", claim=claim)["rung"])
    return [rung.name for rung in LADDER if rung.name in there]


def _columns(figures: Mapping[str, Metric], shown: "Shown", claim: str, rung: str) -> Iterator["Column"]:
    from lrbench.diagnostics.claims import LADDER

    row = next(f"{rung} ({each.change})" for each in LADDER if each.name == rung)
    for figure in COLUMNS:
        metric = figures[figure]
        key = f"{figure}[{json.dumps(claim)},{rung}]"
        column = shown.column(figure, metric.heading, metric.form, key, claim=claim, rung=rung)
        yield replace(column, row=row, passing=metric.time)


def _said(shown: "Shown", where: Mapping[str, Any]) -> str:
    """Write what is claimed, what is found with the claim's own attack, and what is left."""
    from lrbench.views import in_percent

    claimed = shown.rows_of_seeds("audit_claimed", **where)["value"]
    own = shown.rows_of_seeds("audit_robust_accuracy", rung="own", **where).iloc[0]
    left = in_percent(shown.rows_of_seeds("audit_worst", **where)["value"].min())
    said = f"{100 * claimed.iloc[0]:.4g} % claimed, " if len(claimed) else ""
    missed = len(claimed) and not own["ci_low"] <= claimed.iloc[0] <= own["ci_high"]
    ours, low, high = (in_percent(own[each]) for each in ("value", "ci_low", "ci_high"))
    said = f"{'NOT REPRODUCED: ' if missed else ''}{said}ours {ours} % ({low} to {high})"
    return f"{said} with the claim's own attack, {where['claim']}; {left} % left after all"
