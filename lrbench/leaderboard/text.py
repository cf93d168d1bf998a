"""Anybody's text inside the markup of a format, as text."""

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
MARKDOWN = {char: f"\\{char}" for char in "\\`*_[]|#~"} | {"<": "&lt;", ">": "&gt;", "&": "&amp;"}


def in_latex(text: str) -> str:
    """Escape text for LaTeX."""
    return "".join(LATEX.get(char, char) for char in text)


def in_markdown(text: str) -> str:
    """Escape text for a cell or a line of Markdown, where HTML would count, too."""
    return "".join(MARKDOWN.get(char, char) for char in text)
