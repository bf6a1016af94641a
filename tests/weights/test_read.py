"""Weight files are read as plain tensors, or refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import save, save_file

from tests.helpers.weight_files import (
    ARCHIVE,
    VGG19,
    State,
    left,
    pickled,
    raft,
    same,
    used,
    vgg19,
)
from vidstyle.errors import WeightsError
from vidstyle.weights import fetch, registry


def test_half_precision_is_read_as_fp32(places: dict[str, Path]) -> None:
    half = {key: x.half() for key, x in used(vgg19()).items()}
    save_file(half, places["dir"] / VGG19)
    assert same(
        fetch.load_weights("vgg19", places["dir"])[0], {key: x.float() for key, x in half.items()}
    )


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_an_original_archive_is_used_in_place_and_kept(
    zipped: bool, places: dict[str, Path]
) -> None:
    (places["dir"] / ARCHIVE).write_bytes(pickled(vgg19(), zipped))
    state, _ = fetch.load_weights("vgg19", places["dir"])
    assert same(state, used(vgg19()))
    assert left(*places.values()) == {ARCHIVE}


class Bomb:
    def __reduce__(self) -> tuple[object, ...]:
        return (exec, ("raise SystemExit('unpickled')",))


def cut(state: State) -> State:
    return {key: x for key, x in state.items() if key != "features.28.weight"}


def grey(state: State) -> State:
    return {**state, "features.0.weight": state["features.0.weight"][:, :1].clone()}


@pytest.mark.parametrize(
    ("filename", "body", "why"),
    [
        (VGG19, lambda s: save(s)[:-100], "."),
        (VGG19, lambda s: b"", "."),
        (VGG19, lambda s: b"<html>not found</html>", "."),
        (VGG19, pickled, "."),
        (VGG19, lambda s: save(cut(s)), r"features\.28\.weight is missing$"),
        (
            VGG19,
            lambda s: save(grey(s)),
            r"features\.0\.weight is \(6, 1, 3, 3\) instead of \(6, 3, 3, 3\)$",
        ),
        (VGG19, lambda s: save({"conv.weight": s["features.0.bias"]}), r"missing \(and 27 more\)"),
        (VGG19, lambda s: save({k: x.char() for k, x in s.items()}), "has 8 bits and no scale$"),
        (ARCHIVE, lambda s: pickled(s)[:-3000], "."),
        (ARCHIVE, lambda s: pickled(s, zipped=False)[:-3000], "."),
        (ARCHIVE, lambda s: b"", "."),
        (ARCHIVE, lambda s: pickled([1, 2, 3]), "missing"),
        (ARCHIVE, lambda s: pickled({**s, "bomb": Bomb()}), "."),
        (ARCHIVE, lambda s: pickled(Bomb(), zipped=False), "."),
    ],
)
def test_a_damaged_foreign_or_hostile_file_is_refused_by_name(
    filename: str, body: Callable[[State], bytes], why: str, places: dict[str, Path]
) -> None:
    path = places["dir"] / filename
    path.write_bytes(body(used(vgg19())))
    with pytest.raises(WeightsError, match="weights of vgg19") as caught:
        fetch.load_weights("vgg19", places["dir"])
    error = caught.value
    assert str(path) in error.why
    assert re.search(why, error.why)
    assert all("\n" not in line and line for line in (error.what, error.why, error.hint))


def test_raft_of_the_wrong_size_is_refused(places: dict[str, Path]) -> None:
    (places["dir"] / registry.REGISTRY["raft-large"].remote).write_bytes(
        pickled(raft("raft-small"))
    )
    with pytest.raises(WeightsError, match="not the weights of raft-large"):
        fetch.load_weights("raft-large", places["dir"])
