"""A registry of things that a suite can name; knows names and one-line summaries without importing them."""

import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from types import MappingProxyType
from typing import Any, TypeVar

from lrbench.declared import Declared, declared_in
from lrbench.errors import UsageError, nearest, short

F = TypeVar("F", bound=Callable[..., Any])


def load_target(target: str) -> Callable[..., Any]:
    """Import what "module:attribute" names.

    Raises
    ------
    UsageError
        If it is not there.
    """
    module, _, attribute = target.partition(":")
    try:
        factory: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        if module.startswith("lrbench."):
            raise
        msg = f"cannot load {target}: {short(error)}"
        raise UsageError(msg) from error
    return factory


@dataclass(frozen=True)
class Entry:
    """A registered name: its factory, or "module:attribute" to import it from, and a line about it."""

    name: str
    target: Callable[..., Any] | str
    summary: str
    declared: Declared | None = None

    def says(self, what: str, otherwise: Any) -> Any:  # noqa: ANN401
        """Give a class attribute of the factory; `otherwise` if it has none, or would have to be imported for it."""
        if self.declared is not None:
            return self.declared.facts.get(what, otherwise)
        return otherwise if isinstance(self.target, str) else getattr(self.target, what, otherwise)

    @property
    def signature(self) -> inspect.Signature | None:
        """What the factory is called with; None if it would have to be imported for it."""
        if self.declared is not None:
            return self.declared.signature
        try:
            return None if isinstance(self.target, str) else inspect.signature(self.target)
        except (TypeError, ValueError):
            return None

    def load(self) -> Callable[..., Any]:
        """Give the factory, imported now if it was not before."""
        if callable(self.target):
            return self.target
        return load_target(self.target)


class Registry:
    """Names of one kind ("model", "attack", "data set") and what they stand for.

    Parameters
    ----------
    kind : str
    builtin : dict
        Name -> (target, summary).
    declared : (str, str), optional
        A folder of the package and a decorator: what files there declare by it is built in, too (`lrbench.declared`).
    supplied : tuple of str
        Parameters that lrbench passes to a factory itself; no option may name them.
    elsewhere : str, optional
        Target of a function that gives the factory for a name with a colon, such as "timm:resnet18".
    forms : dict
        Form of such names -> summary, for listings.
    group : str, optional
        Entry-point group under which installed packages offer more names; looked up when first needed.
    ending : str, optional
        Of files that are looked up elsewhere, too.
    """

    def __init__(
        self,
        kind: str,
        builtin: Mapping[str, tuple[str, str]] = MappingProxyType({}),
        *,
        declared: tuple[str, str] | None = None,
        supplied: tuple[str, ...] = (),
        elsewhere: str | None = None,
        forms: dict[str, str] | None = None,
        group: str | None = None,
        ending: str | None = None,
    ) -> None:
        self.kind = kind
        self.elsewhere = elsewhere
        self.forms = forms or {}
        self.group = group
        self.ending = ending
        self.supplied = supplied
        self._builtin, self._declared = builtin, declared

    @cached_property
    def _entries(self) -> dict[str, Entry]:
        """What comes with lrbench and what is registered, by name."""
        declared = {} if self._declared is None else declared_in(*self._declared)
        entries = {name: Entry(name, *described) for name, described in declared.items()}
        return entries | {name: Entry(name, *described) for name, described in self._builtin.items()}

    def register(self, name: str) -> Callable[[F], F]:
        """Register the decorated factory under `name`.

        Raises
        ------
        UsageError
            If another factory has that name already.
        """

        def decorate(factory: F) -> F:
            known = self._entries.get(name)
            if known is not None and not _same(known.target, factory):
                msg = f"the {self.kind} name {name!r} is taken already; choose another"
                raise UsageError(msg)
            if known is not None and known.declared is not None:
                return factory
            summary = (factory.__doc__ or "").strip().partition("\n")[0]
            self._entries[name] = Entry(name, factory, summary)
            return factory

        return decorate

    def __getitem__(self, name: str) -> Entry:
        if name in self._entries:
            return self._entries[name]
        if self.elsewhere is not None and self.is_elsewhere(name):
            try:
                return Entry(name, load_target(self.elsewhere)(name), "")
            except LookupError as error:
                raise UsageError(str(error)) from None
        if name in self._installed:
            return self._installed[name]
        msg = f"unknown {self.kind} {name!r}; {nearest(name, [*self._entries, *self._installed])}"
        raise UsageError(msg)

    def is_elsewhere(self, name: str) -> bool:
        """Whether a name is none of this registry's own by its form: one with a colon, or of a file."""
        return ":" in name or (self.ending is not None and name.endswith(self.ending))

    def offers(self, name: str) -> bool:
        """Whether an installed package offers a name, whatever is registered under it in this process."""
        return name in self._installed

    def __contains__(self, name: str) -> bool:
        """Whether a name is registered here; what a name with a colon stands for is not looked up."""
        return name in self._entries

    def __iter__(self) -> Iterator[Entry]:
        offered = (entry for name, entry in self._installed.items() if name not in self._entries)
        return iter([*self._entries.values(), *offered])

    @cached_property
    def _installed(self) -> dict[str, Entry]:
        """What installed packages offer, by name; none is imported."""
        if self.group is None:
            return {}
        found = {}
        for point in metadata.entry_points(group=self.group):
            package = point.dist.name if point.dist else "an installed package"
            found[point.name] = Entry(point.name, point.value, f"from the package {package}")
        return found


def _same(known: Callable[..., Any] | str, factory: Callable[..., Any]) -> bool:
    """Whether a factory is registered again when its module is loaded, not another one under its name."""
    return (known if isinstance(known, str) else _defined_in(known)) == _defined_in(factory)


def _defined_in(factory: Callable[..., Any]) -> str:
    return f"{getattr(factory, '__module__', '')}:{getattr(factory, '__qualname__', factory)}"
