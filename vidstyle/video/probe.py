"""The contents of a file: streams, size as shown, pixel aspect, colour, and whether it is a video,
an animation or a still.

There is no ffprobe to rely on (the imageio-ffmpeg wheel has none): `ffmpeg` itself prints the
streams and what the container promises, and `showinfo` on the first decoded frame says exactly what
the pixels are, after rotation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Literal

from vidstyle.errors import FFmpegError, InputError
from vidstyle.frames import TIME_BASE
from vidstyle.video import colour_profile, ffmpeg, file_kind, image_io, showinfo
from vidstyle.video.description import Description, read_description
from vidstyle.video.file_kind import FileKind, StoredPicture
from vidstyle.video.interlacing import Fields, find_fields

MIN_SIDE = 16
"""Pixels on a side; below that the features' pooling leaves nothing to match."""

STILL_RATE = Fraction(25)
"""Frames per second where nothing declares any."""

TEXT_DEMUXERS = ("tty", "bin", "xbin", "adf", "idf", "ansi")
"""With these ffmpeg shows a text file as a film of a terminal."""

_ALPHA_WARNING = "transparency is dropped: the colours under it are shown"


@dataclass(frozen=True)
class Stream:
    """One stream of the file.

    Args:
        kind: video, cover (a picture about the film), audio, subtitle, data or attachment.
        channels: of sound; 0 where none are known, since no packet has come.
        tag: the container's four letters for what it is; "" where it has none.
    """

    index: int
    kind: str
    codec: str
    channels: int = 0
    tag: str = ""


@dataclass(frozen=True)
class Source:
    """The facts about the input that are known before it is decoded.

    Args:
        container: ffmpeg's names for the demuxer ("mov,mp4,m4a,3gp,3g2,mj2").
        video_stream: absolute index of the stream that is rendered.
        width, height: in stored pixels, after rotation.
        sar: pixel aspect ratio after rotation; 1 when unknown.
        start: seconds; the first timestamp of the file over all its streams.
        duration: seconds that the container promises; None when it does not.
        matrix, color_range, transfer, primaries: resolved names, never "unknown".
        rgb: the pixels are RGB already, `matrix` is not used.
        warnings: one line each, for the user.
        time_base: unit of the stream's timestamps in the container.
        input_options: (option, value) pairs that ffmpeg needs before `-i` to decode this file
            rightly.
        fields: of interlaced film; they are made whole frames before anything else.
        chroma_block: see `showinfo.Picture`.
        description: what the file says of its film.
    """

    path: Path
    kind: Literal["video", "animation", "image"]
    container: str
    video_stream: int
    width: int
    height: int
    sar: Fraction
    start: Fraction
    duration: Fraction | None
    nominal_rate: Fraction
    bits: int
    matrix: str
    color_range: str
    transfer: str
    primaries: str
    rgb: bool
    has_alpha: bool
    hdr: bool
    streams: tuple[Stream, ...]
    warnings: tuple[str, ...]
    time_base: Fraction = TIME_BASE
    input_options: tuple[tuple[str, str], ...] = ()
    fields: Fields = ""
    chroma_block: tuple[int, int] = (2, 2)
    description: Description = field(default_factory=Description)

    @property
    def can_begin_midway(self) -> bool:
        """Whether frames in the middle can be found: not where pictures are drawn over one another,
        nor in raw pictures one after another, which have no times but those that ffmpeg counts.
        """
        return self.kind == "video" and self.container != "mjpeg"


def probe(path: Path) -> Source:
    """Look at the file and its first picture. Raises InputError when it cannot be rendered, saying
    why.
    """
    path = Path(path)
    image_io.check_file(path, InputError)
    file = file_kind.identify(path, InputError)
    picture = file.picture
    source = (
        _probe_still(path, picture)
        if file.kind == "image" and picture
        else _probe_by_ffmpeg(path, file)
    )
    if min(source.width, source.height) < MIN_SIDE:
        why = (
            f"the picture is {source.width}x{source.height}, "
            f"and less than {MIN_SIDE} pixels on a side holds no style"
        )
        raise InputError(f"cannot render {path}", why, "enlarge it first")
    return source


