"""Frames out of a file: the right ones, in the right colours, at the size of the render."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import cv2
import numpy as np
import torch
from torch import Tensor

from vidstyle.errors import DecodeError, InputError, Refusal, RenderError
from vidstyle.frames import Frame
from vidstyle.video import ffmpeg, file_kind, image_io, showinfo
from vidstyle.video.interlacing import deinterlace_filters, lead_frames
from vidstyle.video.probe import MIN_SIDE, Source, probe
from vidstyle.video.seek import SeekIndex

Filter = tuple[str, Mapping[str, Any]]

_ZSCALE_MATRICES = {
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

_ZSCALE_CURVES = {name: name for name in ("iec61966-2-1", "bt470m", "bt470bg", "smpte240m")}
"""Of standard range; every other is taken as that of BT.1886, the display of BT.709."""

_DISPLAY_P3 = "smpte432"
"""Its curve is that of sRGB, also where phones tag that of BT.709."""

_LATEST_TIME = 2**63 - 1
_MAX_WAIT_SECONDS = 60.0
"""Seconds until a frame that has come counts as unconfirmed."""

_WHOLE_CHROMA_FORMATS = (
    "yuv444p|yuv444p9le|yuv444p10le|yuv444p12le|yuv444p14le|yuv444p16le|"
    "gray|gray10le|gray12le|gray16le"
)
_PLANAR_RGB_FORMATS = (
    "gbrp|gbrap|gbrp9le|gbrp10le|gbrap10le|gbrp12le|gbrap12le|gbrp14le|gbrp16le|gbrap16le|gbrpf32le"
)


def fit(width: int, height: int, long_side: int | None) -> tuple[int, int]:
    """Return the size with its longer side at `long_side`, aspect kept to the nearest even sides
    (4:2:0 video wants those), no side under 16 pixels; None changes nothing.
    """
    if long_side is None:
        return width, height
    scale = long_side / max(width, height)
    return max(MIN_SIDE, 2 * round(width * scale / 2)), max(MIN_SIDE, 2 * round(height * scale / 2))


def read(
    source: Source,
    size: tuple[int, int] | None,
    first: int = 0,
    stop: int | None = None,
    seek: SeekIndex | None = None,
    on_decode: Callable[[int], None] | None = None,
) -> Generator[Frame, None, None]:
    """Yield the frames `first` .. `stop`-1 in order, numbered as `scan` counts them; closing the
    iterator ends the decoder.

    With a seek index decoding begins at the last key frame before `first`. Each frame is compared
    with what the scan has seen; from the first that differs on, all are decoded from the start.

    Args:
        size: (width, height) of the frames; None for the source's.
        stop: None for all that there are.
        seek: `Scan.seek_index` of the same file; None: decoding begins at its first frame.
        on_decode: gets the time of every frame that is decoded after seeking, in units of
            `TIME_BASE` as the file has it, also of those before `first`, from another thread.

    Raises DecodeError when the decoder ends before `stop`, or fails.
    """
    size = size or (source.width, source.height)
    if source.kind == "image":
        yield Frame(0, _resize_image(read_image(source.path, InputError), *size))
        return
    if seek is not None:
        end = len(seek.times) if stop is None else min(stop, len(seek.times))
        first = yield from _read_by_seeking(source, size, first, end, seek, on_decode)
        if first == (end if stop is None else stop):
            return
    yield from _read_from_start(source, size, first, stop)


def _read_by_seeking(
    source: Source,
    size: tuple[int, int],
    first: int,
    stop: int,
    index: SeekIndex,
    on_decode: Callable[[int], None] | None,
) -> Generator[Frame, None, int]:
    """Yield frames from `first` on for as long as they are those of the index; return the number of
    the frame that is to come next.
    """
    if first >= stop or find_entry(source, index, first) == 0:
        return first
    size_in_bytes = size[0] * size[1] * 6
    reading, writing = os.pipe()
    args = _seek_arguments(source, size, first, stop, index, f"pipe:{writing}")
    decoded: queue.SimpleQueue[tuple[int, int]] = queue.SimpleQueue()
    with (
        os.fdopen(reading, "rb") as lines,
        os.fdopen(writing, "wb") as unused,
        ffmpeg.running(args, stdout=True, pass_fds=[writing]) as child,
    ):
        # Only ffmpeg may hold the writing end, or the reading one never sees an end.
        unused.close()
        listener = threading.Thread(
            target=_queue_checksums, args=(lines, decoded, on_decode), daemon=True
        )
        listener.start()
        try:
            for number in range(first, stop):
                data = child.stdout.read(size_in_bytes)
                if len(data) < size_in_bytes or not _is_expected(number, decoded, index):
                    return number
                yield Frame(number, _to_tensor(data, *size))
        finally:
            child.process.kill()
            listener.join()
    return stop


def find_entry(source: Source, index: SeekIndex, frame: int) -> int:
    """Find the key frame at which decoding begins, so that `frame` comes out right."""
    return index.key_frame_before(max(0, frame - lead_frames(source.fields)))


def _queue_checksums(
    lines: IO[bytes],
    decoded: queue.SimpleQueue[tuple[int, int]],
    on_decode: Callable[[int], None] | None,
) -> None:
    """Put (time, checksum) of each frame in framecrc's lines into the queue; where a line cannot be
    read, a frame that is none of the index.
    """
    try:
        _queue_lines(lines, decoded, on_decode)
    except Exception:
        # The reader then decodes from the start, which needs no lines.
        decoded.put((_LATEST_TIME, -1))


def _queue_lines(
    lines: IO[bytes],
    decoded: queue.SimpleQueue[tuple[int, int]],
    on_decode: Callable[[int], None] | None,
) -> None:
    """Queue framecrc's lines to their end."""
    for line in lines:
        if line.startswith(b"#"):
            continue
        words = line.split(b",")
        time = int(words[2])
        if on_decode:
            on_decode(time)
        decoded.put((time, int(words[5], 16)))


