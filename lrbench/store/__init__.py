"""Where artefacts and results lie. The only room that writes them; files appear whole or not at all."""

from lrbench.store.folder import RECORD, Record, Row, Store, taken_under
from lrbench.store.lease import Hold
from lrbench.store.places import is_remote, place_of, shown
from lrbench.store.write import StoreError, write_file

__all__ = [
    "RECORD",
    "Hold",
    "Record",
    "Row",
    "Store",
    "StoreError",
    "is_remote",
    "place_of",
    "shown",
    "taken_under",
    "write_file",
]
