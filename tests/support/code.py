"""Code and libraries that look changed to a plan, while what runs stays the same."""

from lrbench.runner.code import closure, libraries, meaning, modules, own, steps

CACHES = (
    meaning.parsed,
    meaning.folder_version,
    modules.module,
    modules.definition_of,
    closure.closure,
    closure._hash,
    steps._shared,
    own._own_code,
)


CHANGED = []
"""What seems changed since all was read anew."""


def forget():
    """Let the next plan read everything anew."""
    for cached in CACHES:
        cached.cache_clear()


def forget_changes():
    """Let the next plan read everything anew if something seemed to be changed."""
    if CHANGED:
        forget()
    CHANGED.clear()


def touch(monkeypatch, ending, old, new):
    """Let the file whose path ends so seem to hold `new` in place of `old`."""

    def source(file):
        text = file.read_text("utf-8")
        if file.as_posix().endswith(ending):
            assert old in text
            return text.replace(old, new)
        return text

    monkeypatch.setattr(meaning, "source_of", source)
    CHANGED.append(ending)
    forget()


def install(monkeypatch, distribution, version):
    """Let a distribution seem to be installed in a version."""
    real = libraries.version_of
    monkeypatch.setattr(libraries, "version_of", lambda name: version if name == distribution else real(name))
    CHANGED.append(distribution)
    forget()
