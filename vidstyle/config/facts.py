"""The facts that every setting carries next to its type, its default and its help: what it affects,
what it needs, who it is for, and how the command line shows it.

Lists of settings are made from these facts, never kept by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field
from pydantic.fields import FieldInfo

PICTURE = "Picture"
STEERING = "Steering the style"
DELIVERY = "Delivery"
RUN = "Run"
GROUPS = (PICTURE, STEERING, DELIVERY, RUN)
"""The headings under which the command line and TOML files list the settings."""

Affects = Literal["frames", "style", "video", "links", "composition", "film", "delivery", "run"]
"""The reach of a setting.

- frames: every picture, that of a still too.
- style: the same, by what is matched of the style and the content; a reconstruction, which matches
  one layer and nothing else, has no use for it.
- video: frames of a video; nothing on a still.
- links: frames that are linked to earlier ones; nothing on a still, and nothing with `per_frame`.
- composition: what is done with a painted frame afterwards; changing it costs no painting.
- film: a film's file, read or written, that of `trace` included; no frame that could be rendered
  without it, and nothing where many stills are made at once.
- delivery: where the result goes, and what is kept.
- run: how the machine does its work.
"""

FRAME_AFFECTING: frozenset[Affects] = frozenset({"frames", "style", "video", "links"})
"""The kinds of settings that change pixels, and so belong to the fingerprint."""

RESULT_AFFECTING: frozenset[Affects] = FRAME_AFFECTING | {"composition"}
"""The kinds of settings that change pixels of the result."""

MOTION_AFFECTING: frozenset[Affects] = frozenset({"video", "links"})
"""The kinds of settings that change nothing on a still."""

Audience = Literal["everyday", "expert"]
"""`vidstyle --help` shows the everyday settings, `--help-all` those for experts as well."""

Reduction = Literal["half", "half rounded up", "quarter"]
"""A preview uses this share of a number of iterations, or of seconds; 1 at least where "half" is
rounded down."""

REDUCTIONS: dict[Reduction, Callable[[Any], Any]] = {
    "half": lambda count: max(1, count // 2),
    "half rounded up": lambda count: (count + 1) // 2,
    "quarter": lambda seconds: seconds / 4,
}

ALWAYS = object()
"""Not a value: a setting with it for its neutral value is always in the fingerprint."""


@dataclass(frozen=True)
class Need:
    """A condition on another setting, without which a setting has no effect and is refused.

    Args:
        setting: the name of the other setting.
        is_met: tells, from the value of the other setting, whether this one has an effect.
        refusal: the text for the user. `{name}` and `{value}` stand for this setting, `{other}` for
            the value of the other one.
        values: the values that have the need; None: every value that is not the default.
    """

    setting: str
    is_met: Callable[[Any], bool]
    refusal: str
    values: tuple[Any, ...] | None = None


@dataclass(frozen=True)
class SettingFacts:
    """The metadata of one setting.

    Args:
        affects: its reach, see `Affects`.
        group: the heading under which it is listed; None for the files that a command names in its
            own way (`input`, `style`), whose content is identified by digests.
        flags: short flags, in addition to the long one.
        long_flag: the long flag, where it is not the name of the setting: the singular of a list,
            of which every flag gives one.
        metavar: the placeholder of its value in the help, where its type does not give it.
        audience: who finds it in the help.
        needs: conditions on other settings, see `Need`.
        neutral: the value under which a render is what it was before the setting existed. With it
            the setting stays out of the fingerprint, so that a half-finished render continues with
            a vidstyle that has learnt something new. It never changes, whatever becomes of the
            default.
        preview: how a preview reduces it; None: not at all.
        on_command_line: whether there is a flag for it. Files can set it in any case.
    """

    affects: Affects
    group: str | None = None
    flags: tuple[str, ...] = ()
    long_flag: str | None = None
    metavar: str | None = None
    audience: Audience = "expert"
    needs: tuple[Need, ...] = ()
    neutral: Any = ALWAYS
    preview: Reduction | None = None
    on_command_line: bool = True

    @property
    def neutral_or_none(self) -> Any:
        """The neutral value, or None where there is none."""
        return None if self.neutral is ALWAYS else self.neutral

    def __call__(self, schema: dict[str, Any]) -> None:
        """Add to the JSON schema of a field what can be written in JSON."""
        schema |= {"affects": self.affects, "group": self.group, "audience": self.audience}
        if self.neutral is not ALWAYS:
            schema["neutral"] = self.neutral


def setting_field(default: Any, text: str, facts: SettingFacts, **bounds: Any) -> Any:
    """Make a field of a model with its help text, its facts and pydantic's bounds for its value."""
    return Field(default, description=text, json_schema_extra=facts, **bounds)


def read_facts(field: FieldInfo) -> SettingFacts:
    """Return the facts that `setting_field` gave a field."""
    facts = field.json_schema_extra
    assert isinstance(facts, SettingFacts)
    return facts
