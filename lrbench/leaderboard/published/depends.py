"""What records of a board rest on: networks of other models, which a newer record may have replaced."""

from collections.abc import Iterable

from lrbench.errors import UsageError, printable
from lrbench.leaderboard.kept import Content
from lrbench.leaderboard.networks import is_told, networks_of


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
        if resting and model in before and not _has_all(record, before[model]):
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


def _has_all(record: Content, before: Content) -> bool:
    """Whether a record is of all networks that an earlier one was of."""
    networks, ours = networks_of(record), is_told(record["configuration"]["models"][record["model"]])
    return all(
        step in networks and networks[step].is_same(each, ours=ours) for step, each in networks_of(before).items()
    )
