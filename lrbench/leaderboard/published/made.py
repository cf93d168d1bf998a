"""When records were published, with what they were made, and how long that took."""

from collections.abc import Iterable

from lrbench.leaderboard.figure_text import MISSING
from lrbench.leaderboard.kept import Content, environments_of
from lrbench.leaderboard.text import duration

HEADINGS = ("published", "steps took", "commit", "torch", "device")


def made(records: list[Content]) -> tuple[str, ...]:
    """Give what `HEADINGS` are headings of, for a record or for all of a board.

    Steps count one after the other, whether or not they ran side by side. Records of earlier formats say nothing of
    the day and the time, and a board with one of them nothing of its time.
    """
    environments = [each for record in records for each in environments_of(record)]
    days = sorted({str(record["published"]) for record in records if record.get("published")})
    seconds: list[float | None] = [(record.get("steps") or {}).get("seconds") for record in records]
    known = [each for each in seconds if each is not None]
    return (
        " to ".join(dict.fromkeys((days[0], days[-1]))) if days else MISSING,
        duration(sum(known)) if known and len(known) == len(seconds) else MISSING,
        _each(str(each.get("commit")) for each in environments),
        _each(str(each.get("packages", {}).get("torch")) for each in environments),
        _each(f"{each.get('device_name')} ({each.get('device')})" for each in environments),
    )


def _each(values: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(values))
