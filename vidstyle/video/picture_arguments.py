"""ffmpeg's arguments for the pictures of the output: colours, encoder, and exact times."""

from __future__ import annotations

from fractions import Fraction

from vidstyle.video.delivery import Delivery
from vidstyle.video.output_timing import FrameClock, restore_filters

COLOR_TAGS = (
    "-color_range",
    "tv",
    "-colorspace",
    "bt709",
    "-color_primaries",
    "bt709",
    "-color_trc",
    "bt709",
)
HEVC_TAG = ["-tag:v", "hvc1"]
"""Apple's players know HEVC in MP4 by this name alone."""


def encode_pictures(times: FrameClock, delivery: Delivery, sar: Fraction) -> list[str]:
    """Give the frames their times, colours, pixel format, encoder and last duration."""
    color = "range=tv:colorspace=bt709:color_primaries=bt709:color_trc=bt709"
    filters = [
        restore_filters(times),
        # The matrix by zscale: ffmpeg's own scaler takes 65280 for white in 16 bits, and makes it
        # 236, not 235. The chroma by that scaler: zscale refuses odd sizes.
        "format=gbrp|gbrp12le|gbrp16le,zscale=matrixin=gbr:rangein=full:matrix=709:range=limited,format=yuv444p16le",
        f"scale=flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp+bitexact,format={delivery.pix_fmt}",
        f"setparams={color}",
        f"setsar={sar.numerator}/{sar.denominator}:max={max(sar.numerator, sar.denominator, 100)}",
    ]
    args = [
        "-map",
        "0:v:0",
        # Of the picture alone: a cover comes along as it is.
        "-filter:v:0",
        ",".join(filters),
        "-fps_mode",
        "passthrough",
        "-enc_time_base:v:0",
        str(times.tick),
    ]
    args += [
        "-c:v",
        delivery.encoder,
        *_encoder_options(times, delivery),
        *COLOR_TAGS,
        "-flags:v",
        "+bitexact",
    ]
    return [*args, *set_last_duration(times)]


def copy_pictures(times: FrameClock, delivery: Delivery) -> list[str]:
    """Give frames that are encoded already, and whose times begin at 0, those of the output."""
    tag = HEVC_TAG if delivery.codec == "hevc" and delivery.container in ("mp4", "mov") else []
    return ["-map", "0:v:0", "-c:v", "copy", *tag, *set_last_duration(times, times.times[0])]


def set_last_duration(times: FrameClock, shift: int = 0) -> list[str]:
    """Give the last frame its duration: ffmpeg gives it a tick, or what its encoder guesses.

    Args:
        shift: ticks by which all frames are moved.
    """
    last = (times.times[-2] - shift - Fraction(1, 2)) * times.tick
    duration = (times.times[-1] - times.times[-2]) * times.tick
    chosen = rf"if(gte(PTS*TB\,{float(last)!r})\,round({duration}/TB)\,DURATION)"
    moved = f"+round({shift * times.tick}/TB)" if shift else ""
    return ["-bsf:v:0", f"setts=pts=PTS{moved}:dts=DTS{moved}:duration={chosen}"]


def _encoder_options(times: FrameClock, delivery: Delivery) -> list[str]:
    """Return the options for quality, and for the frame rate where an encoder would else take the
    ticks for it and declare an absurd level.
    """
    rate = times.rate
    quality = [] if delivery.crf is None else ["-crf", str(delivery.crf)]
    # Frames stored out of order get their durations in MP4 from their neighbours in the file, which
    # is right only when all are equal; and AVI, which stores no times, would show them late.
    straight = [] if times.steady and delivery.container != "avi" else ["-bf", "0"]
    tag = HEVC_TAG if delivery.container in ("mp4", "mov") else []
    return {
        "libx264": [*quality, "-x264-params", f"fps={rate}", *straight],
        "libx265": [*quality, "-x265-params", f"fps={rate}:log-level=error", *straight, *tag],
        "libvpx-vp9": [*quality, "-b:v", "0", "-row-mt", "1", "-cpu-used", "2"],
        "libsvtav1": [
            *quality,
            "-preset",
            "6",
            "-svtav1-params",
            f"fps-num={rate.numerator}:fps-denom={rate.denominator}",
        ],
        "libaom-av1": [*quality, "-b:v", "0", "-row-mt", "1", "-cpu-used", "6"],
        "prores_ks": ["-profile:v", "hq", "-vendor", "apl0"],
        "ffv1": ["-level", "3", "-g", "1", "-slicecrc", "1"],
    }[delivery.encoder]
