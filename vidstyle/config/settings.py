"""The settings of one render as one frozen model, the lists that follow from their facts, and the
way from layers of settings (preset, file, flags) to a model.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection
from fractions import Fraction
from pathlib import Path
from typing import Any

from pydantic import ValidationError, model_validator

from vidstyle.config.engines import UNUSED_SETTINGS
from vidstyle.config.facts import (
    FRAME_AFFECTING,
    REDUCTIONS,
    Affects,
    SettingFacts,
    read_facts,
)
from vidstyle.config.fields import RenderFields
from vidstyle.config.opacity import opacity_at
from vidstyle.config.rules import check_rules
from vidstyle.config.style_images import list_files, original_share
from vidstyle.errors import ConfigError


class RenderConfig(RenderFields):
    """Settings of one render that go together."""

    @model_validator(mode="after")
    def check_together(self) -> RenderConfig:
        """Refuse settings that break a rule."""
        check_rules(self)
        return self

    @property
    def style_files(self) -> tuple[Path, ...]:
        """The files that the style comes from; a texture is its own."""
        return (self.input,) if self.texture else list_files(self.style)

    @property
    def protected_files(self) -> tuple[Path, ...]:
        """The files that no output may replace, in addition to the input."""
        pictures = (one.path for one in self.keyframes)
        return (*self.style_files, *(self.regions or ()), *pictures)

    @property
    def named_after(self) -> Path:
        """The file whose name the output takes a part of: of the style images, or a stand-in for
        them.
        """
        if not self.style:
            return Path("texture" if self.texture else self.content_layers.replace(",", "-"))
        first, *others = list_files(self.style)
        stem = "-".join([first.stem, *(path.stem for path in others)])
        return first.with_name(stem + first.suffix)

    @property
    def distances(self) -> tuple[int, ...]:
        """The distances, in frames, to the earlier frames that a frame is linked to: J = 1, 2, 4,
        ..., as far as `long_term` goes, and always 1 (Ruder 2016, section 4.3).
        """
        return tuple(2**i for i in range(max(1, self.long_term).bit_length()))

    @property
    def frames_until_static(self) -> int:
        """The number of frames that a pixel that has stopped moving is still optimised, so that it
        gets as many iterations as the first frame of a shot.
        """
        return -(-self.first_iterations // self.iterations) - 1

    @property
    def first_temporal_pass(self) -> int:
        """The first pass with the temporal loss; by default as in Ruder's program, from the 8th of
        15 passes on.
        """
        return self.temporal_from_pass or self.passes // 2 + 1

    def opacity_at(self, seconds: Fraction) -> float:
        """Return the share of the painting in the picture at this second of the input, in [0, 1]:
        the opacity, of what the source itself leaves of the style.
        """
        return opacity_at(self.opacity, seconds) * (1 - original_share(self.style, seconds))

    def closes_loop(self, *, input_loops: bool) -> bool:
        """Tell whether the end is joined to the beginning: as asked for, else where the input loops
        and its frames are linked in one pass.
        """
        if self.loop is not None:
            return self.loop
        return input_loops and not (self.per_frame or self.passes > 1 or self.texture)

    def reduce_for_preview(self) -> dict[str, Any]:
        """Return the settings that a preview reduces, with their values in it; those that have no
        effect here stay as they are.
        """
        unused = UNUSED_SETTINGS.get(self.engine, ())
        reduced = {}
        for name in type(self).model_fields:
            facts = facts_of(name)
            is_used = all(need.is_met(getattr(self, need.setting)) for need in facts.needs)
            if facts.preview and is_used and name not in unused:
                reduced[name] = REDUCTIONS[facts.preview](getattr(self, name))
        return reduced

    def changed_settings(self, group: str) -> dict[str, Any]:
        """Return the settings of a group that are not at their defaults."""
        fields = type(self).model_fields
        return {
            name: getattr(self, name)
            for name, field in fields.items()
            if facts_of(name).group == group and getattr(self, name) != field.default
        }

    def picture_settings(self) -> dict[str, Any]:
        """Return the settings that change frames, as plain values, for the fingerprint: without
        those at their neutral value, those that change nothing with `per_frame`, and the files
        whose content is identified by digests.
        """
        values = self.model_dump(mode="json")
        affecting = FRAME_AFFECTING - {"links"} if self.per_frame else FRAME_AFFECTING
        return {
            name: values[name]
            for name in settings_that_affect(*affecting)
            if facts_of(name).group and values[name] != facts_of(name).neutral
        }


def facts_of(name: str) -> SettingFacts:
    """Return the metadata of a setting."""
    return read_facts(RenderConfig.model_fields[name])


def settings_that_affect(*kinds: Affects) -> tuple[str, ...]:
    """List the settings of these reaches, in the order of the model."""
    return tuple(name for name in RenderConfig.model_fields if facts_of(name).affects in kinds)


def reconstruction_settings(layer: str, given: Collection[str] = ()) -> dict[str, Any]:
    """Return the settings under which a picture is made from its features in one layer alone
    (Mahendran & Vedaldi 2015).

    Raises ConfigError where other settings that are `given` contradict that.
    """
    if contrary := sorted(set(settings_that_affect("style")) & set(given)):
        names = ", ".join(contrary)
        raise ConfigError(
            "--reconstruct stands alone",
            f"it shows what {layer} sees of the input, which leaves {names} nothing to do",
            f"leave {names} out, or --reconstruct",
        )
    return {
        "content_layers": layer,
        "content_weight": 1.0,
        "detail": 0.0,
        "style_weight": 0.0,
        "tv_weight": 0.01,
        "init": "noise",
    }


def build(*layers: dict[str, Any]) -> RenderConfig:
    """Build the settings from layers of them, of which later ones win.

    Raises ConfigError, which names each bad value.
    """
    merged = {name: value for layer in layers for name, value in layer.items()}
    try:
        return RenderConfig(**merged)
    except ValidationError as e:
        why = "; ".join(describe_problem(problem) for problem in e.errors())
        ours = all(problem["type"] == "value_error" for problem in e.errors())
        hint = (
            "change what is named there, or leave it out"
            if ours
            else "see vidstyle --help-all for the names and ranges"
        )
        raise ConfigError("the settings do not fit", why, hint) from e


def describe_problem(problem: Any) -> str:
    """Put one of pydantic's errors into the user's words."""
    if not problem["loc"]:
        # A rule between several settings says everything itself.
        return str(problem["ctx"]["error"])
    name = ".".join(map(str, problem["loc"]))
    if problem["type"] == "value_error":
        # A validator of this package.
        text = str(problem["ctx"]["error"])
        return text if text.startswith(name) else f"{name}: {text}"
    if problem["type"] == "extra_forbidden":
        near = difflib.get_close_matches(name, RenderConfig.model_fields, n=1)
        return f"there is no setting {name}" + (f", did you mean {near[0]}?" if near else "")
    if problem["type"] == "string_pattern_mismatch":
        # A pattern is no help; the words of the setting are.
        allowed = str(RenderConfig.model_fields[name].description).rstrip(".")
        return f"{name}: {problem['input']!r} is none of {allowed}"
    return f"{name}: {problem['msg'].lower()}, not {problem['input']!r}"