def _probe_still(path: Path, picture: StoredPicture) -> Source:
    """Look at a still that ffmpeg is not needed for."""
    still = image_io.read_still(path, picture)
    if still is None:
        raise InputError(
            f"cannot read {path}", "the image is damaged or cut short", "save or download it again"
        )
    height, width, _ = still.pixels.shape
    return Source(
        path=path,
        kind="image",
        container="image2",
        video_stream=0,
        width=width,
        height=height,
        sar=Fraction(1),
        start=Fraction(0),
        duration=None,
        nominal_rate=STILL_RATE,
        bits=8 * still.pixels.dtype.itemsize,
        matrix="gbr",
        color_range="pc",
        transfer="iec61966-2-1",
        primaries="bt709",
        rgb=True,
        has_alpha=still.has_alpha,
        hdr=False,
        streams=(Stream(0, "video", "image"),),
        warnings=(*((_ALPHA_WARNING,) if still.has_alpha else ()), *still.notes),
    )


def _probe_by_ffmpeg(path: Path, file: FileKind) -> Source:
    """Look at a file that ffmpeg decodes."""
    options: tuple[tuple[str, str], ...] = (("f", file.demuxer),) if file.demuxer else ()
    report = showinfo.report_first_frame(path, options)
    if "%" in path.name and _container_name(_input_header(report, path)) in ("image2", ""):
        # By its name, which stands for a series of files there.
        series = (("f", "image2"), ("pattern_type", "none"))
        again = showinfo.report_first_frame(path, series)
        if showinfo.parse_showinfo(again):
            options = series
            report = again
    picture = showinfo.parse_showinfo(report)
    header = _input_header(report, path)
    _refuse_unless_picture(path, header, report, picture)
    assert picture is not None
    _refuse_dolby_vision(path, header)
    container = _container_name(header)
    streams, films = _list_streams(header)
    if films[0].codec == "h264" and ffmpeg.complaints(report):
        # x264 before build 151 wrote 4:4:4 in a way of its own; ffmpeg allows for it only where the
        # stream names its writer, and some tools drop that name.
        older = (*options, ("x264_build", "150"))
        again = showinfo.report_first_frame(path, older)
        options = options if ffmpeg.complaints(again) else older
    kind = file.kind or file_kind.kind_by_demuxer(container)
    alpha = (
        _is_transparent(path, options)
        if kind == "animation"
        else picture.has_alpha or bool(re.search(r"^ +alpha_mode +: 1", header, re.MULTILINE))
    )
    primaries, unused = _animation_primaries(file, picture)
    start = _find_group(r"^  Duration: .*?, start: (-?[\d.]+)", header)
    return Source(
        path=path,
        kind=kind,
        container=container,
        video_stream=films[0].index,
        width=picture.width,
        height=picture.height,
        sar=picture.sar,
        start=Fraction(start or 0),
        duration=_promised_duration(header),
        nominal_rate=STILL_RATE if kind == "image" else picture.rate or STILL_RATE,
        bits=picture.bits,
        matrix=picture.matrix,
        color_range=picture.color_range,
        transfer=picture.transfer,
        primaries=primaries,
        rgb=picture.rgb,
        has_alpha=alpha,
        hdr=picture.transfer in showinfo.HDR_TRANSFERS,
        streams=streams,
        warnings=(*_user_warnings(alpha, picture, films), *unused),
        time_base=picture.time_base or TIME_BASE,
        input_options=options,
        fields=_find_film_fields(header, films[0], picture) if kind == "video" else "",
        chroma_block=picture.chroma_block,
        description=read_description(header),
    )


