"""The plan of the output, made before anything is rendered: its path, container, codec and
encoder.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

from vidstyle.errors import OutputError
from vidstyle.frames import Timeline
from vidstyle.video import ffmpeg
from vidstyle.video.containers import CONTAINERS, SoundWish, Track, plan_tracks
from vidstyle.video.losses import description_options, kept_time_code, list_losses
from vidstyle.video.probe import Source

IMAGES = {
    ".png": "png",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".webp": "webp",
    ".tif": "tiff",
    ".tiff": "tiff",
}

_KIND_WORDS = {"video": "a video", "animation": "an animation", "image": "a still image"}

_MAX_NAME_BYTES = 200
"""A file system's 255 less what the names of temporary files add."""
_MAX_INAUDIBLE_SECONDS = Fraction(1, 1000)
"""Seconds that sound may be off unheard."""


@dataclass(frozen=True)
class Codec:
    """A video codec and how it is written.

    Args:
        encoders: ffmpeg's encoders, the preferred one first.
        crf: default quality, None when the codec has no such scale; `worst` ends the scale.
        pix_fmt: pixel format; `odd` when the width or height is odd.
    """

    encoders: tuple[str, ...]
    crf: int | None
    worst: int
    pix_fmt: str
    odd: str


CODECS = {
    # H.264 and HEVC cut the picture at whole chroma samples, so an odd size needs full chroma. The
    # others do not.
    "h264": Codec(("libx264",), 17, 51, "yuv420p", "yuv444p"),
    "hevc": Codec(("libx265",), 20, 51, "yuv420p", "yuv444p"),
    "vp9": Codec(("libvpx-vp9",), 24, 63, "yuv420p", "yuv420p"),
    "av1": Codec(("libsvtav1", "libaom-av1"), 24, 63, "yuv420p", "yuv420p"),
    "prores": Codec(("prores_ks",), None, 0, "yuv422p10le", "yuv422p10le"),
    "ffv1": Codec(("ffv1",), None, 0, "yuv444p16le", "yuv444p16le"),
}


@dataclass(frozen=True)
class Delivery:
    """The output.

    Args:
        container: ffmpeg's muxer, or the image format.
        codec: a key of `CODECS`, "gif", or the image format.
        encoder: ffmpeg's encoder; "opencv" for an image.
        crf: None when the codec has no such scale.
        tracks: the source's other streams that come along.
        notes: one line each on what the user may not expect.
        options: of the muxer.
        warnings: one line each on what of the source is changed or lost.
        time_code: of the first frame, where the whole source is rendered; "" for none.
    """

    path: Path
    kind: Literal["video", "gif", "image"]
    container: str
    codec: str
    encoder: str
    crf: int | None
    pix_fmt: str
    tracks: tuple[Track, ...] = ()
    notes: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    time_code: str = ""


@dataclass(frozen=True)
class DeliveryRequest:
    """The user's wishes for the output.

    Args:
        style: the style image that the output is named after.
        output: None for `in.STYLE.EXT` next to the input.
        codec: a key of `CODECS`, or None for the one that suits the container.
        crf: quality on the codec's scale; None for its default.
        made_from: files that must not be replaced, besides the input; of a folder, all that lies in
            it.
        sound: how it comes along.
        is_part: only a part of the source is rendered.
    """

    style: Path
    output: Path | None = None
    codec: str | None = None
    crf: int | None = None
    made_from: Sequence[Path] = ()
    sound: SoundWish = "copy"
    is_part: bool = False


def plan_delivery(
    source: Source,
    request: DeliveryRequest,
    size: tuple[int, int] | None = None,
    timeline: Timeline | None = None,
) -> Delivery:
    """Choose path, container, codec and encoder of the output.

    Args:
        size: width and height of the render; default the source's.
        timeline: of the whole source, where known: AVI is refused for a video that begins later
            than its sound.

    Raises OutputError when it cannot be written there, or not so. An existing output is not this
    function's concern.
    """
    codec = request.codec
    crf = request.crf
    notes: list[str] = []
    if request.output is None:
        extension, notes = _default_extension(source, codec)
        path = source.path.with_name(f"{source.path.stem}.{request.style.stem}{extension}")
    else:
        path = Path(request.output)
    check_place(path, source.path, request.made_from)
    kind = _output_kind(path, source)
    if timeline is not None:
        check_times(path, timeline)
    if kind == "video":
        return _plan_video(path, source, request, size or (source.width, source.height), notes)
    name = "gif" if kind == "gif" else IMAGES[path.suffix.lower()]
    if codec is not None:
        why = f"a {name} file has no choice of video codecs"
        raise OutputError(
            f"cannot write {codec} to {path}",
            why,
            "leave --codec out, or name an .mp4 or .mkv file",
        )
    if crf is not None:
        notes.append(f"--crf is not used: {name} has no such scale")
    encoder = "gif" if kind == "gif" else "opencv"
    return Delivery(
        path,
        kind,
        name,
        name,
        encoder,
        None,
        "pal8" if kind == "gif" else "rgb24",
        notes=tuple(notes),
    )


