"""The needs of settings: where each goes with another one, and the sentence for where it does not.

They are named by what must hold; `config.fields` gives them to the settings that have them.
"""

from __future__ import annotations

from vidstyle.config import weighted_names
from vidstyle.config.facts import Need
from vidstyle.config.weighted_names import REFINEMENT_NETWORK

STYLE_IS_ASKED = Need(
    "style_weight",
    lambda weight: weight > 0,
    "{name} changes nothing with style_weight = 0: leave one of them out",
)
STYLE_IS_ASKED_FOR_MATCH = Need(
    "style_weight",
    lambda weight: weight > 0,
    "{name} = {value} changes nothing with style_weight = 0: leave one of them out",
    values=("match",),
)
CONTENT_IS_OF_THE_INPUT = Need(
    "texture",
    lambda texture: not texture,
    "{name} changes nothing with texture: leave one of them out",
)
CONTENT_IS_ASKED = Need(
    "content_weight",
    lambda weight: weight > 0,
    "{name} changes nothing with content_weight = 0: leave one of them out",
)
PATCHES_ARE_MATCHED = Need(
    "style_terms",
    lambda terms: "mrf" in weighted_names.parse_weights(terms),
    "{name} changes nothing where style_terms = {other} have no mrf: add it",
)
TEXTURE_IS_MADE = Need("texture", bool, "tileable is for a texture: set texture = true")
ANOTHER_NETWORK_GOES_FIRST = Need(
    "features",
    lambda network: network != REFINEMENT_NETWORK,
    "{name} = {value} changes nothing where features = {other} does every iteration on VGG-19: "
    "set polish = 0, or features = lite",
)
TEMPORAL_LOSS_IS_ON = Need(
    "temporal_weight",
    lambda weight: weight > 0,
    "{name} = {value} changes nothing where temporal_weight = 0 leaves the temporal loss out: set "
    "only one of them",
)
THERE_ARE_PASSES = Need(
    "passes",
    lambda passes: passes > 1,
    "{name} = {value} changes nothing where there is one pass: set passes = 2 or more",
)
FRAMES_GO_AT_THE_END = Need(
    "keep_frames",
    lambda keep_frames: not keep_frames,
    "keep = {value} does not go with keep_frames, which keeps all frames: leave one of them out",
    values=("final",),
)
ONE_PASS_FOR_REST = Need(
    "passes",
    lambda passes: passes == 1,
    "{name} = {value} changes nothing where passes = {other} let everything follow its flow: set "
    "only one of them",
)
ONE_PASS_FOR_BUDGET = Need(
    "passes",
    lambda passes: passes == 1,
    "{name} = {value} changes nothing where passes = {other} give every frame as many iterations: "
    "set only one of them",
)
ONE_PASS_FOR_LOOP = Need(
    "passes",
    lambda passes: passes == 1,
    "loop does not go with passes = {other}: the ends are joined where there is one pass; set only "
    "one of them",
    values=(True,),
)
LINKS_FOR_LOOP = Need(
    "per_frame",
    lambda per_frame: not per_frame,
    "loop does not go with per_frame: there are no links between frames, with which the ends would "
    "be joined; leave one of them out",
    values=(True,),
)
NO_TEXTURE_FOR_LOOP = Need(
    "texture",
    lambda texture: not texture,
    "loop does not go with texture: one picture has no ends to join; leave one of them out",
    values=(True,),
)
ONE_PASS_FOR_KEYFRAMES = Need(
    "passes",
    lambda passes: passes == 1,
    "{name} do not go with passes = {other}: each pass goes over every frame again, given ones as "
    "well; set only one of them",
)
LINKS_FOR_KEYFRAMES = Need(
    "per_frame",
    lambda per_frame: not per_frame,
    "{name} do not go with per_frame: there are no links between frames, with which the others "
    "would go on from those given; leave one of them out",
)
NO_TEXTURE_FOR_KEYFRAMES = Need(
    "texture",
    lambda texture: not texture,
    "{name} do not go with texture: it is one picture, which has no frames; leave one of them out",
)
NO_TEXTURE_FOR_COMPOSITION = Need(
    "texture",
    lambda texture: not texture,
    "{name} does not go with texture: nothing of the input is to be seen in one; leave one of them "
    "out",
)
FLOW_FOR_PLAIN = Need(
    "flow",
    lambda flow: flow != "none",
    "{name} = {value} does not go with flow = {other}: it would trust every pixel; leave one of "
    "them out",
    values=("plain",),
)
THERE_IS_A_NETWORK = Need(
    "engine",
    lambda engine: engine in ("fast", "balanced"),
    "{name} = {value} changes nothing with engine = {other}, which learns nothing: leave it out, "
    "or set engine = fast",
)
