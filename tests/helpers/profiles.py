"""Small ICC profiles (ICC.1:2022) that the tests make themselves."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

D50 = (0.9642, 1.0, 0.8249)
DISPLAY_P3 = ((0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841))
"""Colorants under D50, (X, Y, Z) of red, green and blue."""
SRGB = ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141))


def srgb_curve() -> bytes:
    """The curve of sRGB, as a parametric one."""
    given = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    return b"para" + bytes(4) + struct.pack(">HH5i", 3, 0, *(round(x * 65536) for x in given))


def gamma_curve(gamma: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256))


def sampled_curve(function: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> bytes:
    """A curve of 1024 samples."""
    samples = np.rint(function(np.linspace(0, 1, 1024)) * 65535).astype(">u2")
    return b"curv" + bytes(4) + struct.pack(">I", len(samples)) + samples.tobytes()


def matrix_profile(colorants: Sequence[Sequence[float]], curve: bytes) -> bytes:
    """A profile of RGB."""
    tags = {f"{name}XYZ": xyz_element(x) for name, x in zip("rgb", colorants, strict=True)}
    return write_profile("RGB ", "XYZ ", {**tags, **dict.fromkeys(("rTRC", "gTRC", "bTRC"), curve)})


def grey_profile(curve: bytes) -> bytes:
    return write_profile("GRAY", "XYZ ", {"kTRC": curve})


def ink_profile(lab: Callable[[tuple[int, ...]], tuple[int, int, int]]) -> bytes:
    """A profile of CMYK: `lab` gives the colour (L of 0..255, a and b + 128) of each of the 16
    mixtures of full inks, and those between are interpolated.
    """
    table = bytes(itertools.chain(*(lab(inks) for inks in itertools.product((0, 1), repeat=4))))
    identity = struct.pack(">9i", *(65536 * (i % 4 == 0) for i in range(9)))
    ramp = bytes(range(256))
    body = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity + ramp * 4 + table + ramp * 3
    return write_profile("CMYK", "Lab ", {"A2B0": body}, kind="prtr")


def xyz_element(xyz: Sequence[float]) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(x * 65536) for x in xyz))


def write_profile(
    space: str, connection: str, tags: Mapping[str, bytes], kind: str = "mntr"
) -> bytes:
    """Write a profile of version 4 with a name, a white and these tags."""
    name = "made by a test".encode("utf-16-be")
    named = b"mluc" + bytes(4) + struct.pack(">II4sII", 1, 12, b"enUS", len(name), 28) + name
    entries = {"desc": named, "cprt": named, "wtpt": xyz_element(D50), **tags}
    offset = 128 + 4 + 12 * len(entries)
    index = b""
    bodies = b""
    for tag, entry in entries.items():
        index += struct.pack(">4sII", tag.encode(), offset + len(bodies), len(entry))
        bodies += entry + bytes(-len(entry) % 4)
    head = struct.pack(
        ">I4sI4s4s4s12s4s4sI4s4s8sI12s4s",
        *(offset + len(bodies), b"", 0x04300000, kind.encode(), space.encode()),
        *(connection.encode(), struct.pack(">6H", 2020, 1, 1, 0, 0, 0), b"acsp", b"", 0, b"", b""),
        *(b"", 0, struct.pack(">3i", *(round(x * 65536) for x in D50)), b""),
    )
    return head.ljust(128, b"\0") + struct.pack(">I", len(entries)) + index + bodies