def _is_expected(
    number: int, decoded: queue.SimpleQueue[tuple[int, int]], index: SeekIndex
) -> bool:
    """Return whether the next decoded frame, of those that are not left out, is the frame `number`
    of the index.
    """
    earliest = index.pts_before(number)
    while True:
        try:
            # The line is written when its picture is; if it does not come, seeking has failed.
            time, checksum = decoded.get(timeout=_MAX_WAIT_SECONDS)
        except queue.Empty:
            return False
        if time >= earliest:
            return index.is_frame(number, time, checksum)


def _seek_arguments(
    source: Source,
    size: tuple[int, int],
    first: int,
    stop: int,
    index: SeekIndex,
    checksums: str,
) -> list[str]:
    """Build the arguments that decode from the key frame before `first`: pictures as those of
    `_decode_arguments` to stdout, and framecrc's lines of all decoded frames before `stop` to the
    URL `checksums`.
    """
    # Times and not counts tell which frames these are: nobody knows where ffmpeg arrives. The end
    # stands before the split, or ffmpeg would decode all the rest for the checksums.
    until = [] if stop == len(index.times) else [("trim", {"end_pts": index.pts_before(stop)})]
    units = ("settb", {"expr": "1/90000"})
    every = ffmpeg.filter_chain([*deinterlace_filters(source.fields), units, *until, ("split", {})])
    whole = ffmpeg.filter_chain([("scale", {"w": source.width, "h": source.height})])
    wanted = ffmpeg.filter_chain(
        [("trim", {"start_pts": index.pts_before(first)}), *_to_rgb(source, *size)]
    )
    stream = f"[0:{source.video_stream}]"
    time = index.seek_microseconds(find_entry(source, index, first), source.container)
    return [
        *ffmpeg.ONLY_LOCAL,
        "-copyts",
        *("-noaccurate_seek", "-seek_timestamp", "1"),
        *("-ss", f"{time // 1_000_000}.{time % 1_000_000:06d}"),
        *(word for name, value in source.input_options for word in (f"-{name}", value)),
        *("-i", ffmpeg.local(source.path)),
        *("-filter_complex", f"{stream}{every}[a][b];[a]{whole}[decoded];[b]{wanted}[pictures]"),
        *("-map", "[pictures]", "-fps_mode", "passthrough"),
        *("-f", "rawvideo", "-pix_fmt", "gbrp16le", "pipe:1"),
        *("-map", "[decoded]", "-fps_mode", "passthrough", "-enc_time_base", "1/90000"),
        # At once, or ffmpeg would wait for a reader of the picture, and the reader for the line.
        *("-flush_packets", "1", "-f", "framecrc", checksums),
    ]


def _read_from_start(
    source: Source, size: tuple[int, int], first: int, stop: int | None
) -> Generator[Frame, None, None]:
    """Yield frames as `read` does, decoding from the first frame of the file on."""
    trim: dict[str, int] = {"start_frame": first, **({} if stop is None else {"end_frame": stop})}
    args = _decode_arguments(source, *size, [("trim", trim)], fps_mode="passthrough")
    size_in_bytes = size[0] * size[1] * 6
    count = 0
    with ffmpeg.running(args, stdout=True) as child:
        while stop is None or first + count < stop:
            data = child.stdout.read(size_in_bytes)
            if len(data) < size_in_bytes:
                break
            yield Frame(first + count, _to_tensor(data, *size))
            count += 1
        if stop is not None and first + count >= stop:
            return
        code, complaint = child.wait()
    if stop is not None or code:
        missing = max(1, stop - first - count) if stop is not None else 1
        raise DecodeError(
            f"decoding {source.path} broke off before frame {first + count}",
            ffmpeg.last_complaint(complaint) or "the decoder delivered no more frames",
            "copy the file again, or render what it holds with --allow-damaged",
            missing,
        )


