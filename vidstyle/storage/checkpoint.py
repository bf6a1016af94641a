"""The state directory of a render, `out.mp4.vidstyle/` beside `out.mp4`.

::

    render.json      what this render is (fingerprint and its parts, versions) and how far its delivery got
    frames/000000.png   16-bit frames, see `framefile`; a frame is done when its file says so
    frames.2/        the same of an earlier pass, here the second, until the next one is complete
    source/          the input's frames at the size of the render, where there are several passes
    lock             held by the process that renders
    log.txt          what happened, run after run
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidstyle.config.fingerprint import RENDER_FORMAT, fingerprint
from vidstyle.config.settings import RenderConfig, facts_of
from vidstyle.errors import OutputError, SettingsChangedError
from vidstyle.storage import atomic
from vidstyle.storage.atomic import disk_errors
from vidstyle.storage.frame_store import FrameStore
from vidstyle.storage.lock import held
from vidstyle.storage.record import (
    OWN,
    Identity,
    existing,
    is_own_output,
    read_record,
    state_folder,
)

if TYPE_CHECKING:
    from torch import Tensor


class Checkpoint:
    """The frames and the record of one render; made by `hold`."""

    def __init__(
        self, output: Path, parts: dict[str, Any], size: tuple[int, int], count: int
    ) -> None:
        self.output, self.folder = output, state_folder(output)
        self.parts, self.fingerprint = {"render_format": RENDER_FORMAT, **parts}, fingerprint(parts)
        self.size, self.count = size, count
        self.final = FrameStore(self.folder / "frames", self.fingerprint, size)
        self.frames = self.final.path
        self.source = FrameStore(self.folder / "source", f"{self.fingerprint}-source", size)
        self.record: dict[str, Any] = {}

    def begin(
        self, versions: dict[str, str], *, restart: bool, overwrite: bool = True
    ) -> list[str]:
        """Take up what an earlier run left, or start over. Returns warnings.

        Raises, before anything is touched, SettingsChangedError when finished frames were made with
        other settings, and without `overwrite` OutputError when an output is there that this very
        render did not make.
        """
        old = read_record(self.folder)
        encoder = old.get("encoder")  # whatever else is forgotten: it may still run
        changed = old.get("fingerprint") != self.fingerprint
        differences = compare(old.get("parts") or {}, self.parts)
        kept = self.holds_frames()
        if old and changed and differences and kept and not restart:
            names = "; ".join(
                f"{k}: {brief(usual(k, a))} -> {brief(usual(k, b))}"
                for k, (a, b) in differences.items()
            )
            raise SettingsChangedError(
                f"the frames in {self.folder} were made with other settings",
                f"changed: {names}",
                "use the old settings, another -o, or --restart to throw those frames away",
                differences,
            )
        if not overwrite and self.output.exists() and (changed or not is_own_output(self.output)):
            raise existing(self.output)
        warnings = []
        if restart:
            self.final.drop()
            self.drop_passes()
        elif not changed and kept and old.get("versions") != versions:
            others = compare(old.get("versions") or {}, versions).items()
            listed = ", ".join(f"{k} {a} -> {b}" for k, (a, b) in others)
            warnings.append(f"continuing frames made with other versions ({listed})")
        # Files beside the output that are known for this render's own stay so.
        traced = {**(old.get("traced") or {}), **(old.get("trace") or {})}
        if restart or changed:
            old = {}
        now = {
            "fingerprint": self.fingerprint,
            "parts": self.parts,
            "versions": versions,
            "encoder": encoder,
        }
        now |= {"traced": traced} if traced else {}
        self.record = {**old, **now}
        self.final.open()
        self.save_record()
        return warnings

    def save_record(self, **changes: Any) -> None:
        self.record.update(changes)
        with disk_errors(self.folder):
            text = json.dumps(
                self.record, indent=1, sort_keys=True
            )  # ASCII: a path need not be UTF-8
            atomic.write_atomically(self.folder / "render.json", text.encode())

    def log(self, line: str) -> None:
        """Append a line with the time; a log that cannot be written stops nothing."""
        log = self.folder / "log.txt"
        with (
            contextlib.suppress(OSError),
            log.open("a", encoding="utf-8", errors="surrogateescape") as f,
        ):
            f.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {line}\n")

    def path(self, index: int) -> Path:
        return self.final.file(index)

    def scan(self) -> list[int]:
        """The frames still to render."""
        return self.final.missing(range(self.count))

    def save(self, index: int, image: Tensor) -> None:
        """Keep frame `index`, (3, H, W): whole on the disk when this returns."""
        self.final.save(index, image)

    def load(self, index: int) -> Tensor:
        """Frame `index` as (3, H, W) in [0, 1], exactly as `frames.quantise` gave it."""
        return self.final.load(index)

    def pass_frames(self, number: int) -> FrameStore:
        """The frames of a pass before the last one, which has `final`."""
        return FrameStore(
            self.folder / f"frames.{number}", f"{self.fingerprint}-pass{number}", self.size
        )

    def pass_folders(self) -> list[Path]:
        return [path for path in self.folder.glob("frames.*") if path.is_dir()]

    def holds_frames(self) -> bool:
        """Whether there is work to lose, of whatever pass."""
        return any(any(path.glob("*.png")) for path in (self.frames, *self.pass_folders()))

    def drop_passes(self) -> None:
        """Forget all that the last pass was made from."""
        for path in (self.source.path, *self.pass_folders()):
            shutil.rmtree(path, ignore_errors=True)

    def deliver(
        self, temporary: Path, settings: dict[str, Any], *, overwrite: bool = False
    ) -> None:
        """Give the finished file its name. What it is goes on record first, so that a kill between
        here and the end of tidying up leaves a finished render, not a mystery."""
        if not overwrite and self.output.exists() and not is_own_output(self.output):
            temporary.unlink()
            raise OutputError(
                f"{self.output} appeared while it was being rendered",
                "it is not this render's, and would be replaced",
                "rename it and run the same command again: all frames are kept; or use -f to replace it",
            )
        identity = Identity.of(temporary)
        assert identity is not None, "the encoder checked its file"
        self.save_record(
            delivered={"size": identity.size, "mtime_ns": identity.mtime_ns, "settings": settings}
        )
        with disk_errors(self.folder):
            temporary.replace(self.output)
        self.save_record(encoder=None)

    def is_delivered(self, settings: dict[str, Any]) -> bool:
        """Whether the output is there, made by this render from these frames with these encoder
        settings.
        """
        delivered = self.record.get("delivered") or {}
        return is_own_output(self.output) and bool(delivered.get("settings") == settings)

    def end_orphan(self) -> None:
        """End the encoder of a killed run, if it outlived it, and remove what such runs wrote."""
        encoder = self.record.get("encoder")
        if encoder:
            if runs_on(encoder["pid"], Path(encoder["temporary"])):
                with contextlib.suppress(OSError):
                    os.kill(encoder["pid"], getattr(signal, "SIGKILL", signal.SIGTERM))
            self.save_record(encoder=None)
        # By name, not by the record: a run may be killed before it has recorded its encoder, and
        # --restart forgets it.
        name, suffix = re.escape(self.output.name), re.escape(self.output.suffix)
        for path in self.output.parent.iterdir():
            if re.fullmatch(rf"\.{name}\.\d+\.tmp{suffix}", path.name):
                path.unlink(missing_ok=True)

    def remove(self) -> None:
        """Tidy up after success; the record goes last, so that an interrupted removal is known for
        what it is.
        """
        for path in self.folder.iterdir():
            if path.name.partition(".")[0] in OWN:
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(
                    missing_ok=True
                )
        (self.folder / "render.json").unlink(missing_ok=True)


def compare(old: dict[str, Any], new: dict[str, Any]) -> dict[str, tuple[object, object]]:
    """{name: (old, new)} of what differs, also inside nested tables."""
    differences: dict[str, tuple[object, object]] = {}
    for name in sorted({*old, *new}):
        a, b = old.get(name), new.get(name)
        if isinstance(a, dict) and isinstance(b, dict):
            differences |= compare(a, b)
        elif a != b:
            differences[name] = (a, b)
    return differences


def usual(name: str, value: object) -> object:
    """What a setting that is not in the fingerprint stands at."""
    return (
        facts_of(name).neutral_or_none
        if value is None and name in RenderConfig.model_fields
        else value
    )


def brief(value: object) -> str:
    """A setting as text; of digests the first digits, of a mixture of styles its parts."""
    if (
        isinstance(value, list)
        and value
        and all(isinstance(one, list) and len(one) == 3 for one in value)
    ):
        times = ("" if at is None else f" at {at:g} s" for _, _, at in value)
        parts = (
            f"{share:.3g} of {digest}{at}"
            for (digest, share, _), at in zip(value, times, strict=True)
        )
        return brief(", ".join(parts))
    return re.sub(r"\b([0-9a-f]{12})[0-9a-f]{52}\b", r"\1", str(value))


def runs_on(pid: int, temporary: Path) -> bool:
    """Whether process `pid` is still the encoder that writes `temporary`, and not another one that
    got its number since.
    """
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False  # ended, or a system without /proc, where the file's removal has to do
    return os.fsencode(temporary.name) in command


@contextlib.contextmanager
def hold(checkpoint: Checkpoint) -> Iterator[Checkpoint]:
    """Keeps other runs away from this output until the block ends. Raises LockedError."""

    def finished() -> bool:
        if not checkpoint.holds_frames():
            # Refused, or stopped before the first frame: nothing to continue from
            checkpoint.remove()
        return not (checkpoint.folder / "render.json").exists()

    with held(checkpoint.folder, checkpoint.output, finished):
        yield checkpoint
