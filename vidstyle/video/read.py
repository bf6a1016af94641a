"""Frames out of a file: the right ones, in the right colours, at the size of the render."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from vidstyle.errors import DecodeError, InputError, Refusal, RenderError
from vidstyle.frames import Frame
from vidstyle.video import ffmpeg, image_io
from vidstyle.video.probe import SMALLEST, Source, probe

Filter = tuple[str, Mapping[str, Any]]

_MATRIX = {
    "bt709": "709",
    "bt470bg": "170m",  # the same coefficients
    "smpte170m": "170m",
    "smpte240m": "7",  # spelt smpte2400m in older versions
    "fcc": "fcc",
    "bt2020nc": "2020_ncl",
    "bt2020c": "2020_cl",
    "ycgco": "ycgco",
    "ictcp": "ictcp",
    "gbr": "gbr",
}
"""ffmpeg's names -> zscale's."""

_WHOLE_CHROMA = "yuv444p|yuv444p9le|yuv444p10le|yuv444p12le|yuv444p14le|yuv444p16le|gray|gray10le|gray12le|gray16le"
_PLANAR_RGB = (
    "gbrp|gbrap|gbrp9le|gbrp10le|gbrap10le|gbrp12le|gbrap12le|gbrp14le|gbrp16le|gbrap16le|gbrpf32le"
)


def fit(width: int, height: int, long_side: int | None) -> tuple[int, int]:
    """The size with its longer side at `long_side`, aspect kept to the nearest even sides (4:2:0
    video wants those), no side under 16 pixels; None changes nothing.
    """
    if long_side is None:
        return width, height
    scale = long_side / max(width, height)
    return max(SMALLEST, 2 * round(width * scale / 2)), max(SMALLEST, 2 * round(height * scale / 2))


def read(
    source: Source, size: tuple[int, int] | None, first: int = 0, stop: int | None = None
) -> Generator[Frame, None, None]:
    """Frames `first` .. `stop`-1 in order, numbered as `scan` counts them; closing the iterator
    ends the decoder.

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
    args = _arguments(source, width, height, [("trim", trim)], fps_mode="passthrough")
    size_in_bytes = width * height * 6
    count = 0
    with ffmpeg.running(args, stdout=True) as child:
        while stop is None or first + count < stop:
            data = child.stdout.read(size_in_bytes)
            if len(data) < size_in_bytes:
                break
            yield Frame(first + count, _tensor(data, width, height))
            count += 1
        if stop is not None and first + count >= stop:
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


def _arguments(
    source: Source, width: int, height: int, before: Sequence[Filter], **output: Any
) -> list[str]:
    """Arguments that decode the video stream to raw gbrp16le; `before` is what is done to the
    frames first.
    """
    return ffmpeg.decode_arguments(
        source.path,
        source.video_stream,
        [*before, *_to_rgb(source, width, height)],
        dict(source.input_options),
        f="rawvideo",
        pix_fmt="gbrp16le",
        **output,
    )


def _to_rgb(source: Source, width: int, height: int) -> list[Filter]:
    """Filters to 16-bit RGB of the right size: BT.709 primaries, full range.

    zscale and not swscale: swscale's 16-bit RGB ends at 65283 (255 * 256), so that white is a level
    too dark, and it takes even RGB through YCbCr.
    """
    wide = source.primaries == "bt2020"
    primaries = "2020" if wide else "709"
    transfer = source.transfer if source.hdr else "709"
    given = {
        "min": _MATRIX.get(source.matrix, "709"),
        "rin": source.color_range,
        "pin": primaries,
        "tin": transfer,
    }
    wanted = {
        "m": "gbr",
        "r": "pc",
        "p": "709",
        "t": "709",
        "w": width,
        "h": height,
        "filter": "lanczos",
    }
    planar: list[Filter] = []
    if source.rgb:
        planar = [("format", {"pix_fmts": _PLANAR_RGB})]
    elif source.width % 2 or source.height % 2:
        # zscale refuses subsampled chroma of odd size (sekrit-twc/zimg's API asks for whole
        # blocks).
        same = {"in_range": source.color_range, "out_range": source.color_range}
        planar = [
            ("scale", {**same, "flags": "bicubic+accurate_rnd"}),
            ("format", {"pix_fmts": _WHOLE_CHROMA}),
        ]
    if not source.hdr:
        return [*planar, ("zscale", {**given, **wanted})]
    # 203 cd/m2 is the white of a page in an HDR picture (ITU-R BT.2408): it becomes the white of
    # ours. Mobius leaves what is darker nearly as it is and bends only the highlights; hable greys
    # the whole picture.
    return [
        *planar,
        ("zscale", {**given, "m": "gbr", "r": "pc", "t": "linear", "npl": 203}),
        ("format", {"pix_fmts": "gbrpf32le"}),
        ("zscale", {"p": "709"}),
        ("tonemap", {"tonemap": "mobius", "desat": 0}),
        ("zscale", wanted),
    ]


def _tensor(data: bytes, width: int, height: int) -> Tensor:
    """Raw gbrp16le -> (3, H, W) in [0, 1]."""
    planes = np.frombuffer(data, "<u2").reshape(3, height, width)  # green, blue, red
    return torch.from_numpy(planes[[2, 0, 1]].astype(np.float32) / np.float32(65535))


def read_image(path: Path, error: type[Refusal]) -> Tensor:
    """A still as (3, H, W): upright, 8 or 16 bit, grey made RGB, alpha dropped; of a GIF the first
    frame.

    Raises `error` when there is no such file or it cannot be decoded.
    """
    path = Path(path)
    image_io.check_file(path, error)
    array = image_io.decode(path.read_bytes())
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
            args = _arguments(source, source.width, source.height, [], **{"frames:v": 1})
            data, _ = ffmpeg.run(args, f"cannot read {path}")
            return _tensor(data, source.width, source.height)
    except (InputError, RenderError) as e:
        raise error(f"cannot read {path} as an image", e.why, hint) from e
    raise error(f"cannot read {path} as an image", "it is a video", hint)


def _resize(image: Tensor, width: int, height: int) -> Tensor:
    """(3, H, W) -> (3, height, width)."""
    if image.shape[1:] == (height, width):
        return image
    shrinks = width <= image.shape[2] and height <= image.shape[1]
    array = image.permute(1, 2, 0).numpy()  # (H, W, 3)
    array = cv2.resize(
        array, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LANCZOS4
    )
    return torch.from_numpy(array.clip(0, 1)).permute(2, 0, 1).contiguous()  # (3, height, width)
