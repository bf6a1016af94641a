"""The state directory of a render, `out.mp4.vidstyle/` next to `out.mp4`.

::

    render.json         the record: fingerprint and its parts, versions, how far the delivery got
    frames/000000.png   16-bit frames, see `png16`; a frame is done when its file says so
    packed/000240.mkv   240 finished frames that nothing needs at full depth any more
    paint.000012/       painted frames that are not yet finished ones, of the layer from frame 12 on
    source.000012/      its source frames that are needed twice, hold.000012/ what it holds
    frames.2.000012/    its frames of an earlier pass, here the second, until the next is complete
    lock                locked by the process that renders
    shot-000012.lock    locked by the process that renders the layer from frame 12 on
    log.txt             the log, run after run
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidstyle.config.fingerprint import ASKED_BY, RENDER_FORMAT, fingerprint
from vidstyle.config.settings import RenderConfig, facts_of
from vidstyle.errors import OutputError, SettingsChangedError
from vidstyle.storage.atomic import disk_errors, write_atomically
from vidstyle.storage.frame_store import FrameStore
from vidstyle.storage.lock import (
    is_shot_locked,
    lock_folder,
    refuse_locked_shots,
    remove_idle_shot_locks,
)
from vidstyle.storage.record import (
    LAYER_FOLDERS,
    PACKED_FOLDER,
    RENDER_FILES,
    FileIdentity,
    has_frames,
    is_own_output,
    output_exists_error,
    read_record,
    state_folder,
)

if TYPE_CHECKING:
    from torch import Tensor

Differences = dict[str, tuple[object, object]]
"""Maps a name to its old and its new value."""


class Checkpoint:
    """The frames and the record of one render. Use it under `lock_output`.

    Args:
        output: the file that the render makes.
        parts: the parts of its fingerprint.
        size: (width, height) of its frames.
        count: the number of its frames.
    """

    def __init__(
        self, output: Path, parts: Mapping[str, Any], size: tuple[int, int], count: int
    ) -> None:
        self.output = output
        self.folder = state_folder(output)
        self.parts = {"render_format": RENDER_FORMAT, **parts}
        self.fingerprint = fingerprint(parts)
        self.size = size
        self.count = count
        self.final = FrameStore(self.folder / "frames", self.fingerprint, size)
        self.record: dict[str, Any] = {}

    def has_changed(self) -> bool:
        """Tell whether what is on the disk is of other settings, or nothing is."""
        return bool(read_record(self.folder).get("fingerprint") != self.fingerprint)

    def begin(
        self, versions: dict[str, str], *, restart: bool, overwrite: bool = True
    ) -> list[str]:
        """Continue from the frames that an earlier run left, or start over.

        Args:
            versions: those of the libraries that frames depend on.
            restart: throw the frames of earlier runs away.
            overwrite: an output that is there may be replaced.

        Returns:
            Warnings for the user.

        Raises, before anything is touched:
            SettingsChangedError: finished frames were made with other settings.
            OutputError: an output is there that this very render did not make, and may not be
                replaced.
            LockedError: frames that another process makes would be thrown away.
        """
        old = read_record(self.folder)
        # An old encoder may still run, whatever else is forgotten.
        encoder = old.get("encoder")
        is_changed = old.get("fingerprint") != self.fingerprint
        if is_changed and not restart:
            refuse_differences(
                self.folder, find_differences(old.get("parts") or {}, self.parts), old
            )
        if (
            not overwrite
            and self.output.exists()
            and (is_changed or not is_own_output(self.output))
        ):
            raise output_exists_error(self.output)
        if restart or is_changed:
            refuse_locked_shots(self.output)
        warnings = []
        if restart:
            self.final.delete()
            self.delete_layers()
        elif not is_changed and self.has_frames() and old.get("versions") != versions:
            others = find_differences(old.get("versions") or {}, versions).items()
            listed = ", ".join(f"{name} {before} -> {after}" for name, (before, after) in others)
            warnings.append(f"continuing frames made with other versions ({listed})")
        # Files next to the output that are known as this render's own stay so.
        traced = {**(old.get("traced") or {}), **(old.get("trace") or {})}
        if restart or is_changed:
            old = {}
            for path in self.folder.glob("learned.*"):
                path.unlink()
        now = {
            "fingerprint": self.fingerprint,
            "parts": self.parts,
            "versions": versions,
            "encoder": encoder,
        }
        now |= {"traced": traced} if traced else {}
        self.record = {**old, **now}
        self.final.open()
        if not is_shot_locked(self.folder):
            delete_half_written(self.folder)
        self.save_record()
        return warnings

    def save_record(self, **changes: Any) -> None:
        """Write the record with these changes."""
        self.record.update(changes)
        with disk_errors(self.folder):
            # ASCII: a path need not be UTF-8.
            text = json.dumps(self.record, indent=1, sort_keys=True)
            write_atomically(self.folder / "render.json", text.encode())

    def log(self, line: str) -> None:
        """Append a line with the time; a log that cannot be written stops nothing."""
        log = self.folder / "log.txt"
        with (
            contextlib.suppress(OSError),
            log.open("a", encoding="utf-8", errors="surrogateescape") as f,
        ):
            f.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {line}\n")

    def frame_path(self, index: int) -> Path:
        """Return the place of frame `index` of the output."""
        return self.final.frame_path(index)

    def load(self, index: int) -> Tensor:
        """Read frame `index` as (3, H, W) in [0, 1], exactly as `frames.quantise` gave it."""
        return self.final.load(index)

    def has_frames(self) -> bool:
        """Tell whether there is work to lose, of whatever pass."""
        return has_frames(self.folder)

    def delete_layers(self) -> None:
        """Remove all that the finished frames were made from."""
        for path in layer_folders(self.folder):
            shutil.rmtree(path, ignore_errors=True)

    def deliver(
        self, temporary: Path, settings: dict[str, Any], *, overwrite: bool = False
    ) -> None:
        """Give the finished file its name. Its identity goes on record first, so that a kill
        between here and the end of tidying up leaves a finished render, not a mystery.

        Raises OutputError when a foreign output has appeared, and may not be replaced.
        """
        if not overwrite and self.output.exists() and not is_own_output(self.output):
            temporary.unlink()
            raise OutputError(
                f"{self.output} appeared while it was being rendered",
                "it is not this render's, and would be replaced",
                "rename it and run the same command again: all frames are kept; "
                "or use -f to replace it",
            )
        identity = FileIdentity.of(temporary)
        assert identity is not None, "the encoder checked its file"
        self.save_record(
            delivered={"size": identity.size, "mtime_ns": identity.mtime_ns, "settings": settings}
        )
        with disk_errors(self.folder):
            temporary.replace(self.output)
        self.save_record(encoder=None)

    def is_delivered(self, settings: dict[str, Any]) -> bool:
        """Tell whether the output is there, made by this render from these frames with these
        encoder settings.
        """
        delivered = self.record.get("delivered") or {}
        return is_own_output(self.output) and bool(delivered.get("settings") == settings)

    def end_orphan(self) -> None:
        """End the encoder of a killed run, if it outlived it, and remove what such runs wrote."""
        encoder = self.record.get("encoder")
        if encoder:
            if is_encoder_alive(encoder["pid"], Path(encoder["temporary"])):
                with contextlib.suppress(OSError):
                    os.kill(encoder["pid"], getattr(signal, "SIGKILL", signal.SIGTERM))
            self.save_record(encoder=None)
        # By name, not by the record: a run may be killed before it has recorded its encoder, and
        # --restart forgets it.
        name = re.escape(self.output.name)
        suffix = re.escape(self.output.suffix)
        for path in self.output.parent.iterdir():
            if re.fullmatch(rf"\.{name}\.\d+\.tmp{suffix}", path.name):
                path.unlink(missing_ok=True)

    def remove(self) -> None:
        """Tidy up after success."""
        remove_render_files(self.folder)


def remove_render_files(folder: Path) -> None:
    """Remove what a render has left in its state directory. The record goes last: while it is
    there, an interrupted removal still belongs to a finished render.
    """
    for path in folder.iterdir():
        if path.name.partition(".")[0] not in RENDER_FILES:
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    remove_idle_shot_locks(folder)
    (folder / "render.json").unlink(missing_ok=True)


def delete_half_written(folder: Path) -> None:
    """Remove the half-written frames of killed runs. No other process may write frames."""
    with disk_errors(folder, begun=False):
        for leftover in folder.glob("*/*.tmp"):
            # Another process may be packing.
            if leftover.parent.name != PACKED_FOLDER:
                leftover.unlink(missing_ok=True)


def layer_folders(folder: Path) -> list[Path]:
    """List the folders of single layers in a state directory."""
    return [
        path
        for path in folder.iterdir()
        if path.is_dir() and path.name.partition(".")[0] in LAYER_FOLDERS and path.name != "frames"
    ]


def refuse_changed_settings(
    output: Path, known_parts: Mapping[str, Any], *, restart: bool = False
) -> None:
    """Raise SettingsChangedError, as `Checkpoint.begin` would, when `output` has frames that were
    made with other settings, as far as these are known yet. Touches nothing.

    Args:
        output: the file that the render makes.
        known_parts: some of the parts of its fingerprint; the others are not compared. A part that
            is known to be absent is None.
        restart: the frames will be thrown away, so nothing is refused.
    """
    if restart:
        return
    folder = state_folder(output)
    record = read_record(folder)
    known = {"render_format": RENDER_FORMAT, **known_parts}
    old_parts = record.get("parts") or {}
    old = {name: old_parts.get(name) for name in known}
    refuse_differences(folder, find_differences(old, known), record)


def refuse_differences(folder: Path, differences: Differences, record: dict[str, Any]) -> None:
    """Raise SettingsChangedError where a state directory with this record has frames, and parts of
    their fingerprint differ.
    """
    if not (record and differences and has_frames(folder)):
        return
    by_setting = {
        setting: differences[name]
        for setting, name in sorted((ASKED_BY.get(name, name), name) for name in differences)
    }
    names = "; ".join(
        f"{name}: {value_text(name, old)} -> {value_text(name, new)}"
        for name, (old, new) in by_setting.items()
    )
    raise SettingsChangedError(
        f"the frames in {folder} were made with other settings",
        f"changed: {names}",
        "use the old settings, another -o, or --restart to throw those frames away",
        by_setting,
    )


def find_differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Differences:
    """Return {name: (old, new)} of all values that differ, also inside nested tables. An absent
    value is None.
    """
    differences: Differences = {}
    for name in sorted({*old, *new}):
        before = old.get(name)
        after = new.get(name)
        if isinstance(before, dict) and isinstance(after, dict):
            differences |= find_differences(before, after)
        elif before != after:
            differences[name] = (before, after)
    return differences


def value_text(name: str, value: object) -> str:
    """Return a part of a fingerprint as text: a setting that is absent by its neutral value,
    digests by their first digits, a mixture of styles by its parts.
    """
    if value is None and name in RenderConfig.model_fields:
        value = facts_of(name).neutral_or_none
    is_mixture = (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(one, list) and len(one) == 3 for one in value)
    )
    if is_mixture:
        assert isinstance(value, list)
        # A record may hold anything.
        with contextlib.suppress(TypeError, ValueError):
            value = ", ".join(
                f"{share:.3g} of {digest}" + ("" if at is None else f" at {at:g} s")
                for digest, share, at in value
            )
    return re.sub(r"\b([0-9a-f]{12})[0-9a-f]{52}\b", r"\1", str(value))


def is_encoder_alive(pid: int, temporary: Path) -> bool:
    """Tell whether process `pid` is still the encoder that writes `temporary`, and not another one
    that has its number now.
    """
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        # Ended, or a system without /proc, where the file's removal has to do.
        return False
    return os.fsencode(temporary.name) in command


@contextlib.contextmanager
def lock_output(
    output: Path, *, keep_empty: bool = False, wait_seconds: float = 0.0
) -> Iterator[None]:
    """Keep other runs away from this output until the block ends.

    Args:
        keep_empty: the state directory stays although no frame is in it yet.
        wait_seconds: how long another run is waited for.

    Raises LockedError.
    """
    folder = state_folder(output)

    def is_finished() -> bool:
        # Refused, or stopped before the first frame: nothing to continue from, unless it is the
        # record of a finished output, or another process has begun a shot.
        is_empty = not has_frames(folder) and not is_shot_locked(folder)
        if is_empty and not keep_empty and not is_own_output(output):
            remove_render_files(folder)
        return not (folder / "render.json").exists()

    with lock_folder(folder, output, is_finished, wait_seconds):
        yield
