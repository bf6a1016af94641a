"""Every error a user can meet, in one tree.

::

    VidstyleError                 what, why and what to do, one line each; carries the exit code
    ├── Refusal                   exit 2: nothing was rendered, nothing was touched
    │   ├── ConfigError           a flag or a TOML value is out of range or unknown
    │   ├── InputError            the input is missing, or holds no picture
    │   ├── StyleError            the style image is missing or cannot be decoded
    │   ├── OutputError           the output exists, or cannot be written so
    │   ├── SettingsChangedError  the checkpoints were made with other settings: `differences`
    │   ├── LockedError           another process is rendering this output, or this shot of it
    │   ├── DiskSpaceError        too little free space, found before the first frame
    │   ├── MemoryLimitError      a frame takes more memory than there is or --max-memory allows
    │   ├── WeightsError          a weight file is missing, damaged or of the wrong network
    │   └── ToolError             no ffmpeg that can do the job
    ├── RenderError               exit 1: failed on the way, finished frames are kept
    │   ├── DecodeError           the input broke midway; `missing` is the number of lost frames;
    │   │                         exit 2 where that is found before the first frame
    │   ├── DiskFullError         the disk ran full while writing
    │   ├── EncodeError           the encoder failed or wrote too few frames
    │   └── FFmpegError           any other failed ffmpeg process, with the end of its stderr
    └── Interrupted               exit 130 (Ctrl-C) or 143 (terminated): the same command continues
"""

from __future__ import annotations


class VidstyleError(Exception):
    """An error a person can act on.

    Args:
        what: what happened, one line, no full stop.
        why: the cause, one line.
        hint: what to do about it, one line.
    """

    exit_code = 1

    def __init__(self, what: str, why: str, hint: str) -> None:
        super().__init__(what, why, hint)
        self.what = what
        self.why = why
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.what}\n{self.why}\n{self.hint}"


class Refusal(VidstyleError):  # noqa: N818 - it is a refusal, not an accident
    exit_code = 2


class ConfigError(Refusal):
    pass


class InputError(Refusal):
    pass


class StyleError(Refusal):
    pass


class OutputError(Refusal):
    pass


class SettingsChangedError(Refusal):
    """Checkpoints of other settings; `differences` maps each changed setting to (value in the
    checkpoints, value asked for).
    """

    def __init__(
        self, what: str, why: str, hint: str, differences: dict[str, tuple[object, object]]
    ) -> None:
        super().__init__(what, why, hint)
        self.differences = differences


class LockedError(Refusal):
    pass


class DiskSpaceError(Refusal):
    pass


class MemoryLimitError(Refusal):
    pass


class WeightsError(Refusal):
    pass


class ToolError(Refusal):
    pass


class RenderError(VidstyleError):
    pass


class DecodeError(RenderError):
    """A file that broke midway; `missing` is the number of frames that it promises and the decoder
    did not deliver.

    Args:
        is_refusal: it was found before the first frame, so that nothing was rendered.
    """

    def __init__(
        self, what: str, why: str, hint: str, missing: int, *, is_refusal: bool = False
    ) -> None:
        super().__init__(what, why, hint)
        self.missing = missing
        if is_refusal:
            self.exit_code = Refusal.exit_code


class DiskFullError(RenderError):
    pass


class EncodeError(RenderError):
    pass


class FFmpegError(RenderError):
    pass


class Interrupted(VidstyleError):  # noqa: N818 - asked for by the user
    """The end that the user asked for; `exit_code` is 128 + the signal's number."""

    def __init__(self, what: str, why: str, hint: str, exit_code: int) -> None:
        super().__init__(what, why, hint)
        self.exit_code = exit_code