def check_times(path: Path, timeline: Timeline) -> None:
    """Raise OutputError where the container cannot keep the times of the whole source."""
    late = timeline.pts[0] * timeline.time_base
    if path.suffix.lower() == ".avi" and late > _MAX_INAUDIBLE_SECONDS:
        why = f"the video begins {float(late):.3f} s after the sound, and AVI keeps no times"
        raise OutputError(f"cannot write {path}", why, "use .mkv or .mp4")


def plan_plain_mp4(path: Path) -> Delivery:
    """Plan an MP4 of pictures with even sides, with nothing of a source."""
    container = CONTAINERS[".mp4"]
    name = container.codecs[0]
    codec = CODECS[name]
    encoder = _first_available(path, codec.encoders)
    return Delivery(
        path,
        "video",
        container.muxer,
        name,
        encoder,
        codec.crf,
        codec.pix_fmt,
        options=container.options,
    )


def _default_extension(source: Source, codec: str | None) -> tuple[str, list[str]]:
    """Return the extension of the source's own kind of file where that can be written, else another
    one and a note.
    """
    own = source.path.suffix.lower()
    if source.kind == "image":
        return (
            (own, [])
            if own in IMAGES
            else (".png", [f"the output is a PNG: {own or 'this'} images are not written"])
        )
    if source.kind == "animation" and codec is None:
        return ".gif", []
    own = _source_extension(source) or own
    if own in CONTAINERS and (codec is None or codec in CONTAINERS[own].codecs):
        return own, []
    wanted = codec or "h264"
    fits = next(
        (extension for extension, container in CONTAINERS.items() if wanted in container.codecs),
        ".mp4",
    )
    why = (
        f"{own[1:]} does not take {wanted}"
        if own in CONTAINERS
        else f"{own or 'the input'} files are not written"
    )
    return fits, [f"the output is {fits[1:]}: {why}"]


def _source_extension(source: Source) -> str | None:
    """Return the extension for the source's container; its own name's where that agrees or nothing
    better is known.
    """
    own = source.path.suffix.lower()
    demuxers = {
        "mov": (".mp4", (".mp4", ".m4v", ".mov")),
        "matroska": (".mkv", (".mkv", ".webm")),
        "mpegts": (".ts", (".ts",)),
        "avi": (".avi", (".avi",)),
    }
    usual, known = demuxers.get(source.container.partition(",")[0], (None, ()))
    # A name that is known for something else is misleading, one without a meaning is replaced;
    # .mts, .3gp and so on are kept, so that the note can say that such a file is not written.
    return usual if own not in known and (own in CONTAINERS or not own) else own


def _output_kind(path: Path, source: Source) -> Literal["video", "gif", "image"]:
    """Return what the extension stands for. Raises OutputError where the source cannot become
    that.
    """
    extension = path.suffix.lower()
    what = f"cannot write {path}"
    if extension not in CONTAINERS and extension not in IMAGES and extension != ".gif":
        known = " ".join((*CONTAINERS, ".gif", *IMAGES))
        raise OutputError(
            what, f"the extension {extension or '(none)'} is not known", f"use one of {known}"
        )
    if source.kind == "image" and extension not in IMAGES:
        raise OutputError(what, "the input is a still image", f"use one of {' '.join(IMAGES)}")
    if source.kind != "image" and extension in IMAGES:
        hint = f"use one of {' '.join((*CONTAINERS, '.gif'))}"
        why = f"the input is {_KIND_WORDS[source.kind]}, and {extension} holds one picture"
        raise OutputError(what, why, hint)
    return "image" if extension in IMAGES else "gif" if extension == ".gif" else "video"


