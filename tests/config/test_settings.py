"""One model says what can be set; files, presets, flags and the fingerprint follow from it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from annotated_types import Ge, Gt, Le, Lt
from pydantic import ValidationError

from vidstyle.config import fingerprint as fingerprints
from vidstyle.config import settings as configs
from vidstyle.config import toml
from vidstyle.config.fingerprint import fingerprint, hash_values
from vidstyle.config.settings import DELIVERY, FRAMES, RUN, STEERING, RenderConfig, build, group_of
from vidstyle.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
FILES = {"input": "in.mp4", "style": "munch.jpg"}
SETTINGS = [name for name in RenderConfig.model_fields if group_of(name)]


NEEDS: dict[str, dict[str, Any]] = {
    "pooling": {"features": "vgg19"},  # lite's cannot be chosen
    "blend": {"passes": 50},
    "temporal_from_pass": {"passes": 50},
    "texture": {"style": None},
    "tileable": {"style": None, "texture": True},
    "mrf_bidirectional": {"style_terms": "mrf"},
    "mrf_coherence": {"style_terms": "mrf"},
}
"""Without what other settings some would change nothing, and are refused."""


OTHERS: dict[str, Any] = {
    "style_layers": "relu1_1,relu3_1=2",
    "content_layers": "relu3_1",
    "style_terms": "gram=0.5,mrf",
    "regions": ("a.png", "b.png"),
}
"""Of settings whose text says more than a name."""


def other_value(name: str) -> Any:
    """A valid value that is not the default."""
    if name in OTHERS:
        return OTHERS[name]
    field = RenderConfig.model_fields[name]
    kind: Any = field.annotation
    kinds = get_args(kind) if get_origin(kind) is not Literal else ()
    kind = next((k for k in kinds if k is not type(None)), kind)
    if get_origin(kind) is Literal:
        return next(value for value in get_args(kind) if value != field.default)
    if kind in (int, float):
        return (
            field.default / 2 + 0.01
            if isinstance(field.default, float)
            else (field.default or 15) + 1
        )
    return {bool: True, Path: "elsewhere", str: "cpu"}[kind]


def bounds() -> list[tuple[str, Any, bool]]:
    """(setting, value, whether it is allowed) at both sides of every bound."""
    cases = []
    for name in SETTINGS:
        kind = RenderConfig.model_fields[name].annotation
        step: float = 1 if kind in (int, int | None) else 1e-6
        for bound in RenderConfig.model_fields[name].metadata:
            if isinstance(bound, Ge):
                cases += [(name, bound.ge, True), (name, bound.ge - step, False)]
            elif isinstance(bound, Gt):
                cases += [(name, bound.gt + step, True), (name, bound.gt, False)]
            elif isinstance(bound, Le):
                cases += [(name, bound.le, True), (name, bound.le + step, False)]
            elif isinstance(bound, Lt):
                cases += [(name, bound.lt - step, True), (name, bound.lt, False)]
    return cases


@pytest.mark.parametrize("name", RenderConfig.model_fields)
def test_every_setting_has_a_sentence_of_help(name: str) -> None:
    description = RenderConfig.model_fields[name].description
    assert description
    assert description.endswith(".")
    assert name in FILES or group_of(name) in (*FRAMES, DELIVERY, RUN)


@pytest.mark.parametrize(("name", "value", "allowed"), bounds())
def test_bounds_hold_on_both_sides(name: str, value: float, allowed: bool) -> None:
    if allowed:
        assert getattr(build(FILES, NEEDS.get(name, {}), {name: value}), name) == value
    else:
        with pytest.raises(ConfigError, match=name):
            build(FILES, NEEDS.get(name, {}), {name: value})


@pytest.mark.parametrize(
    "name", [n for n in SETTINGS if RenderConfig.model_fields[n].annotation in (int, float)]
)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), "many", None])
def test_numbers_are_numbers(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=name):
        build(FILES, {name: value})


def test_every_bad_value_is_named_at_once() -> None:
    with pytest.raises(ConfigError) as e:
        build(FILES, {"size": 1, "flow": "horn", "tv_wait": 1, "device": "abacus"})
    for words in (
        "size: ",
        "not 1",
        "'horn'",
        "no setting tv_wait, did you mean tv_weight?",
        "'abacus' is none of auto",
    ):
        assert words in e.value.why
    assert "\n" not in e.value.why


def test_a_config_does_not_change() -> None:
    with pytest.raises(ValidationError):
        build(FILES).size = 5  # type: ignore[misc]


def test_later_layers_win() -> None:
    assert build(FILES, {"size": 100, "seed": 1}, {"size": 200}).model_dump(
        include={"size", "seed"}
    ) == {
        "size": 200,
        "seed": 1,
    }


@pytest.mark.parametrize("name", SETTINGS)
def test_only_picture_settings_change_the_fingerprint(name: str) -> None:
    files = FILES | NEEDS.get(name, {})
    plain, changed = (
        build(FILES if name == "texture" else files),
        build(files, {name: other_value(name)}),
    )
    assert plain != changed
    same = hash_values(plain.picture_settings()) == hash_values(changed.picture_settings())
    assert same == (group_of(name) not in FRAMES)


NEUTRAL = {
    name: configs.extra_of(name)["neutral"]
    for name in SETTINGS
    if "neutral" in configs.extra_of(name)
}


def test_a_setting_at_its_neutral_value_is_no_part_of_the_fingerprint_and_any_other_is() -> None:
    passes = {"temporal_norm", "long_term", "passes", "blend", "temporal_from_pass"}
    assert passes | {name for name in SETTINGS if group_of(name) == STEERING} == NEUTRAL.keys()
    plain = build(FILES)
    assert all(getattr(plain, name) == value for name, value in NEUTRAL.items())
    assert not NEUTRAL.keys() & plain.picture_settings().keys()
    for name in NEUTRAL:
        changed = build(FILES, NEEDS.get(name, {}), {name: other_value(name)})
        assert changed.picture_settings()[name] == json.loads(json.dumps(other_value(name)))
        assert set(changed.picture_settings()) - set(plain.picture_settings()) == {
            name,
            *NEEDS.get(name, {}),
        } - {*FILES}


def test_a_new_picture_setting_needs_a_neutral_value_or_every_half_finished_render_is_lost() -> (
    None
):
    """These are all that there were when RENDER_FORMAT became 7."""
    assert " ".join(sorted(build(FILES).picture_settings())) == (
        "budget content_weight duration features first_iterations first_scales flow init iterations learning_rate mask "
        "optimizer per_frame polish pooling rest scales seed size start stop_tolerance style_weight temporal_weight "
        "tv_weight"
    )


def test_a_fingerprint_does_not_depend_on_order_but_on_the_render_format(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert (
        fingerprint({"a": 1, "b": 0.1})
        == fingerprint({"b": 0.1, "a": 1})
        != fingerprint({"a": 1, "b": 0.2})
    )
    before = fingerprint({"a": 1})
    monkeypatch.setattr(fingerprints, "RENDER_FORMAT", fingerprints.RENDER_FORMAT + 1)
    assert fingerprint({"a": 1}) != before


@pytest.mark.parametrize(
    "but",
    [  # what contradicts the others
        {
            "passes": 1,
            "blend": 0.5,
            "temporal_from_pass": 0,
            "per_frame": False,
            "tile": 0,
            "texture": False,
            "tileable": False,
            "regions": None,
        },
        {
            "tile": 0,
            "regions": None,
            "texture": False,
            "tileable": False,
            "long_term": 0,
            "per_frame": False,
            "passes": 17,
            "rest": "hold",
            "budget": "adaptive",
        },
    ],
)
def test_toml_gives_back_every_setting(tmp_path: Path, but: dict[str, Any]) -> None:
    values = {name: other_value(name) for name in SETTINGS}
    full = build(
        FILES, values | {"features": "lite"} | but
    )  # the other one leaves nothing to polish
    (tmp_path / "all.toml").write_text(toml.to_toml(full), encoding="utf-8")
    read = toml.read_toml(tmp_path / "all.toml")
    assert set(read) == {*SETTINGS, "style"} - {"regions"}
    assert build(FILES, read) == full


def test_toml_gives_back_pairs_of_files(tmp_path: Path) -> None:
    given = build(FILES, {"regions": ("a.png", "b.png")})
    (tmp_path / "pair.toml").write_text(toml.to_toml(given), encoding="utf-8")
    assert build(FILES, toml.read_toml(tmp_path / "pair.toml")) == given


@pytest.mark.parametrize("name", toml.PRESETS)
def test_a_preset_loads_and_fits(name: str) -> None:
    values = toml.preset_values(name)
    assert values
    assert set(values) <= set(SETTINGS)
    build(FILES, values)


def test_the_presets_go_from_quick_to_thorough() -> None:
    steps = [build(FILES, toml.preset_values(name)) for name in toml.PRESETS]
    assert [c.iterations for c in steps] == sorted(c.iterations for c in steps)
    assert [c.first_iterations for c in steps] == sorted(c.first_iterations for c in steps)


@pytest.mark.parametrize("name", ["best", "../configs/draft", ""])
def test_another_preset_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="draft, standard, reference"):
        toml.preset_values(name)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as a user gets it, unpacked."""
    builder = pytest.importorskip(
        "hatchling.builders.wheel", reason="needs hatchling (part of the extra `test`)"
    )
    folder = tmp_path_factory.mktemp("wheel")
    built = next(
        builder.WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    )
    with zipfile.ZipFile(built) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_the_wheel_holds_the_presets_the_network_and_the_licences(wheel: Path) -> None:
    for name in toml.PRESETS:
        assert (wheel / "vidstyle" / "configs" / f"{name}.toml").read_bytes() == (
            ROOT / "configs" / f"{name}.toml"
        ).read_bytes()
    assert (wheel / "vidstyle" / "py.typed").is_file()
    assert (wheel / "vidstyle" / "assets" / "lite.safetensors").stat().st_size > 1_000_000
    assert {p.name for p in wheel.glob("*.dist-info/licenses/*")} == {"LICENSE", "NOTICE"}
    assert not [p for p in wheel.rglob("*") if p.suffix in (".pyc", ".mp4", ".tmp")]


