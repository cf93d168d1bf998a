"""`python -m lrbench.cli`."""

from lrbench.cli import program

if __name__ == "__main__":
    program()