def check_place(path: Path, source: Path, made_from: Sequence[Path]) -> None:
    """Raise OutputError where no file of this name can be written, or it would replace a file that
    the render is made of.
    """
    what = f"cannot write {path!s}".replace("\n", "\\n").replace("\r", "\\r")
    if any(character in str(path.absolute()) for character in "\n\r"):
        raise OutputError(what, "its path holds a line break", "choose another name with -o")
    if len(os.fsencode(path.name)) > _MAX_NAME_BYTES:
        raise OutputError(
            what, f"its name is longer than {_MAX_NAME_BYTES} bytes", "choose a shorter one with -o"
        )
    try:
        if path.is_dir():
            raise OutputError(what, "it is a directory", "name a file in it")
        if path.exists():
            if not path.is_file():
                raise OutputError(what, "it is a device or a pipe", "name a file")
            for other in (source, *made_from):
                inside = other.is_dir() and path.parent.samefile(other)
                if inside or (other.exists() and path.samefile(other)):
                    role = (
                        "the input itself"
                        if other == source
                        else f"{other} is what the render is made from"
                    )
                    raise OutputError(
                        what,
                        f"it is {role}" if other == source else role,
                        "choose another name with -o",
                    )
        if not path.parent.is_dir():
            raise OutputError(
                what,
                f"there is no directory {path.parent}",
                f"make it first: mkdir -p '{path.parent}'",
            )
        # Permissions and read-only mounts are best asked of the file system itself; the file stays
        # nameless.
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as e:
        raise OutputError(
            what, f"{path.parent}: {e.strerror}", "choose another place with -o"
        ) from e


def _plan_video(
    path: Path,
    source: Source,
    request: DeliveryRequest,
    size: tuple[int, int],
    notes: list[str],
) -> Delivery:
    codec = request.codec
    crf = request.crf
    extension = path.suffix.lower()
    container = CONTAINERS[extension]
    name = codec or container.codecs[0]
    if name not in container.codecs:
        takers = ", ".join(ext for ext, other in CONTAINERS.items() if name in other.codecs)
        why = f"{extension[1:]} takes {', '.join(container.codecs)}"
        raise OutputError(f"cannot write {name} to {path}", why, f"use {takers} for {name}")
    scale = CODECS[name]
    if crf is not None and scale.crf is None:
        notes = [*notes, f"--crf is not used: {name} has no such scale"]
    if crf is not None and scale.crf is not None and crf > scale.worst:
        why = f"its scale goes from 0 (best) to {scale.worst}"
        raise OutputError(
            f"cannot encode {name} with --crf {crf}", why, f"the default is {scale.crf}"
        )
    odd = any(side % 2 for side in size)
    pix_fmt = scale.odd if odd else scale.pix_fmt
    if pix_fmt != scale.pix_fmt:
        shape = f"{size[0]}x{size[1]}"
        advice = (
            f"some players do not show that; --size {2 * round(max(size) / 2)}, "
            "or --codec vp9, avoids it"
        )
        notes = [
            *notes,
            f"{name} keeps the odd size {shape} by storing full chroma (4:4:4): {advice}",
        ]
    tracks, lost = plan_tracks(source.streams, extension, request.sound)
    lost = (*lost, *list_losses(source, extension, is_part=request.is_part))
    quality = None if scale.crf is None else scale.crf if crf is None else crf
    # SVT-AV1 before version 2 or so refuses odd sizes and sides below 64.
    fussy = odd or min(size) < 64
    encoders = tuple(
        encoder for encoder in scale.encoders if not (fussy and encoder == "libsvtav1")
    )
    encoder = _first_available(path, encoders)
    for track in tracks:
        if track.encoder != "copy":
            _first_available(path, ("srt" if track.encoder == "subrip" else track.encoder,))
    return Delivery(
        path,
        "video",
        container.muxer,
        name,
        encoder,
        quality,
        pix_fmt,
        tracks,
        (*notes, *lost),
        (*container.options, *description_options(source, extension)),
        time_code=kept_time_code(source, extension, is_part=request.is_part),
    )


def _first_available(path: Path, encoders: tuple[str, ...]) -> str:
    """Return the first of the encoders that the ffmpeg in use has."""
    for encoder in encoders:
        if encoder in ffmpeg.encoders():
            return encoder
    why = f"{ffmpeg.find().path} has no encoder {' or '.join(encoders)}"
    raise OutputError(
        f"cannot write {path}",
        why,
        "point VIDSTYLE_FFMPEG at an ffmpeg that has it, or use another --codec",
    )