def _find_film_fields(header: str, film: Stream, picture: showinfo.Picture) -> Fields:
    """Find out which fields a film has, by the words on its stream and its first frame."""
    described = (
        rest
        for index, kind, _, rest in _STREAM_LINE.findall(header)
        if kind == "Video" and int(index) == film.index
    )
    return find_fields(film.codec, next(described, ""), picture.interlacing)


def _input_header(report: str, path: Path) -> str:
    """Return the description of the input, without the levels, and without the name, which can hold
    anything.
    """
    text = report.replace(f"from '{ffmpeg.local(path)}'", "from ''").replace("[info] ", "")
    return re.split(r"^(?:Stream mapping|Output #0)", text, maxsplit=1, flags=re.MULTILINE)[0]


_STREAM_LINE = re.compile(
    r"^ {2,4}Stream #0:(\d+)[^:]*: (Video|Audio|Subtitle|Data|Attachment|Unknown): (\w+)(.*)",
    re.MULTILINE,
)


def _container_name(header: str) -> str:
    """Return ffmpeg's names for the demuxer."""
    return _find_group(r"^Input #0, (\S+),", header) or ""


def _list_streams(header: str) -> tuple[tuple[Stream, ...], list[Stream]]:
    """Return (every stream by index, the video streams that are no cover picture)."""
    found: dict[int, Stream] = {}
    films = []
    for index, kind, codec, rest in _STREAM_LINE.findall(header):
        channels = count_channels(rest) if kind == "Audio" else 0
        name = "cover" if "(attached pic)" in rest else kind.lower()
        tag = _find_group(r"\((\w{4}) / 0x", rest) or ""
        name = {"unknown": "data"}.get(name, name)
        stream = Stream(int(index), name, codec, channels, tag)
        if stream.index not in found and name == "video" and "(timed thumbnails)" not in rest:
            films.append(stream)
        found[stream.index] = stream
    return tuple(found[index] for index in sorted(found)), sorted(
        films, key=lambda stream: stream.index
    )


def count_channels(description: str) -> int:
    """Count the channels in ffmpeg's description of sound; 0 where it has seen none of it.

    Loudspeakers without a name that says how many they are count as 8: more than any encoder is
    sure to take.
    """
    if counted := re.search(r"\b(\d+) channels", description):
        return int(counted[1])
    if "Hz" not in description:
        return 0
    layout = (_find_group(r"Hz, ([^,]+)", description) or "").partition("(")[0]
    if re.fullmatch(r"\d+\.\d+(\.\d+)?", layout):
        return sum(map(int, layout.split(".")))
    return {"mono": 1, "stereo": 2, "downmix": 2, "quad": 4, "hexadecagonal": 16}.get(layout, 8)


def _refuse_unless_picture(
    path: Path, header: str, report: str, picture: showinfo.Picture | None
) -> None:
    """Raise InputError, with the reason, for a file of which no picture can be shown."""
    container = _container_name(header)
    streams, films = _list_streams(header)
    why = "; ".join(ffmpeg.complaints(report)[-2:]) or "ffmpeg decodes no frame of it"
    if remote := re.search(r"Protocol '(\w+)' not on whitelist", report):
        why = f"it points at {remote[1]}, and only local files are opened"
        raise InputError(
            f"cannot read {path}", why, "download what it points at, and give that file"
        )
    if crash := re.search(r"ffmpeg \S+ crashed on it .*", report):
        raise InputError(
            f"cannot read {path}", crash[0], "point VIDSTYLE_FFMPEG at another ffmpeg (>= 5.1)"
        )
    # Only the name may say mp4: any file called so ends up in that demuxer when nothing else fits.
    if "moov atom not found" in report and _begins_like_mp4(path):
        why = "the file is cut short: its index, which stands at the end, is missing"
        raise InputError(f"cannot read {path}", why, "copy or download it again")
    if not streams or container in TEXT_DEMUXERS:
        why = "it is text" if container in TEXT_DEMUXERS else why
        raise InputError(
            f"{path} is not a video or an image", why, "give a video, a GIF or an image"
        )
    if not films:
        kinds = (
            " and ".join(sorted({stream.kind for stream in streams} - {"video", "cover"}))
            or "a cover picture"
        )
        raise InputError(
            f"{path} holds no video",
            f"there is only {kinds} in it",
            "give a video, a GIF or an image",
        )
    if picture is None:
        raise InputError(
            f"no frame of {path} can be decoded", why, "check that it plays, or copy it again"
        )