def _decode_arguments(
    source: Source, width: int, height: int, before: Sequence[Filter], **output: Any
) -> list[str]:
    """Build the arguments that decode the video stream to raw gbrp16le, behind more filters."""
    return ffmpeg.decode_arguments(
        source.path,
        source.video_stream,
        [*deinterlace_filters(source.fields), *before, *_to_rgb(source, width, height)],
        dict(source.input_options),
        f="rawvideo",
        pix_fmt="gbrp16le",
        **output,
    )


def _to_rgb(source: Source, width: int, height: int) -> list[Filter]:
    """Return the filters to 16-bit RGB of the right size: BT.709 primaries, full range.

    zscale and not swscale: swscale's 16-bit RGB ends at 65283 (255 * 256), so that white is a level
    too dark, and it takes even RGB through YCbCr. Primaries that are tagged are converted in linear
    light.
    """
    primaries = showinfo.ZSCALE_PRIMARIES.get(source.primaries, "709")
    # The curve stays: it is undone for the primaries, in linear light, and done again. Where these
    # stay as well, it does not matter.
    usual = "iec61966-2-1" if source.primaries == _DISPLAY_P3 else "709"
    curve = "709" if primaries == "709" else _ZSCALE_CURVES.get(source.transfer, usual)
    given = {
        "min": _ZSCALE_MATRICES.get(source.matrix, "709"),
        "rin": source.color_range,
        "pin": primaries,
        "tin": source.transfer if source.hdr else curve,
    }
    wanted = {
        "m": "gbr",
        "r": "pc",
        "p": "709",
        "t": "709" if source.hdr else curve,
        "w": width,
        "h": height,
        "filter": "lanczos",
    }
    planar: list[Filter] = []
    if source.rgb:
        planar = [("format", {"pix_fmts": _PLANAR_RGB_FORMATS})]
    elif source.width % source.chroma_block[0] or source.height % source.chroma_block[1]:
        # zscale refuses subsampled chroma of odd size (sekrit-twc/zimg's API asks for whole
        # blocks).
        same = {"in_range": source.color_range, "out_range": source.color_range}
        planar = [
            ("scale", {**same, "flags": "bicubic+accurate_rnd"}),
            ("format", {"pix_fmts": _WHOLE_CHROMA_FORMATS}),
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


def _to_tensor(data: bytes, width: int, height: int) -> Tensor:
    """Turn raw gbrp16le into (3, H, W) in [0, 1]."""
    planes = np.frombuffer(data, "<u2").reshape(3, height, width)  # green, blue, red
    return torch.from_numpy(planes[[2, 0, 1]].astype(np.float32) / np.float32(65535))


def read_image(path: Path, error: type[Refusal]) -> Tensor:
    """Read a still as (3, H, W): upright, 8 or 16 bit, grey made RGB, alpha dropped; of a GIF the
    first frame.

    Raises `error` when there is no such file or it cannot be decoded.
    """
    path = Path(path)
    image_io.check_file(path, error)
    picture = file_kind.identify(path, error).picture
    still = None if picture is None else image_io.read_still(path, picture)
    if still is None:
        return _decode_first_frame(path, error)
    limit = {"uint8": 255.0, "uint16": 65535.0}.get(still.pixels.dtype.name, 1.0)
    image = torch.from_numpy((still.pixels.astype(np.float32) / limit).clip(0, 1))
    return image.permute(2, 0, 1).contiguous()  # (3, H, W)


def _decode_first_frame(path: Path, error: type[Refusal]) -> Tensor:
    """Decode by ffmpeg: a GIF, and the stills that it alone reads, such as JPEG XL."""
    hint = "give a PNG, JPEG, WebP, TIFF or GIF"
    try:
        source = probe(path)
        if source.kind != "video":
            args = _decode_arguments(source, source.width, source.height, [], **{"frames:v": 1})
            data, _ = ffmpeg.run(args, f"cannot read {path}")
            return _to_tensor(data, source.width, source.height)
    except (InputError, RenderError) as e:
        raise error(f"cannot read {path} as an image", e.why, hint) from e
    raise error(f"cannot read {path} as an image", "it is a video", hint)


def _resize_image(image: Tensor, width: int, height: int) -> Tensor:
    """Resize (3, H, W) to (3, height, width)."""
    if image.shape[1:] == (height, width):
        return image
    shrinks = width <= image.shape[2] and height <= image.shape[1]
    array = image.permute(1, 2, 0).numpy()  # (H, W, 3)
    array = cv2.resize(
        array, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LANCZOS4
    )
    return torch.from_numpy(array.clip(0, 1)).permute(2, 0, 1).contiguous()  # (3, height, width)
