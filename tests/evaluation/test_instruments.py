"""The better network measures where its weights are, and a mistyped name is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from vidstyle.errors import ConfigError
from vidstyle.evaluation.instruments import FEATURE_NAMES, choose_network, load_instruments
from vidstyle.machine.device import resolve_precision


def test_a_network_is_chosen_by_its_name_or_else_by_its_weights(
    tmp_path: Path, small_vgg19: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert choose_network("features", None, FEATURE_NAMES, small_vgg19) == "vgg19"
    assert choose_network("features", None, FEATURE_NAMES, tmp_path) == "lite"
    assert choose_network("features", "lite", FEATURE_NAMES, small_vgg19) == "lite"
    with pytest.raises(ConfigError, match="no features called 'vgg16'") as e:
        choose_network("features", "vgg16", FEATURE_NAMES, None)
    assert e.value.why == "there are vgg19, lite"


def test_the_setup_names_what_measures_by_its_weights() -> None:
    instruments = load_instruments("dis", "lite", torch.device("cpu"), None)
    setup = instruments.describe()
    assert (setup["flow"], setup["features"], setup["device"]) == ("dis", "lite", "cpu")
    assert setup["precision"] == resolve_precision("auto", torch.device("cpu"))
    assert setup["feature_weights"] == instruments.network.digest
