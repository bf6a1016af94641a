"""The record of a render, `render.json`, and the names in its state directory."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidstyle.config.fingerprint import with_part_names
from vidstyle.errors import OutputError

PAINT_FOLDERS = ("frames", "paint")
"""The names, before their first dot, of the folders of painted frames."""

LAYER_FOLDERS = (*PAINT_FOLDERS, "source", "hold")
"""The same of all folders that a layer may have."""

PACKED_FOLDER = "packed"
"""The name of the folder of the frames that nothing needs at full depth any more."""

RENDER_FILES = frozenset(
    {*LAYER_FOLDERS, PACKED_FOLDER, "trace", "pairs", "log", "learned", "early", "cover"}
)
"""The names, before their first dot, of all that a render leaves in its state directory except the
record and the locks. A grid keeps its images in a folder of that name too.
"""


def state_folder(output: Path) -> Path:
    """Return the state directory of the render that makes `output`."""
    return output.with_name(output.name + ".vidstyle")


@dataclass(frozen=True)
class FileIdentity:
    """Enough of a file's metadata to recognise the file later; a rename does not change it."""

    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> FileIdentity | None:
        """Look at a file; None when it is not there."""
        try:
            stat = path.stat()
        except OSError:
            return None
        return cls(stat.st_size, stat.st_mtime_ns)


def read_record(folder: Path) -> dict[str, Any]:
    """Read `render.json` in a state directory; empty when the file is missing or torn. The parts of
    the fingerprint have their present names, whatever version wrote them.

    Raises OutputError where somebody has changed the file to what no render writes.
    """
    try:
        record = json.loads((folder / "render.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(record, dict):
        return {}
    if wrong := find_wrong_value(record):
        raise OutputError(
            f"cannot continue the render in {folder}",
            f"{wrong} in its render.json is not what a render writes: the file was changed",
            f"put that right, or remove {folder} to start over",
        )
    if isinstance(record.get("parts"), dict):
        record["parts"] = with_part_names(record["parts"])
    return record


TABLES = ("parts", "versions", "encoder", "delivered", "traced", "trace")
"""The entries of a record that are tables, or not there, or null."""


def find_wrong_value(record: dict[str, Any]) -> str:
    """Name the first value of a record that has the wrong type; "" where there is none."""
    for name in TABLES:
        if not isinstance(record.get(name), dict | None):
            return name
    encoder = record.get("encoder") or {}
    parts = record.get("parts") or {}
    kinds = (
        ("encoder.pid", encoder.get("pid", 0), int),
        ("encoder.temporary", encoder.get("temporary", ""), str),
        ("parts.tile", parts.get("tile", 0), int),
    )
    missing = [
        f"encoder.{name}" for name in ("pid", "temporary") if encoder and name not in encoder
    ]
    wrong = [name for name, value, kind in kinds if not isinstance(value, kind)]
    return next(iter((*missing, *wrong)), "")


def has_frames(folder: Path) -> bool:
    """Tell whether painted frames lie in a state directory, of whatever layer and pass."""
    return any((folder / PACKED_FOLDER).glob("*.json")) or any(
        any(path.glob("*.png"))
        for kind in PAINT_FOLDERS
        for path in (folder / kind, *folder.glob(f"{kind}.*"))
    )


def count_frame_files(output: Path) -> int:
    """Count the frames in the state directory, those of every pass and of the source included."""
    return sum(
        1
        for path in state_folder(output).glob("*/*.png")
        if path.parent.name.partition(".")[0] in LAYER_FOLDERS
    )


def count_finished_frames(output: Path) -> int:
    """Count the finished frames in the state directory, packed ones included."""
    folder = state_folder(output)
    names = (path.stem for path in (folder / "frames").glob("*.png"))
    files = {int(name) for name in names if name.isdigit()}
    for card in (folder / PACKED_FOLDER).glob("*.json"):
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
            first = int(card.stem)
            files |= set(range(first, first + len(json.loads(card.read_text())["labels"])))
    return len(files)


def read_started_parts(output: Path) -> dict[str, Any] | None:
    """Read the fingerprint parts of the render of `output`, where it has frames to continue from;
    else None.
    """
    folder = state_folder(output)
    parts = read_record(folder).get("parts")
    if isinstance(parts, dict) and has_frames(folder):
        return parts
    return None


def is_own_output(output: Path) -> bool:
    """Tell whether `output` was delivered by the render whose state directory lies next to it, and
    which a kill kept from tidying up.
    """
    delivered = read_record(state_folder(output)).get("delivered") or {}
    identity = FileIdentity.of(output)
    return identity is not None and (identity.size, identity.mtime_ns) == (
        delivered.get("size"),
        delivered.get("mtime_ns"),
    )


def output_exists_error(output: Path) -> OutputError:
    """Make the refusal to replace a file."""
    return OutputError(
        f"{output} exists", "it would be replaced", "use -f to replace it, or another -o"
    )
