"""What records of a board rest on: networks of other models, which a newer record may have replaced."""

from collections.abc import Iterable

from lrbench.errors import UsageError, printable
from lrbench.leaderboard.kept import Content


def require_what_they_rest_on(new: Iterable[Content], there: Iterable[Content], others: list[Content]) -> None:
    """Refuse records in place of others whose networks those that stay were attacked from, or start from.

    Parameters
    ----------
    new : iterable of dict
        Records to publish.
    there : iterable of dict
        Those of the same models that are published.
    others : list of dict
        Those of other models, which stay.

    Raises
    ------
    UsageError
        With the first that another record rests on, and that is of other networks now.
    """
    before = {record["model"]: record for record in there}
    for record in new:
        model = record["model"]
        resting = [other["model"] for other in others if model in _needed(other)]
        if resting and model in before and not _same_networks(before[model], record):
            msg = (
                f"{printable(resting[0])} of {printable(record['suite'])}, published before, was made with other "
                f"networks of {printable(model)} than this run's; publish elsewhere with --to, or remove its record"
            )
            raise UsageError(msg)


def _needed(record: Content) -> set[str]:
    """Give the models that a record's own starts from, or is attacked from."""
    configuration = record["configuration"]
    start = configuration["models"][record["model"]].get("init_from")
    return {start, *(attack.get("surrogate") for attack in configuration["attacks"])} - {None}


def _same_networks(first: Content, second: Content) -> bool:
    """Whether two records are of the same networks, by what these were made from, or by what they are."""
    keys, files = ([each.get(what) or {} for each in (first, second)] for what in ("keys", "artefacts"))
    shared = [step for step in files[0].keys() & files[1].keys() if step.startswith(("train/", "load/"))]
    return all(
        keys[0][step] == keys[1][step] if step in keys[0] and step in keys[1] else files[0][step] == files[1][step]
        for step in shared
    )
