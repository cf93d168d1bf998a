"""libtiff, by which Pillow decodes compressed TIFFs, prints what it finds damaged; Pillow raises what matters of it."""

import ctypes
from ctypes.util import find_library
from functools import cache
from pathlib import Path

import PIL

HANDLERS = ("TIFFSetErrorHandler", "TIFFSetWarningHandler")


@cache
def hush_libtiff() -> None:
    """Keep libtiff from printing to standard error, in this process.

    Its own switch is used: to redirect the descriptor would take away what other threads print meanwhile.
    """
    folder = Path(PIL.__file__).parent
    folders = (folder.parent / "pillow.libs", folder / ".dylibs", folder.parent / "Pillow.libs")
    own = [str(file) for each in folders for file in sorted(each.glob("*libtiff*"))]
    for name in own or [find_library("tiff") or "libtiff.so"]:
        try:
            library = ctypes.CDLL(name)
            setters = [getattr(library, handler) for handler in HANDLERS]
        except (OSError, AttributeError):  # of a build that has it inside itself
            continue
        for setter in setters:
            setter.restype, setter.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
            setter(None)
