"""TODO storage.record."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidstyle.errors import OutputError

if TYPE_CHECKING:
    pass


KINDS = ("frames", "source")
"""What the folders of frames are called, before the number of a pass."""


OWN = frozenset({*KINDS, "trace", "pairs", "log"})
"""What else a render leaves there for its time; a grid's cells lie in a folder of that name too."""


def state_folder(output: Path) -> Path:
    return output.with_name(output.name + ".vidstyle")


@dataclass(frozen=True)
class Identity:
    """Enough of a file's metadata to know it again; survives a rename."""

    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> Identity | None:
        try:
            found = path.stat()
        except OSError:
            return None
        return cls(found.st_size, found.st_mtime_ns)


def read_record(folder: Path) -> dict[str, Any]:
    """What `render.json` says; nothing when it is missing or torn."""
    try:
        record = json.loads((folder / "render.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def written(output: Path) -> int:
    """How many frames lie in the state directory, those of every pass and of the source counted."""
    return sum(
        1
        for path in state_folder(output).glob("*/*.png")
        if path.parent.name.partition(".")[0] in KINDS
    )


def begun(output: Path) -> dict[str, Any] | None:
    """What the render of `output` is made of that has frames to continue from; None when there is
    none.
    """
    folder = state_folder(output)
    parts = read_record(folder).get("parts")
    there = isinstance(parts, dict) and any(folder.glob("frames*/*.png"))
    return parts if there else None


def is_own_output(output: Path) -> bool:
    """Whether `output` was delivered by the render whose state directory lies beside it, which a
    kill kept from tidying up.
    """
    delivered = read_record(state_folder(output)).get("delivered") or {}
    identity = Identity.of(output)
    return identity is not None and (identity.size, identity.mtime_ns) == (
        delivered.get("size"),
        delivered.get("mtime_ns"),
    )


def existing(output: Path) -> OutputError:
    return OutputError(
        f"{output} exists", "it would be replaced", "use -f to replace it, or another -o"
    )