def test_the_wheel_loads_what_it_holds(wheel: Path, tmp_path: Path) -> None:
    code = (
        "import json, torch, vidstyle\n"
        "from vidstyle import presets\n"
        "from vidstyle.stylize import features\n"
        "net = load_network('lite', pooling='average', device=torch.device('cpu'), precision='fp32')\n"
        "presets = {n: presets.preset_values(n) for n in presets.PRESETS}\n"
        "print(json.dumps([vidstyle.__file__, presets, net.digest]))"
    )
    environment = {**os.environ, "PYTHONPATH": str(wheel)}
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=environment,
    )
    assert run.returncode == 0, run.stderr
    file, held, digest = json.loads(run.stdout)
    assert Path(file).parent.parent == wheel
    assert held == {name: toml.preset_values(name) for name in toml.PRESETS}
    assert digest


def test_a_render_with_nothing_to_match_is_refused() -> None:
    with pytest.raises(ConfigError, match="nothing to optimise"):
        build(
            {
                "input": "in.mp4",
                "style": "s.jpg",
                "content_weight": 0,
                "style_weight": 0,
                "tv_weight": 0,
            },
        )


def test_polish_is_refused_where_no_features_are_matched() -> None:
    weights = {"content_weight": 0, "style_weight": 0}
    with pytest.raises(
        ConfigError, match=r"polish = 3 changes nothing where content_weight and style_weight are 0"
    ):
        build(FILES, weights, {"polish": 3})
    assert build(FILES, weights).polish == 0
    for name in weights:
        assert build(FILES, weights, {"polish": 3, name: 0.1}).polish == 3


