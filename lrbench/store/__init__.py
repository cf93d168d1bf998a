"""Where artefacts and results lie. The only room that writes them; files appear whole or not at all."""

from lrbench.store.folder import Store, taken_under
from lrbench.store.lock import Hold
from lrbench.store.paths import as_path, folder_of, is_remote, require_folder, shown
from lrbench.store.record import RECORD, Record, Row
from lrbench.store.view import View
from lrbench.store.write import StoreError, write_file

__all__ = [
    "RECORD",
    "Hold",
    "Record",
    "Row",
    "Store",
    "StoreError",
    "View",
    "as_path",
    "folder_of",
    "is_remote",
    "require_folder",
    "shown",
    "taken_under",
    "write_file",
]
