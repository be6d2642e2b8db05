"""What is wrong or doubtful in one part of the configuration, gathered rather than thrown, so that
a person sees all of it at once."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from daemon.errors import Fault


class Secrets(Enum):
    """Whether the config must be ready to run, or only right in itself."""

    REQUIRED = "required"  # `run`, reload: what an enabled entry needs from outside must be there
    OPTIONAL = "optional"  # `validate`, `test`, `next`: what is missing outside is only a warning


class Findings:
    """The findings in one entry, or in the settings.

    ``shape`` is what the schema already said of it, and ``known`` of what it shares with others
    (the file's ``defaults``): what stands there is held to no further rule. In a disabled entry
    nothing is more than a warning. ``spoiled`` says that something is wrong in itself, here or in
    what it takes from the defaults, so that no spec can be made of it.
    """

    def __init__(
        self,
        secrets: Secrets,
        shape: Iterable[Fault] = (),
        known: Iterable[Fault] = (),
        *,
        disabled: bool = False,
        spoiled: bool = False,
    ) -> None:
        self.disabled = disabled
        self.faults: list[Fault] = []
        self.warnings: list[Fault] = []
        self.spoiled = spoiled
        self._strict = secrets is Secrets.REQUIRED and not disabled
        shape = tuple(shape)
        self._shape = (*known, *shape)
        self._misshapen: set[tuple[int, int]] = set()
        for fault in shape:  # all of them: several keys may be missing in one place
            self.fault(fault)
        self._misshapen.update((fault.line, fault.column) for fault in self._shape)

    def misshapen(self, where: str) -> bool:
        """Whether the schema found anything wrong at the path ``where``, or within."""
        within = (f"{where}.", f"{where}[")
        return any(fault.path == where or fault.path.startswith(within) for fault in self._shape)

    def fault(self, fault: Fault) -> None:
        """Something that is wrong as it is written."""
        self.spoiled = True
        if (fault.line, fault.column) not in self._misshapen:
            (self.warnings if self.disabled else self.faults).append(fault)

    def unready(self, fault: Fault) -> None:
        """Something that the surroundings lack: a secret, a repository to dispatch to."""
        if (fault.line, fault.column) not in self._misshapen:
            (self.faults if self._strict else self.warnings).append(fault)

    def warn(self, fault: Fault) -> None:
        self.warnings.append(fault)