def test_polish_is_refused_where_it_would_do_nothing() -> None:
    with pytest.raises(ConfigError) as e:
        build(FILES, toml.preset_values("reference"), {"polish": 3})
    assert e.value.why == (
        "polish = 3 changes nothing where features = vgg19 does every iteration on VGG-19: "
        "set polish = 0, or features = lite"
    )
    assert build(FILES, toml.preset_values("reference"), {"polish": 0}).features == "vgg19"


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (
            {"per_frame": True, "long_term": 2},
            "per_frame cuts the links between frames that long_term = 2 is there for",
        ),
        (
            {"per_frame": True, "passes": 3},
            "per_frame cuts the links between frames that passes = 3 is there for",
        ),
        (
            {"rest": "follow", "passes": 3},
            "rest = follow changes nothing where passes = 3 let everything follow",
        ),
        (
            {"budget": "fixed", "passes": 3},
            "budget = fixed changes nothing where passes = 3 give every frame as many",
        ),
        ({"long_term": 4, "passes": 3}, "leaves long_term = 4 nothing to do: set only one of them"),
        ({"blend": 0.75}, "blend = 0.75 changes nothing where there is one pass"),
        (
            {"temporal_from_pass": 2},
            "temporal_from_pass = 2 changes nothing where there is one pass",
        ),
        (
            {"passes": 3, "temporal_from_pass": 4},
            "temporal_from_pass = 4 never comes where there are 3 passes",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused_with_what_to_do(
    values: dict[str, Any], why: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        build(FILES, values)
    assert why in caught.value.why
    assert ": set " in caught.value.why


@pytest.mark.parametrize(
    ("long_term", "distances"),
    [(0, (1,)), (1, (1,)), (2, (1, 2)), (3, (1, 2)), (4, (1, 2, 4)), (63, (1, 2, 4, 8, 16, 32)), (64, tuple(
        2**i for i in range(7)))],
)  # fmt: skip
def test_a_frame_is_held_to_those_1_2_4_8_before_it(
    long_term: int, distances: tuple[int, ...]
) -> None:
    assert build(FILES, {"long_term": long_term}).distances == distances


@pytest.mark.parametrize(
    ("passes", "asked", "first"), [(15, 0, 8), (2, 0, 2), (3, 0, 2), (10, 0, 6), (10, 3, 3)]
)
def test_the_temporal_loss_is_on_in_the_second_half_of_the_passes_or_as_asked(
    passes: int, asked: int, first: int
) -> None:
    assert build(FILES, {"passes": passes, "temporal_from_pass": asked}).held_from_pass == first


@pytest.mark.parametrize(("long_term", "same"), [(1, 0), (3, 2), (7, 4), (63, 32)])
def test_what_links_to_the_same_frames_has_the_same_fingerprint(long_term: int, same: int) -> None:
    configs = [build(FILES, {"long_term": value}) for value in (long_term, same)]
    assert configs[0].distances == configs[1].distances
    assert configs[0].picture_settings() == configs[1].picture_settings()


@pytest.mark.parametrize(
    ("first", "every", "frames"),
    [(200, 30, 6), (100, 12, 8), (400, 60, 6), (30, 30, 0), (9, 30, 0)],
)
def test_what_rests_is_optimised_until_it_has_had_as_much_as_a_first_frame(
    first: int, every: int, frames: int
) -> None:
    settling = build(FILES, {"first_iterations": first, "iterations": every}).frames_until_static
    assert settling == frames
    assert (settling + 1) * every >= first > (settling * every if settling else 0)


@pytest.mark.parametrize("name", sorted(configs.LINKING))
def test_what_only_links_frames_is_no_part_of_the_fingerprint_where_nothing_links_them(
    name: str,
) -> None:
    changed = {name: other_value(name)}
    assert build(FILES, changed).picture_settings() != build(FILES).picture_settings()
    alone = [build(FILES, {"per_frame": True}, more).picture_settings() for more in ({}, changed)]
    assert alone[0] == alone[1]


@pytest.mark.parametrize("name", ["temporal_norm", "temporal_from_pass"])
def test_how_a_frame_is_held_needs_a_weight_to_hold_it(name: str) -> None:
    given = {"passes": 4} if name == "temporal_from_pass" else {}
    changed = {name: 2 if given else "smooth-l1"}
    build(FILES, given, changed)
    with pytest.raises(ConfigError, match=f"{name} = .* changes nothing where temporal_weight = 0"):
        build(FILES, given, changed, {"temporal_weight": 0})
