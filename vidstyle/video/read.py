"""Frames out of a file: the right ones, in the right colours, at the size of the render."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from vidstyle.errors import DecodeError, InputError, Refusal, RenderError
from vidstyle.frames import Frame, from_uint16
from vidstyle.video import ffmpeg, still
from vidstyle.video.probe import SMALLEST, Source, probe

Filter = tuple[str, Mapping[str, Any]]

_SWSCALE_MATRIX = {
    "bt709": "bt709",
    "bt470bg": "bt601",
    "smpte170m": "bt601",
    "fcc": "fcc",
    "smpte240m": "smpte240m",
    "bt2020nc": "bt2020",
}
"""swscale's names; what is not here goes through zscale."""

_ZSCALE_MATRIX = {"bt2020nc": "2020_ncl", "bt2020c": "2020_cl", "ycgco": "ycgco", "ictcp": "ictcp"}


def fit(width: int, height: int, long_side: int | None) -> tuple[int, int]:
    """The size with its longer side at `long_side`, aspect kept, no side under 16 pixels; None changes nothing."""
    if long_side is None:
        return width, height
    scale = long_side / max(width, height)
    return max(SMALLEST, round(width * scale)), max(SMALLEST, round(height * scale))


def read(
    source: Source, size: tuple[int, int] | None, first: int = 0, stop: int | None = None
) -> Generator[Frame, None, None]:
    """Frames `first` .. `stop`-1 in order, numbered as `scan` counts them; closing the iterator ends the decoder.

    Args:
        size: (width, height) of the frames; None for the source's.
        stop: None for all that there are.

    Raises DecodeError when the decoder ends before `stop`, or fails.
    """
    width, height = size or (source.width, source.height)
    if source.kind == "image":
        yield Frame(0, _resize(read_image(source.path, InputError), width, height))
        return
    trim: dict[str, int] = {"start_frame": first, **({} if stop is None else {"end_frame": stop})}
    filters = [("trim", trim), *_to_rgb(source), _scale(source, width, height)]
    args = ffmpeg.decode_arguments(
        source.path,
        source.video_stream,
        filters,
        dict(source.input_options),
        f="rawvideo",
        pix_fmt="rgb48le",
        fps_mode="passthrough",
    )
    count = 0
    with ffmpeg.running(args, stdout=True) as child:
        while (stop is None or first + count < stop) and (
            len(data := child.stdout.read(width * height * 6)) == width * height * 6
        ):
            yield Frame(first + count, from_uint16(np.frombuffer(data, "<u2").reshape(height, width, 3)))
            count += 1
        if stop is not None and first + count == stop:
            return
        code, complaint = child.wait()
    if stop is not None or code:
        missing = max(1, stop - first - count) if stop is not None else 1
        raise DecodeError(
            f"decoding {source.path} broke off before frame {first + count}",
            ffmpeg.complaint(complaint) or "the decoder delivered no more frames",
            "copy the file again, or render what it holds with --allow-damaged",
            missing,
        )


def _to_rgb(source: Source) -> list[Filter]:
    """Filters for what swscale cannot do: HDR to standard range, BT.2020 primaries to BT.709, rare matrices to RGB."""
    wide = source.primaries == "bt2020"
    if source.rgb and not source.hdr:
        return []
    if not source.hdr and not wide and source.matrix in _SWSCALE_MATRIX:
        return []
    given = {"pin": "2020" if wide else "709", "tin": source.transfer if source.hdr else "709"}
    if not source.rgb:
        given |= {"min": _ZSCALE_MATRIX.get(source.matrix, "709"), "rin": source.color_range}
    standard = {"p": "709", "t": "709", "m": "gbr", "r": "pc"}
    if not source.hdr:
        return [("zscale", given | standard), ("format", {"pix_fmts": "gbrp16le"})]
    # 203 cd/m2 is the white of a page in an HDR picture (ITU-R BT.2408): it becomes the white of ours. Mobius leaves
    # what is darker nearly as it is and bends only the highlights; hable greys the whole picture.
    return [
        ("zscale", given | {"t": "linear", "npl": "203"}),
        ("format", {"pix_fmts": "gbrpf32le"}),
        ("zscale", {"p": "709"}),
        ("tonemap", {"tonemap": "mobius", "desat": 0}),
        ("zscale", standard),
        ("format", {"pix_fmts": "gbrp16le"}),
    ]


def _scale(source: Source, width: int, height: int) -> Filter:
    """To 16-bit RGB of the right size in one step, so that chroma is resampled once."""
    options: dict[str, Any] = {
        "w": width,
        "h": height,
        "flags": "lanczos+accurate_rnd+full_chroma_int+full_chroma_inp",
        "out_range": "pc",
    }
    if not source.rgb and not _to_rgb(source):
        options |= {"in_color_matrix": _SWSCALE_MATRIX[source.matrix], "in_range": source.color_range}
    return "scale", options


def read_image(path: Path, error: type[Refusal]) -> Tensor:
    """A still as (3, H, W): upright, 8 or 16 bit, grey made RGB, alpha dropped; of a GIF the first frame.

    Raises `error` when there is no such file or it cannot be decoded.
    """
    path = Path(path)
    still.check_file(path, error)
    array = still.decode(path.read_bytes())
    if array is None:
        return _first_frame(path, error)
    limit = {"uint8": 255.0, "uint16": 65535.0}.get(array.dtype.name, 1.0)
    image = torch.from_numpy((array.astype(np.float32) / limit).clip(0, 1))
    return image.permute(2, 0, 1).contiguous()  # (3, H, W)


def _first_frame(path: Path, error: type[Refusal]) -> Tensor:
    """What OpenCV cannot decode, through ffmpeg: GIF in older OpenCV, AVIF, JPEG XL."""
    hint = "give a PNG, JPEG, WebP, TIFF or GIF"
    try:
        source = probe(path)
        if source.kind != "video":
            filters = [*_to_rgb(source), _scale(source, source.width, source.height)]
            output = {"f": "rawvideo", "pix_fmt": "rgb48le", "frames:v": 1}
            args = ffmpeg.decode_arguments(path, source.video_stream, filters, dict(source.input_options), **output)
            data, _ = ffmpeg.run(args, f"cannot read {path}")
            return from_uint16(np.frombuffer(data, "<u2").reshape(source.height, source.width, 3))
    except (InputError, RenderError) as e:
        raise error(f"cannot read {path} as an image", e.why, hint) from e
    raise error(f"cannot read {path} as an image", "it is a video", hint)


def _resize(image: Tensor, width: int, height: int) -> Tensor:
    """(3, H, W) -> (3, height, width)."""
    if image.shape[1:] == (height, width):
        return image
    shrinks = width <= image.shape[2] and height <= image.shape[1]
    array = image.permute(1, 2, 0).numpy()  # (H, W, 3)
    array = cv2.resize(array, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LANCZOS4)
    return torch.from_numpy(array.clip(0, 1)).permute(2, 0, 1).contiguous()  # (3, height, width)
