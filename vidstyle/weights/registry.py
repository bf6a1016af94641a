"""The weight files that vidstyle knows: origin, licence, size and digest of each."""

from __future__ import annotations

from dataclasses import dataclass

BASE_URL = "https://download.pytorch.org/models/"

VGG19_STAGES = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 2))
"""(channels, convolutions) of each resolution, up to relu5_2: as deep as anyone has matched
styles.
"""


@dataclass(frozen=True)
class WeightFile:
    """The weights of one network.

    Args:
        name: the name of the network.
        filename: the name the file is kept under.
        remote: the name it has at `BASE_URL`; "" for the embedded ones. Such a file is used too,
            wherever it is found.
        author: whoever trained the network.
        licence: the licence of the weights.
        size: bytes of the file that is downloaded, or embedded.
        sha256: the digest of that file; its first 8 digits where its author publishes no more.
    """

    name: str
    filename: str
    remote: str
    author: str
    licence: str
    size: int
    sha256: str

    @property
    def url(self) -> str:
        """The address of the file; "" for the embedded ones."""
        return BASE_URL + self.remote if self.remote else ""

    @property
    def is_kept_whole(self) -> bool:
        """True where the file is kept as it is downloaded, False where it is reduced."""
        return self.filename == self.remote

    @property
    def names(self) -> tuple[str, ...]:
        """The file names that are looked for, the better one first."""
        return tuple(dict.fromkeys(name for name in (self.filename, self.remote) if name))


REGISTRY = {
    file.name: file
    for file in (
        WeightFile(
            name="lite",
            filename="lite.safetensors",
            remote="",
            author="vidstyle, distilled from VGG-19",
            licence="MIT (the teacher: CC BY 4.0, see NOTICE)",
            size=3_869_824,
            sha256="051b55e606f05ba81552fe5a0b5a8214b6387fa95d71d5a9c1d6775c6aab615d",
        ),
        WeightFile(
            name="figures",
            filename="figures.safetensors",
            remote="",
            author="vidstyle, on labels of detectors",
            licence="MIT (the detectors: Apache 2.0 and others, see NOTICE)",
            size=234_028,
            sha256="f946d6f9af1caf8ca51d5e8a0d986d07afdf1160333633037a1305bf0e253b71",
        ),
        WeightFile(
            name="painter",
            filename="painter.safetensors",
            remote="",
            author="vidstyle, trained on lite's objective",
            licence="MIT",
            size=1_351_234,
            sha256="1f6487b211d3098c5c8cf73035363e10bd51dbad51bbb7735231842e7b6ae7f4",
        ),
        WeightFile(
            name="vgg19",
            filename="vgg19_features.safetensors",
            remote="vgg19-dcbb9e9d.pth",
            author="torchvision, network of Simonyan & Zisserman 2014",
            licence="BSD-3-Clause (torchvision; the Oxford weights: CC BY 4.0)",
            size=574_673_361,
            sha256="dcbb9e9d",
        ),
        WeightFile(
            name="raft-small",
            filename="raft_small_C_T_V1-ad48884c.pth",
            remote="raft_small_C_T_V1-ad48884c.pth",
            author="Teed & Deng 2020, ported by torchvision",
            licence="BSD-3-Clause",
            size=4_006_600,
            sha256="ad48884c",
        ),
        WeightFile(
            name="raft-large",
            filename="raft_large_C_T_SKHT_V2-ff5fadd5.pth",
            remote="raft_large_C_T_SKHT_V2-ff5fadd5.pth",
            author="torchvision, network of Teed & Deng 2020",
            licence="BSD-3-Clause",
            size=21_106_800,
            sha256="ff5fadd5",
        ),
    )
}


def vgg19_shapes() -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor of VGG-19 that is used, under torchvision's names."""
    shapes: dict[str, tuple[int, ...]] = {}
    index = 0
    inputs = 3
    for channels, convolutions in VGG19_STAGES:
        for _ in range(convolutions):
            shapes[f"features.{index}.weight"] = (channels, inputs, 3, 3)
            shapes[f"features.{index}.bias"] = (channels,)
            inputs = channels
            # A convolution and its ReLU.
            index += 2
        # The pooling.
        index += 1
    return shapes