def _animation_primaries(file: FileKind, picture: showinfo.Picture) -> tuple[str, tuple[str, ...]]:
    """Return (the primaries of what ffmpeg decodes, warnings): it does not read the profile of an
    animation, and that of a phone says no more than primaries do.
    """
    profile = file.picture.profile if file.picture else b""
    if not profile or colour_profile.is_srgb(profile):
        return picture.primaries, ()
    if colour_profile.is_display_p3(profile):
        return "smpte432", ()
    return picture.primaries, (
        "the colour profile of an animation is not used: its colours are taken as sRGB",
    )


def _refuse_dolby_vision(path: Path, header: str) -> None:
    """Raise InputError for Dolby Vision whose picture means nothing without its metadata: that of
    profile 5, and of the later ones without a picture for other decoders.
    """
    found = re.search(
        r"DOVI configuration record: .*?profile: (\d+)(?:.*?compatibility id: (\d+))?", header
    )
    if found and (found[1] == "5" or (found[1] in ("10", "20") and found[2] == "0")):
        raise InputError(
            f"cannot read the colours of {path}",
            f"it is Dolby Vision profile {found[1]}, which is right only in a decoder of it",
            "convert it to HDR10, HLG or standard range first",
        )


def _begins_like_mp4(path: Path) -> bool:
    """Tell whether the first box of a file is one that an MP4 or MOV begins with."""
    with path.open("rb") as file:
        return file.read(8)[4:] in (b"ftyp", b"mdat", b"free", b"wide", b"skip")


def _is_transparent(path: Path, options: tuple[tuple[str, str], ...]) -> bool:
    """Return whether the first frame shows anything through: animations have an alpha channel even
    where they do not use it.
    """
    filters = [("format", {"pix_fmts": "rgba"}), ("alphaextract", {})]
    output = {"f": "rawvideo", "pix_fmt": "gray", "frames:v": 1}
    args = ffmpeg.decode_arguments(path, "V:0", filters, dict(options), **output)
    try:
        alpha, _ = ffmpeg.run(args, f"cannot read {path}")
    except FFmpegError as e:
        raise InputError(e.what, e.why, "save or download it again") from e
    return min(alpha, default=255) < 255


def _promised_duration(header: str) -> Fraction | None:
    """Return the seconds that the container promises."""
    found = re.search(r"^  Duration: (\d+):(\d+):(\d+\.\d+)", header, re.MULTILINE)
    if not found:
        return None
    return (int(found[1]) * 60 + int(found[2])) * 60 + Fraction(found[3])


def _user_warnings(alpha: bool, picture: showinfo.Picture, films: list[Stream]) -> tuple[str, ...]:
    """Write one line for each thing that the user may not expect."""
    warnings = [_ALPHA_WARNING] if alpha else []
    if hdr := showinfo.HDR_TRANSFERS.get(picture.transfer):
        warnings.append(f"the video is HDR ({hdr}): it is tone-mapped to standard range")
    if picture.primaries not in showinfo.ZSCALE_PRIMARIES:
        warnings.append(f"the primaries {picture.primaries} are taken as those of BT.709")
    if len(films) > 1:
        size = f"{picture.width}x{picture.height}"
        warnings.append(
            f"there are {len(films)} video streams: "
            f"the first (stream {films[0].index}, {size}) is taken"
        )
    return tuple(warnings)


def _find_group(pattern: str, text: str) -> str | None:
    """Return the first group of a pattern where it is found; `^` matches at every line."""
    found = re.search(pattern, text, re.MULTILINE)
    return found[1] if found else None
