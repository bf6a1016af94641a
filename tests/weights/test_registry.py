"""What is known of the weight files."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from vidstyle.weights import registry
from vidstyle.weights.registry import REGISTRY


@pytest.mark.parametrize("name", REGISTRY)
def test_a_file_is_complete(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "BASE_URL", "https://example.org/")
    file = REGISTRY[name]
    assert file.name == name
    assert file.author
    assert file.licence
    assert file.size > 0
    assert re.fullmatch("[0-9a-f]{8}|[0-9a-f]{64}", file.sha256)
    assert file.filename in file.names
    assert len(file.names) == len({file.filename, file.remote} - {""})
    assert file.url == (f"https://example.org/{file.remote}" if file.remote else "")
    assert file.is_kept_whole == (len(file.names) == 1 and bool(file.remote))


def test_the_digest_in_a_remote_name_is_the_files() -> None:
    for file in REGISTRY.values():
        assert not file.remote or file.remote.endswith(f"-{file.sha256}.pth")


def test_vgg19_is_used_up_to_its_fourteenth_convolution() -> None:
    shapes = registry.vgg19_shapes()
    assert len(shapes) == 28
    assert shapes["features.0.weight"] == (6, 3, 3, 3)
    weights = [shape for name, shape in shapes.items() if name.endswith("weight")]
    assert all(after[1] == before[0] for before, after in pairwise(weights))
