"""What the processes of a test run make once, and then all of them read."""

import fcntl
import hashlib
import json
import os
from functools import wraps


def made_once(path, make):
    """Give a path that `make` has made: whoever comes first makes it, and others wait."""
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            made = path.with_name(f"{path.name}.made")
            make(made)
            made.rename(path)
    return path


class Kept:
    """What functions of text, numbers and specifications gave, in a folder, by what they were given."""

    def __init__(self, folder):
        self.folder, self.functions = folder, {}
        folder.mkdir(exist_ok=True)

    def __call__(self, function):
        """The same function, that asks itself only once."""
        self.functions[function.__name__] = function

        @wraps(function)
        def asked(*given, **options):
            key = json.dumps([function.__name__, given, options])
            path = self.folder / hashlib.sha256(key.encode()).hexdigest()
            if not path.exists():
                found = function(*given, **options)
                half = path.with_suffix(f".{os.getpid()}")
                half.write_bytes(found if isinstance(found, bytes) else found.encode())
                half.rename(path)
                return found
            content = path.read_bytes()
            return content if function.__name__.endswith("png") else content.decode()

        return asked
