"""Locks where no system frees them: leases that their holder renews, and that anybody may break once they are old."""

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from lrbench.store.chain import Chain, Entry, State
from lrbench.store.lock import Hold, LockedError, is_gone, this_process
from lrbench.store.losing import STALE_SECONDS, lost, unanswered

LEASE = ".lease"

RENEW_SECONDS = 20.0

LOOK_SECONDS = 1.0
"""So often a holder looks at its clock."""

ASKING_SECONDS = 10.0
"""So long a part waits for one who asks for the whole to get it or to go."""


class Leases:
    """Leases on the whole and on its parts, each a chain of links (`lrbench.store.chain`) beside the results.

    Taking, renewing, breaking and giving back each add the link that follows the one that was read; of two who try,
    one succeeds and the other learns it. So what can go wrong goes thus:

    - Two take one stale lease: one adds the link, the other finds it held.
    - A holder sleeps past its lease: while nobody took it, it continues. Else its next renewal adds nothing, and
      its next write, which asks the store first, is refused: nothing of the other's is overwritten or removed.
    - A holder sleeps between asking and writing: it had looked at what it writes over before it asked, and writes only
      over that (`lrbench.store.changes`). What the other wrote since stays; where the other had written nothing yet,
      the one write lands, and the other writes over it.
    - Clocks differ by more than `STALE_SECONDS`: a lease that is kept may be broken; its holder learns it as above.
    - A crash between two operations leaves links that do not count, or a lease that nobody renews, which gets old.
    - The answer to an addition is lost: the link is known again by its writer's token.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lease: Lease | None = None

    def take(self, part: str | None) -> str | None:
        """Take the whole or a part.

        First one's own, then a look at the others': so of a part and the whole at least one sees the other. Whoever
        asks for the whole goes where there is a part; a part waits until the whole is held or was given up.
        """
        lease = Lease(self.root, part)
        before = lease.take("asking" if part is None else "held")
        try:
            for other in self._parts() if part is None else [None]:
                self._pass(_chain(self.root, other), patient=part is not None)
            lease.settle()
        except BaseException:
            lease.free()
            raise
        self._lease = lease
        return before

    @property
    def hold(self) -> Hold | None:
        """What shows other processes that they write for the holder; None where nothing is held."""
        return None if self._lease is None else self._lease.hold

    def check(self, *, ask: bool) -> None:
        """See that what was taken was not lost since."""
        if self._lease is not None:
            self._lease.check(ask=ask)

    def free(self) -> None:
        """Give back what was taken, unless it was lost."""
        if self._lease is not None:
            self._lease.free()
            self._lease = None

    def _parts(self) -> Iterator[str]:
        for path in self.root.glob(f"{LEASE}-*"):
            yield path.name.removeprefix(f"{LEASE}-")

    @staticmethod
    def _pass(chain: Chain, *, patient: bool) -> None:
        """Go on if nobody holds a lease; one that is stale is broken, so that its holder cannot renew it."""
        deadline = time.monotonic() + ASKING_SECONDS
        while (found := chain.last())[1].state in {"asking", "held"}:
            number, entry = found
            if _is_stale(entry):
                chain.add(number, Entry("broken", entry.owner, time.time(), uuid.uuid4().hex))
            elif patient and entry.state == "asking" and time.monotonic() < deadline:
                time.sleep(0.1)
            else:
                raise LockedError(entry.owner)


class Lease:
    """One lease, and the thread that renews it.

    Parameters
    ----------
    root : Path
        Of the run.
    part : str or None
        What it is on; None for the whole.
    kind : str
        Leases of other kinds know nothing of each other.
    """

    def __init__(self, root: Path, part: str | None, kind: str = LEASE) -> None:
        self.root, self._chain = root, _chain(root, part, kind)
        self._owner, self._token = this_process(), uuid.uuid4().hex
        self.hold = Hold(part, self._token)
        self._state: State = "held"
        self._number, self._renewed = 0, 0.0
        self._taken: Entry | None = None
        self._guard, self._end = threading.Lock(), threading.Event()

    def take(self, state: State) -> str | None:
        """Take it; give whose stale one it was.

        Raises
        ------
        LockedError
            If somebody holds it.
        OSError
            If the store gives no answer.
        """
        added = False
        while not added:
            self._number, before = self._chain.last()
            if before.state in {"asking", "held"} and not _is_stale(before):
                raise LockedError(before.owner)
            added = self._add(state)
        threading.Thread(target=self._keep, daemon=True).start()
        return None if before.state == "ended" else before.owner

    def settle(self) -> None:
        """Hold what was asked for.

        Raises
        ------
        LockedError, OSError
            As `take`.
        """
        with self._guard:
            if self._state == "asking" and not self._renew("held"):
                raise LockedError(self._taken.owner if self._taken else "")

    def check(self, *, ask: bool) -> None:
        """See that it was not lost.

        Raises
        ------
        StoreError
            If it was, or the store gives no answer.
        """
        with self._guard:
            try:
                if ask and self._taken is None:
                    self._ask()
            except OSError as error:
                raise unanswered(self.root, error) from error
            if self._taken is not None:
                raise lost(self.root, self._taken)

    def free(self) -> None:
        """Give it back, unless it was lost; where the store does not answer, it gets old by itself."""
        self._end.set()
        with self._guard, suppress(OSError):
            self._renew("ended")

    def _keep(self) -> None:
        # Short waits by the wall clock: other clocks stand still while a machine sleeps.
        while not self._end.wait(min(LOOK_SECONDS, RENEW_SECONDS)) and self._taken is None:
            # Where the store does not answer, the next write says so.
            with self._guard, suppress(OSError):
                if not self._end.is_set() and abs(time.time() - self._renewed) >= RENEW_SECONDS:
                    self._renew(self._state)

    def _renew(self, state: State) -> bool:
        """Add a link of ours to ours; False if another's has come between."""
        while self._taken is None and not self._add(state):
            self._ask()
        return self._taken is None

    def _add(self, state: State) -> bool:
        now = time.time()
        if not self._chain.add(self._number, Entry(state, self._owner, now, self._token)):
            return False
        self._state, self._number, self._renewed = state, self._number + 1, now
        return True

    def _ask(self) -> None:
        if self._chain.number() != self._number:
            number, entry = self._chain.last()
            if entry.token == self._token:
                # Of an addition whose answer was lost.
                self._number = number
            else:
                self._taken = entry


class Lent:
    """The lease of another process, for which this one writes.

    Parameters
    ----------
    root : Path
    hold : Hold
    """

    def __init__(self, root: Path, hold: Hold) -> None:
        self._root, self._hold = root, hold

    def check(self, *, ask: bool) -> None:
        """See that it is still held.

        Raises
        ------
        StoreError
            If it is not, or the store gives no answer.
        """
        if not ask:
            return
        try:
            _, entry = _chain(self._root, self._hold.part).last()
        except OSError as error:
            raise unanswered(self._root, error) from error
        if entry.token != self._hold.token or entry.state != "held":
            raise lost(self._root, entry)


def _chain(root: Path, part: str | None, kind: str = LEASE) -> Chain:
    return Chain(root / (kind if part is None else f"{kind}-{part}"))


def _is_stale(entry: Entry) -> bool:
    return time.time() - entry.written > STALE_SECONDS or is_gone(entry.owner)
