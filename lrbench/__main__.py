"""`python -m lrbench`, which is `lrbench` of this very Python."""

from lrbench.cli import program

if __name__ == "__main__":
    program()
