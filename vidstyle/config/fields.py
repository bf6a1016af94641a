"""The settings of one render: each with its type, default, range, help and facts.

`config.settings.RenderConfig` adds the rules between them. The command line is made from these
fields, so a setting is written down once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationInfo,
    field_validator,
)

from vidstyle.config import needs, weighted_names
from vidstyle.config.facts import (
    DELIVERY,
    PICTURE,
    RUN,
    STEERING,
    SettingFacts,
    setting_field,
)
from vidstyle.config.keyframes import Keyframe, parse_keyframes
from vidstyle.config.opacity import OpacityKey, parse_opacities
from vidstyle.config.style_images import StyleImage, parse_style_images

NEUTRAL_STYLE_LAYERS = "relu1_1,relu2_1,relu3_1,relu4_1,relu5_1"
NEUTRAL_CONTENT_LAYERS = "relu4_2"
"""The layers of every render before they could be chosen."""


def round_to_power_of_two(reach: int) -> int:
    """Round down to the farthest of the distances 2, 4, 8, ... within `reach`, or to 0 where there
    is none: what links to the same frames has the same fingerprint.
    """
    return 2 ** (reach.bit_length() - 1) if reach > 1 else 0


WeightedNames = Annotated[str, AfterValidator(weighted_names.canonicalise_names)]


StyleImages = Annotated[
    tuple[StyleImage, ...],
    BeforeValidator(parse_style_images),
    PlainSerializer(lambda styles: [str(one) for one in styles], return_type=list[str]),
]


Keyframes = Annotated[
    tuple[Keyframe, ...],
    BeforeValidator(parse_keyframes),
    PlainSerializer(lambda keyframes: [str(one) for one in keyframes], return_type=list[str]),
]


OpacityKeys = Annotated[
    tuple[OpacityKey, ...],
    BeforeValidator(parse_opacities),
    PlainSerializer(lambda keys: [str(one) for one in keys], return_type=list[str]),
]


class RenderFields(BaseModel):
    """The settings of one render, each checked by itself."""

    # Deferred: `vidstyle --help` reads the fields and validates nothing.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    @field_validator("*", mode="before")
    @classmethod
    def refuse_stand_ins(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse values that Python takes for others: true for the number 1, and an empty text for
        the present folder.
        """
        kind = cls.model_fields[str(info.field_name)].annotation
        if isinstance(value, bool) and not {int, float}.isdisjoint((kind, *get_args(kind))):
            raise ValueError(f"input should not be {str(value).lower()}: that is for switches")
        texts = [value] if isinstance(value, str) else value
        if isinstance(texts, list | tuple) and "" in texts and "Path" in str(kind):
            raise ValueError("input should name a file, and is empty")
        return value

    input: Path = Field(
        description="Video, GIF or image to stylise.",
        json_schema_extra=SettingFacts("frames", audience="everyday"),
    )
    style: StyleImages = setting_field(
        (),
        "Paintings whose style is taken, `path[:weight][@time]`; none where no style is asked for. "
        "`original` among them is the input itself.",
        SettingFacts("style", audience="everyday"),
    )
    output: Path | None = setting_field(
        None,
        "Result. Default: in.STYLE.mp4 next to the input.",
        SettingFacts("delivery", DELIVERY, flags=("-o",), audience="everyday"),
    )
    size: int | None = setting_field(
        None,
        "Long side of the render in pixels. Default: the input's.",
        SettingFacts("frames", PICTURE, audience="everyday"),
        ge=16,
        le=16384,
    )
    start: float | None = setting_field(
        None,
        "Begin at this second of the input.",
        SettingFacts("frames", PICTURE, audience="everyday"),
        ge=0,
    )
    duration: float | None = setting_field(
        None, "Render this many seconds.", SettingFacts("video", PICTURE, audience="everyday"), gt=0
    )
    loop: bool | None = setting_field(
        None,
        "Join the end to the beginning, for what is shown over and over. Default: for a GIF or "
        "WebP that loops.",
        SettingFacts(
            "video",
            PICTURE,
            needs=(needs.ONE_PASS_FOR_LOOP, needs.LINKS_FOR_LOOP, needs.NO_TEXTURE_FOR_LOOP),
            neutral=None,
        ),
    )
    bars: Literal["keep", "paint"] = setting_field(
        "keep",
        "Letterbox and pillarbox bars: keep leaves them as they are and paints what is inside, "
        "paint paints them too.",
        SettingFacts("frames", PICTURE, neutral="paint"),
    )
    deinterlace: Literal["auto", "off"] = setting_field(
        "auto",
        "Interlaced video: auto makes whole frames of its fields, off paints the combs.",
        # Neutral: a video that has no fields is what it was, and fields are in the fingerprint.
        SettingFacts("video", PICTURE, neutral="auto"),
    )
    keep_titles: bool = setting_field(
        False,
        "Titles and logos that stay while the picture moves behind them are left as in the video.",
        SettingFacts("composition", PICTURE, needs=(needs.NO_TEXTURE_FOR_COMPOSITION,)),
    )
    opacity: OpacityKeys = setting_field(
        (),
        "Opacity of the painting over the video; from 0 to 1, and with times (`0@0s`, `1@3s`) it "
        "moves from one to the other. Default: 1.",
        SettingFacts(
            "composition",
            PICTURE,
            metavar="X",
            audience="everyday",
            needs=(needs.NO_TEXTURE_FOR_COMPOSITION,),
        ),
    )
    keyframes: Keyframes = setting_field(
        (),
        "Finished picture of a frame: `120=fixed.png`, counted from 0, or `4.8s=fixed.png`. Again "
        "for more of them.",
        SettingFacts(
            "composition",
            PICTURE,
            long_flag="--keyframe",
            metavar="N=FILE",
            audience="everyday",
            needs=(
                needs.ONE_PASS_FOR_KEYFRAMES,
                needs.LINKS_FOR_KEYFRAMES,
                needs.NO_TEXTURE_FOR_KEYFRAMES,
            ),
        ),
    )
    features: Literal["lite", "vgg19"] = setting_field(
        "lite", "Network whose features are matched.", SettingFacts("frames", PICTURE)
    )
    pooling: Literal["average", "max"] = setting_field(
        "average", "Pooling of vgg19, and of --polish.", SettingFacts("frames", PICTURE)
    )
    polish: int = setting_field(
        0,
        "Last N iterations of every frame, at most those at full size, on VGG-19 instead (with "
        "--features lite).",
        SettingFacts(
            "frames", PICTURE, needs=(needs.ANOTHER_NETWORK_GOES_FIRST,), preview="half rounded up"
        ),
        ge=0,
    )
    flow: Literal["dis", "raft-small", "raft-large", "none"] = setting_field(
        "dis",
        "Optical flow. none: what moves is painted new, and what stays in place is kept.",
        SettingFacts("links", PICTURE, audience="everyday"),
    )
    mask: Literal["photometric", "plain"] = setting_field(
        "photometric",
        "Where the flow is trusted: plain is Ruder's formula, photometric lets agreeing colours "
        "overrule it.",
        SettingFacts("links", PICTURE, needs=(needs.FLOW_FOR_PLAIN,)),
    )
    rest: Literal["hold", "follow"] = setting_field(
        "hold",
        "What does not move: hold keeps it where it is, follow lets it follow its flow, which "
        "is never quite zero.",
        SettingFacts("links", PICTURE, needs=(needs.ONE_PASS_FOR_REST,)),
    )
    optimizer: Literal["lbfgs", "adam"] = setting_field(
        "lbfgs",
        "Optimiser; adam takes twice the iterations, and a little less memory.",
        SettingFacts("frames", PICTURE),
    )
    learning_rate: float = setting_field(
        0.03,
        "Step size of Adam, and of the first step of L-BFGS, in units of the image's range.",
        SettingFacts("frames", PICTURE),
        gt=0,
        le=1,
    )
    first_iterations: int = setting_field(
        200,
        "Iterations of a first frame or a still.",
        SettingFacts("frames", PICTURE, audience="everyday", preview="half"),
        ge=1,
    )
    iterations: int = setting_field(
        16,
        "Iterations of every other frame.",
        SettingFacts("links", PICTURE, audience="everyday", preview="half"),
        ge=1,
    )
    budget: Literal["adaptive", "fixed"] = setting_field(
        "adaptive",
        "adaptive gives a frame more iterations the more of it is new, at most two fifths of "
        "what a first frame has more; fixed does not.",
        SettingFacts("links", PICTURE, needs=(needs.ONE_PASS_FOR_BUDGET,)),
    )
    first_scales: int = setting_field(
        6,
        "Coarse-to-fine scales of the first frame of a shot, at most.",
        SettingFacts("frames", PICTURE),
        ge=1,
        le=8,
    )
    scales: int = setting_field(
        1,
        "Coarse-to-fine scales of every other frame, at most.",
        SettingFacts("links", PICTURE),
        ge=1,
        le=8,
    )
    init: Literal["content", "noise", "style"] = setting_field(
        "content",
        "What a shot's first frame starts from.",
        SettingFacts("frames", PICTURE),
    )
    content_weight: float = setting_field(
        0.06,
        "Weight of the content loss.",
        SettingFacts("frames", PICTURE, audience="everyday"),
        ge=0,
    )
    detail: float = setting_field(
        0.5,
        "How far faces and edges count, 0 to 1.",
        SettingFacts(
            "frames",
            PICTURE,
            audience="everyday",
            needs=(needs.CONTENT_IS_OF_THE_INPUT, needs.CONTENT_IS_ASKED),
            neutral=0.0,
        ),
        ge=0,
        le=1,
    )
    style_weight: float = setting_field(
        1.0, "Weight of the style loss.", SettingFacts("style", PICTURE), ge=0
    )
    tv_weight: float = setting_field(
        0.3,
        "Weight of the total variation loss.",
        SettingFacts("frames", PICTURE),
        ge=0,
    )
    temporal_weight: float = setting_field(
        100.0,
        "Weight of the temporal loss.",
        SettingFacts("links", PICTURE, audience="everyday"),
        ge=0,
    )
    temporal_norm: Literal["squared", "smooth-l1"] = setting_field(
        "squared",
        "Temporal loss; smooth-l1 pulls less where the flow is wrong.",
        SettingFacts("links", PICTURE, needs=(needs.TEMPORAL_LOSS_IS_ON,), neutral="squared"),
    )
    long_term: Annotated[int, AfterValidator(round_to_power_of_two)] = setting_field(
        0,
        "Hold each frame also to those 2, 4, 8, ... frames before it, up to this many; 0: only "
        "to the one before.",
        SettingFacts("video", PICTURE, neutral=0),
        ge=0,
        le=64,
    )
    passes: int = setting_field(
        1,
        "Go over the video so often, forth and back; the first pass renders every frame by itself.",
        SettingFacts("video", PICTURE, neutral=1),
        ge=1,
        le=50,
    )
    blend: float = setting_field(
        0.5,
        "Share of its neighbour in what a frame of a later pass starts from.",
        SettingFacts("video", PICTURE, needs=(needs.THERE_ARE_PASSES,), neutral=0.5),
        ge=0,
        le=1,
    )
    temporal_from_pass: int = setting_field(
        0,
        "First pass with the temporal loss; 0: the second half has it.",
        SettingFacts(
            "video",
            PICTURE,
            needs=(needs.THERE_ARE_PASSES, needs.TEMPORAL_LOSS_IS_ON),
            neutral=0,
        ),
        ge=0,
        le=50,
    )
    stop_tolerance: float = setting_field(
        0.0,
        "Stop a frame when the loss changes less than this share over 10 iterations; 0 = never.",
        SettingFacts("frames", PICTURE),
        ge=0,
        lt=1,
    )
    seed: int = setting_field(
        0, "Seed of the noise of --init noise.", SettingFacts("frames", PICTURE), ge=0, lt=2**63
    )
    per_frame: bool = setting_field(
        False,
        "Baseline: no link between frames, each rendered like the first of a shot.",
        SettingFacts("video", PICTURE),
    )
    engine: str = setting_field(
        "optimise",
        "Way of stylising frames: optimise, the best picture; fast, a network that learns the "
        "painting first; balanced, the network and then a few iterations.",
        SettingFacts("frames", PICTURE, neutral="optimise"),
    )
    learn: float = setting_field(
        60.0,
        "Time to learn a painting in. With engine fast or balanced the network learns it for about "
        "so many seconds, and keeps it; 0: it paints at once.",
        SettingFacts(
            "frames",
            PICTURE,
            metavar="SECONDS",
            needs=(needs.THERE_IS_A_NETWORK,),
            neutral=60.0,
            preview="quarter",
        ),
        ge=0,
        le=86400,
    )
    style_layers: WeightedNames = setting_field(
        NEUTRAL_STYLE_LAYERS,
        "Layers whose style is matched, with weights: relu1_1,relu4_1=2.",
        SettingFacts(
            "style", STEERING, needs=(needs.STYLE_IS_ASKED,), neutral=NEUTRAL_STYLE_LAYERS
        ),
    )
    content_layers: WeightedNames = setting_field(
        NEUTRAL_CONTENT_LAYERS,
        "Layers whose content is matched, with weights.",
        SettingFacts(
            "style",
            STEERING,
            needs=(needs.CONTENT_IS_OF_THE_INPUT, needs.CONTENT_IS_ASKED),
            neutral=NEUTRAL_CONTENT_LAYERS,
        ),
    )
    style_terms: WeightedNames = setting_field(
        "gram",
        "What of the style is matched, with weights: gram=0.5,w2=0.5. gram: what occurs "
        "together; w2: mean and covariance; swd: sliced Wasserstein distance; histogram: of "
        "each channel; mrf: patches.",
        SettingFacts("style", STEERING, needs=(needs.STYLE_IS_ASKED,), neutral="gram"),
    )
    mrf_bidirectional: bool = setting_field(
        False,
        "mrf: every patch of the painting must be found in the picture, too.",
        SettingFacts("style", STEERING, needs=(needs.PATCHES_ARE_MATCHED,), neutral=False),
    )
    mrf_coherence: float = setting_field(
        0.0,
        "mrf: bonus for patches that lie side by side in the painting, 0.05 for example.",
        SettingFacts("style", STEERING, needs=(needs.PATCHES_ARE_MATCHED,), neutral=0.0),
        ge=0,
        le=1,
    )
    texture: bool = setting_field(
        False,
        "More of the input image's texture, at --size, instead of a painted picture.",
        SettingFacts("style", STEERING, neutral=False),
    )
    tileable: bool = setting_field(
        False,
        "texture: what leaves it on one side comes in on the other, so that it can be laid out.",
        SettingFacts("style", STEERING, needs=(needs.TEXTURE_IS_MADE,), neutral=False),
    )
    style_scale: float = setting_field(
        1.0,
        "Size of the painting, and of its strokes, in relation to the frame.",
        SettingFacts(
            "style", STEERING, audience="everyday", needs=(needs.STYLE_IS_ASKED,), neutral=1.0
        ),
        ge=0.1,
        le=4,
    )
    style_crop: Literal["auto", "off"] = setting_field(
        "auto",
        "The painting's rim (a frame, a mat, the border of a scan): auto finds it and leaves it "
        "out, off takes the style from it as well.",
        SettingFacts("style", STEERING, neutral="off"),
    )
    regions: tuple[Path, Path] | None = setting_field(
        None,
        "Two label images, of the source and of the painting. What has one colour in both "
        "belongs together; the first may be a video, or a folder of images, for every frame.",
        SettingFacts(
            "style", STEERING, audience="everyday", needs=(needs.STYLE_IS_ASKED,), neutral=None
        ),
    )
    keep_colors: Literal["none", "luminance", "match"] = setting_field(
        "none",
        "Keep the video's colours: luminance paints its lightness alone, match recolours the "
        "painting first.",
        SettingFacts(
            "style",
            STEERING,
            audience="everyday",
            needs=(needs.STYLE_IS_ASKED_FOR_MATCH,),
            neutral="none",
        ),
    )
    photorealism: float = setting_field(
        0.0,
        "Weight of the matting Laplacian, which allows recolouring alone and keeps every edge: "
        "100 for a photograph.",
        SettingFacts("style", STEERING, neutral=0.0),
        ge=0,
    )
    precision: Literal["auto", "bf16", "fp16", "fp32"] = setting_field(
        "auto",
        "Precision of the features; auto takes bf16 or fp16 only where the device is fast at it.",
        SettingFacts("run", RUN),
    )
    device: str = setting_field(
        "auto",
        "auto, cpu, cuda, cuda:N or mps.",
        SettingFacts("run", RUN, audience="everyday"),
        pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$",
    )
    max_memory: float | None = setting_field(
        None,
        "Memory that the render may take, in GB. Default: a quarter of the machine's, nine "
        "tenths of a GPU's.",
        SettingFacts("run", RUN),
        gt=0,
    )
    tile: int | None = setting_field(
        None,
        "Compute features in tiles of this side, one after the other: less memory, more time, "
        "the same picture except for rounding. 0: never. Default: as large as the memory allows, "
        "none if it can be.",
        SettingFacts("run", RUN),
        ge=0,
        le=16384,
        multiple_of=16,
    )
    overwrite: bool = setting_field(
        False,
        "Replace an existing output.",
        SettingFacts("delivery", DELIVERY, flags=("-f",), audience="everyday"),
    )
    codec: Literal["h264", "hevc", "vp9", "av1", "prores", "ffv1"] | None = setting_field(
        None, "Video codec. Default: what suits the container.", SettingFacts("film", DELIVERY)
    )
    crf: int | None = setting_field(
        None,
        "Quality of the codec, lower is better. Default: 17 for h264.",
        SettingFacts("film", DELIVERY),
        ge=0,
        le=63,
    )
    audio: Literal["copy", "convert", "none"] = setting_field(
        "copy",
        "Sound: copy takes it as it is, and converts what the output's container does not take; "
        "convert always converts it; none leaves it out.",
        SettingFacts("film", DELIVERY),
    )
    trace: bool = setting_field(
        False,
        "Show how the first frame comes about: picture and losses of every iteration, as "
        "OUT.trace.mp4, .png and .json next to the output.",
        SettingFacts("film", DELIVERY),
    )
    keep_frames: bool = setting_field(
        False,
        "Keep the 16-bit frames in OUTPUT.vidstyle/ after success.",
        SettingFacts("delivery", DELIVERY),
    )
    keep: Literal["lossless", "final"] = setting_field(
        "lossless",
        "How a long render keeps finished frames until its end: lossless, or final: as encoded "
        "for the output, a tenth of the disk, but --codec and --crf are settled then.",
        SettingFacts("film", DELIVERY, audience="expert", needs=(needs.FRAMES_GO_AT_THE_END,)),
    )
    restart: bool = setting_field(
        False, "Throw the checkpoints of this output away and start over.", SettingFacts("run", RUN)
    )
    force: bool = setting_field(
        False, "Start although disk or memory seem too small.", SettingFacts("run", RUN)
    )
    no_cache: bool = setting_field(
        False,
        "Look through the input again, whatever earlier commands have seen of it.",
        SettingFacts("run", RUN),
    )
    allow_damaged: bool = setting_field(
        False, "Render what a damaged input still holds.", SettingFacts("film", RUN)
    )
    weights_dir: Path | None = setting_field(
        None,
        "Where weight files are looked for first (also VIDSTYLE_WEIGHTS).",
        SettingFacts("run", RUN),
    )
