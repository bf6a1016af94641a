"""What a render is told to do: one frozen model with its defaults, ranges and help, TOML overlays
on it, and its fingerprint.

The command line is generated from this model (`cli.py`), so a setting is written down once.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    model_validator,
)

from vidstyle.config import rules, weighted_names
from vidstyle.config.style_images import Painting, files, paintings
from vidstyle.errors import ConfigError

PICTURE, STEERING, DELIVERY, RUN = "Picture", "Steering the style", "Delivery", "Run"


FRAMES = (PICTURE, STEERING)
"""The groups whose settings change frames."""


LINKING = frozenset(
    {"flow", "mask", "rest", "iterations", "budget", "scales", "temporal_weight", "temporal_norm"}
)
"""What changes nothing in a render without links between frames."""


ALWAYS = object()
"""No value: the setting is always in the fingerprint."""


def setting(
    default: Any,
    text: str,
    group: str,
    flags: tuple[str, ...] = (),
    neutral: Any = ALWAYS,
    **bounds: Any,
) -> Any:
    """A field with its help text; only the groups of `FRAMES` go into the fingerprint.

    Args:
        neutral: the value under which a render is what it was before the setting existed. With it
            the setting stays out of the fingerprint, so that a half-finished render continues with
            a vidstyle that has learnt something new. It never changes, whatever becomes of the
            default.
    """
    extra = {
        "group": group,
        "flags": list(flags),
        **({} if neutral is ALWAYS else {"neutral": neutral}),
    }
    return Field(default, description=text, json_schema_extra=extra, **bounds)


def power_of_two(reach: int) -> int:
    """The farthest of the distances 2, 4, 8, ... within `reach`, 0 where there is none: what links
    to the same frames has the same fingerprint.
    """
    return 2 ** (reach.bit_length() - 1) if reach > 1 else 0


STYLE_LAYERS, CONTENT_LAYERS = "relu1_1,relu2_1,relu3_1,relu4_1,relu5_1", "relu4_2"


Shares = Annotated[str, AfterValidator(weighted_names.canonical)]


Styles = Annotated[
    tuple[Painting, ...],
    BeforeValidator(paintings),
    PlainSerializer(lambda styles: [str(one) for one in styles], return_type=list[str]),
]


class RenderConfig(BaseModel):
    """Settings of one render. Fields of the group "Picture" change frames and make up the
    fingerprint; the others do not.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    input: Path = Field(description="Video, GIF or image to stylise.")
    style: Styles = Field(
        (),
        description="Paintings whose style is taken, `path[:weight][@time]`; none where no style is asked for.",
    )
    output: Path | None = setting(
        None, "Result. Default: in.STYLE.mp4 beside the input.", DELIVERY, ("-o",)
    )

    engine: str = setting("optimise", "Way of stylising.", PICTURE, neutral="optimise")

    size: int | None = setting(
        None, "Long side of the render in pixels. Default: the input's.", PICTURE, ge=16, le=16384
    )
    start: float | None = setting(None, "Begin at this second of the input.", PICTURE, ge=0)
    duration: float | None = setting(None, "Render this many seconds.", PICTURE, gt=0)
    features: Literal["lite", "vgg19"] = setting(
        "lite", "Network whose features are matched.", PICTURE
    )
    pooling: Literal["average", "max"] = setting(
        "average", "Pooling of vgg19, and of --polish.", PICTURE
    )
    polish: int = setting(
        0,
        "Last N iterations of every frame, at most those at full size, on VGG-19 instead (with --features lite).",
        PICTURE,
        ge=0,
    )
    flow: Literal["dis", "raft-small", "raft-large"] = setting("dis", "Optical flow.", PICTURE)
    mask: Literal["photometric", "plain"] = setting(
        "photometric",
        "Where the flow is trusted: plain is Ruder's formula, photometric lets agreeing colours overrule it.",
        PICTURE,
    )
    rest: Literal["hold", "follow"] = setting(
        "hold",
        "What does not move: hold keeps it where it is, follow lets it follow its flow, which is never quite zero.",
        PICTURE,
    )
    optimizer: Literal["lbfgs", "adam"] = setting(
        "lbfgs", "Optimiser; adam takes twice the iterations, and a little less memory.", PICTURE
    )
    learning_rate: float = setting(
        0.03,
        "Step size of Adam, and of the first step of L-BFGS, in units of the image's range.",
        PICTURE,
        gt=0,
        le=1,
    )
    first_iterations: int = setting(
        200, "Iterations of the first frame of a shot, and of a still.", PICTURE, ge=1
    )
    iterations: int = setting(16, "Iterations of every other frame.", PICTURE, ge=1)
    budget: Literal["adaptive", "fixed"] = setting(
        "adaptive",
        "adaptive gives a frame more iterations the more of it is new, at most two fifths of what a first frame has "
        "more; fixed does not.",
        PICTURE,
    )
    first_scales: int = setting(
        6, "Coarse-to-fine scales of the first frame of a shot, at most.", PICTURE, ge=1, le=8
    )
    scales: int = setting(
        1, "Coarse-to-fine scales of every other frame, at most.", PICTURE, ge=1, le=8
    )
    init: Literal["content", "noise", "style"] = setting(
        "content", "What the first frame of a shot starts from.", PICTURE
    )
    content_weight: float = setting(
        rules.DEFAULT_CONTENT, "Weight of the content loss.", PICTURE, ge=0
    )
    style_weight: float = setting(1.0, "Weight of the style loss.", PICTURE, ge=0)
    tv_weight: float = setting(0.3, "Weight of the total variation loss.", PICTURE, ge=0)
    temporal_weight: float = setting(100.0, "Weight of the temporal loss.", PICTURE, ge=0)
    temporal_norm: Literal["squared", "smooth-l1"] = setting(
        "squared",
        "Temporal loss; smooth-l1 pulls less where the flow is wrong.",
        PICTURE,
        neutral="squared",
    )
    long_term: Annotated[int, AfterValidator(power_of_two)] = setting(
        0,
        "Hold each frame also to those 2, 4, 8, ... frames before it, up to this many; 0: only to the one before.",
        PICTURE,
        neutral=0,
        ge=0,
        le=64,
    )
    passes: int = setting(
        1,
        "Go over the video so often, forth and back; the first pass renders every frame by itself.",
        PICTURE,
        neutral=1,
        ge=1,
        le=50,
    )
    blend: float = setting(
        0.5,
        "Share of its neighbour in what a frame of a later pass starts from.",
        PICTURE,
        neutral=0.5,
        ge=0,
        le=1,
    )
    temporal_from_pass: int = setting(
        0,
        "First pass with the temporal loss; 0: the second half has it.",
        PICTURE,
        neutral=0,
        ge=0,
        le=50,
    )
    stop_tolerance: float = setting(
        0.0,
        "Stop a frame when the loss changes less than this share over 10 iterations; 0 = never.",
        PICTURE,
        ge=0,
        lt=1,
    )
    seed: int = setting(0, "Seed of the noise of --init noise.", PICTURE, ge=0, lt=2**63)
    per_frame: bool = setting(
        False, "Baseline: no link between frames, each rendered like the first of a shot.", PICTURE
    )
    style_layers: Shares = setting(
        STYLE_LAYERS,
        "Layers whose style is matched, with weights: relu1_1,relu4_1=2.",
        STEERING,
        neutral=STYLE_LAYERS,
    )
    content_layers: Shares = setting(
        CONTENT_LAYERS,
        "Layers whose content is matched, with weights.",
        STEERING,
        neutral=CONTENT_LAYERS,
    )
    style_terms: Shares = setting(
        "gram",
        "What of the style is matched, with weights: gram=0.5,w2=0.5. gram: what occurs together; w2: mean and "
        "covariance; swd: sliced Wasserstein distance; histogram: of each channel; mrf: patches.",
        STEERING,
        neutral="gram",
    )
    mrf_bidirectional: bool = setting(
        False,
        "mrf: every patch of the painting must be found in the picture, too.",
        STEERING,
        neutral=False,
    )
    mrf_coherence: float = setting(
        0.0,
        "mrf: bonus for patches that lie side by side in the painting, 0.05 for example.",
        STEERING,
        neutral=0.0,
        ge=0,
        le=1,
    )
    texture: bool = setting(
        False,
        "More of the input image's texture, at --size, instead of a painted picture.",
        STEERING,
        neutral=False,
    )
    tileable: bool = setting(
        False,
        "texture: what leaves it on one side comes in on the other, so that it can be laid out.",
        STEERING,
        neutral=False,
    )
    style_scale: float = setting(
        1.0,
        "Size of the painting, and of its strokes, in relation to the frame.",
        STEERING,
        neutral=1.0,
        ge=0.1,
        le=4,
    )
    regions: tuple[Path, Path] | None = setting(
        None,
        "Two label images, of the source and of the painting. What has one colour in both belongs together; the first "
        "may be a video, or a folder of images, for every frame.",
        STEERING,
        neutral=None,
    )
    keep_colors: Literal["none", "luminance", "match"] = setting(
        "none",
        "Keep the video's colours: luminance paints its lightness alone, match recolours the painting first.",
        STEERING,
        neutral="none",
    )
    photorealism: float = setting(
        0.0,
        "Weight of the matting Laplacian, which allows recolouring alone and keeps every edge: 100 for a photograph.",
        STEERING,
        neutral=0.0,
        ge=0,
    )
    precision: Literal["auto", "bf16", "fp16", "fp32"] = setting(
        "auto",
        "Precision of the features; auto takes bf16 or fp16 only where the device is fast at it.",
        RUN,
    )
    device: str = setting(
        "auto", "auto, cpu, cuda, cuda:N or mps.", RUN, pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$"
    )

    max_memory: float | None = setting(
        None,
        "Memory that the render may take, in GB. Default: a quarter of the machine's, nine tenths of a GPU's.",
        RUN,
        gt=0,
    )
    tile: int | None = setting(
        None,
        "Compute features in tiles of this side, one after the other: less memory, more time, the same picture but for "
        "rounding. 0: never. Default: as large as the memory allows, none if it can be.",
        RUN,
        ge=0,
        le=16384,
        multiple_of=16,
    )

    overwrite: bool = setting(False, "Replace an existing output.", DELIVERY, ("-f",))
    codec: Literal["h264", "hevc", "vp9", "av1", "prores", "ffv1"] | None = setting(
        None, "Video codec. Default: what suits the container.", DELIVERY
    )
    crf: int | None = setting(
        None, "Quality of the codec, lower is better. Default: 17 for h264.", DELIVERY, ge=0, le=63
    )
    trace: bool = setting(
        False,
        "Show how the first frame comes about: picture and losses of every iteration, as OUT.trace.mp4, .png and .json "
        "beside the output.",
        DELIVERY,
    )
    keep_frames: bool = setting(
        False, "Keep the 16-bit frames in OUTPUT.vidstyle/ after success.", DELIVERY
    )
    restart: bool = setting(False, "Throw the checkpoints of this output away and start over.", RUN)
    force: bool = setting(False, "Start although disk or memory seem too small.", RUN)
    allow_damaged: bool = setting(False, "Render what a damaged input still holds.", RUN)
    weights_dir: Path | None = setting(
        None, "Where weight files are looked for first (also VIDSTYLE_WEIGHTS).", RUN
    )

    @model_validator(mode="after")
    def without_conflicts(self) -> RenderConfig:
        for check in rules.CHECKS:
            check(self)
        return self

    @property
    def paintings(self) -> tuple[Path, ...]:
        """Where the style comes from: a texture is its own."""
        return (self.input,) if self.texture else files(self.style)

    @property
    def made_from(self) -> tuple[Path, ...]:
        """What no output may replace, beside the input."""
        return (*self.paintings, *(self.regions or ()))

    @property
    def named_after(self) -> Path:
        """The file whose name the output takes a part of: of the paintings, or what would stand for
        them.
        """
        if not self.style:
            return Path("texture" if self.texture else self.content_layers.replace(",", "-"))
        first, *others = files(self.style)
        return first.with_name(
            "-".join([first.stem, *(path.stem for path in others)]) + first.suffix
        )

    @property
    def distances(self) -> tuple[int, ...]:
        """How many frames back a frame is held to: J = 1, 2, 4, ..., as far as `long_term` goes,
        and always 1 (Ruder 2016, section 4.3).
        """
        return tuple(2**i for i in range(max(1, self.long_term).bit_length()))

    @property
    def frames_until_static(self) -> int:
        """How many frames a pixel at rest is still optimised, so that it has had as many iterations
        since it moved as the first frame of a shot.
        """
        return -(-self.first_iterations // self.iterations) - 1

    @property
    def held_from_pass(self) -> int:
        """The first pass with the temporal loss; by default as in Ruder's program, from the 8th of
        15 passes on.
        """
        return self.temporal_from_pass or self.passes // 2 + 1

    def picture_settings(self) -> dict[str, Any]:
        """The settings that change frames, as plain values; without those that are at their neutral
        value, or change nothing beside the others.
        """
        values = self.model_dump(mode="json")
        return {
            name: values[name]
            for name in type(self).model_fields
            if group_of(name) in FRAMES
            and values[name] != extra_of(name).get("neutral", ALWAYS)
            and not (self.per_frame and name in LINKING)
        }


def extra_of(name: str) -> dict[str, Any]:
    """What `setting` noted of a field; nothing for the positional ones."""
    extra = RenderConfig.model_fields[name].json_schema_extra
    return dict(extra) if isinstance(extra, dict) else {}


def group_of(name: str) -> str | None:
    """The group of a setting (`PICTURE`, `STEERING`, `DELIVERY`, `RUN`), or None for the positional
    ones.
    """
    return extra_of(name).get("group")


OF_A_PAINTING = frozenset(
    {
        "style",
        "style_weight",
        "style_layers",
        "style_terms",
        "style_scale",
        "mrf_bidirectional",
        "mrf_coherence",
    }
)


UNRECONSTRUCTED = OF_A_PAINTING | {
    "content_layers",
    "texture",
    "tileable",
    "regions",
    "keep_colors",
    "photorealism",
}
"""What has no meaning where a picture is made from its features in one layer."""


def reconstruction(layer: str, given: Collection[str] = ()) -> dict[str, Any]:
    """The settings under which a picture is made from its features in one layer alone (Mahendran &
    Vedaldi 2015).

    Raises ConfigError where other settings that are `given` contradict that.
    """
    if contrary := sorted(UNRECONSTRUCTED & set(given)):
        why = f"it shows what {layer} sees of the input, which leaves {', '.join(contrary)} nothing to do"
        raise ConfigError(
            "--reconstruct stands alone", why, f"leave {', '.join(contrary)} out, or --reconstruct"
        )
    return {
        "content_layers": layer,
        "content_weight": 1.0,
        "style_weight": 0.0,
        "tv_weight": 0.01,
        "init": "noise",
    }


def build(*layers: dict[str, Any]) -> RenderConfig:
    """The config from layers of settings, later ones win. Raises ConfigError naming each bad
    value.
    """
    merged = {name: value for layer in layers for name, value in layer.items()}
    try:
        return RenderConfig(**merged)
    except ValidationError as e:
        why = "; ".join(complaint(problem) for problem in e.errors())
        ours = all(problem["type"] == "value_error" for problem in e.errors())
        hint = (
            "change what is named there, or leave it out"
            if ours
            else "see vidstyle --help for the names and ranges"
        )
        raise ConfigError("the settings do not fit", why, hint) from e


def complaint(problem: Any) -> str:
    """One of pydantic's errors in the user's words."""
    if not problem["loc"]:  # about several settings together, and says all itself
        return str(problem["ctx"]["error"])
    name = ".".join(map(str, problem["loc"]))
    if problem["type"] == "value_error":  # one of ours
        text = str(problem["ctx"]["error"])
        return text if text.startswith(name) else f"{name}: {text}"
    if problem["type"] == "extra_forbidden":
        near = difflib.get_close_matches(name, RenderConfig.model_fields, n=1)
        return f"there is no setting {name}" + (f", did you mean {near[0]}?" if near else "")
    if (
        problem["type"] == "string_pattern_mismatch"
    ):  # a pattern is no help, the field's own words are
        return f"{name}: {problem['input']!r} is none of {RenderConfig.model_fields[name].description}".rstrip(
            "."
        )
    return f"{name}: {problem['msg'].lower()}, not {problem['input']!r}"


def reduced(config: RenderConfig) -> dict[str, Any]:
    return {
        "iterations": max(1, config.iterations // 2),
        "first_iterations": max(1, config.first_iterations // 2),
        "polish": (config.polish + 1) // 2,
    }
