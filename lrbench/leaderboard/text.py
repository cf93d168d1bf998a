"""Anybody's text inside the markup of a format, as text, and long texts short."""

LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
}
MARKDOWN = {char: f"\\{char}" for char in "\\`*_[]|#~$"} | {"<": "&lt;", ">": "&gt;", "&": "&amp;"}


def in_latex(text: str) -> str:
    """Escape text for LaTeX."""
    return "".join(LATEX.get(char, char) for char in text)


def in_markdown(text: str) -> str:
    """Escape text for a cell or a line of Markdown, where HTML would count, too."""
    return "".join(MARKDOWN.get(char, char) for char in text)


WIDEST = 80
"""Characters of one of two values that are shown beside each other."""

AROUND = 12
"""Characters that stay of what both have in common, on either side of what differs."""


def duration(seconds: float | None) -> str:
    """Write a duration for people: 42 s, 3 min 10 s, 2 h 5 min."""
    if seconds is None:
        return "unknown"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def beside_each_other(first: str, second: str) -> tuple[str, str]:
    """Shorten two texts that differ so that it is seen in what: first what they have in common at their ends."""
    if max(len(first), len(second)) <= WIDEST:
        return first, second
    before = _common(first, second)
    after = _common(first[before:][::-1], second[before:][::-1])
    start, end = max(0, before - AROUND), max(0, after - AROUND)
    shown = [
        ("..." if start else "") + _without_middle(each[start : len(each) - end]) + ("..." if end else "")
        for each in (first, second)
    ]
    return shown[0], shown[1]


def _common(first: str, second: str) -> int:
    """Count the characters with which both begin."""
    differ = (place for place, (a, b) in enumerate(zip(first, second, strict=False)) if a != b)
    return next(differ, min(len(first), len(second)))


def _without_middle(text: str) -> str:
    """Leave out the middle of a long text, and say how much."""
    half = WIDEST // 2
    return text if len(text) <= WIDEST else f"{text[:half]}...{len(text) - 2 * half:,} more...{text[-half:]}"
