"""How benchmarks read their arguments."""


def positive(text: str) -> int:
    """Read a number of at least 1."""
    if (number := int(text)) < 1:
        raise ValueError
    return number
