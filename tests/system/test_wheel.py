"""The package as a user installs it holds the presets, the network and the licences."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from vidstyle.config import toml

ROOT = Path(__file__).resolve().parents[2]


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
    assert (wheel / "vidstyle" / "assets" / "figures.safetensors").stat().st_size > 100_000
    assert (wheel / "vidstyle" / "assets" / "painter.safetensors").stat().st_size < 2_000_000
    assert {p.name for p in wheel.glob("*.dist-info/licenses/*")} == {"LICENSE", "NOTICE"}
    assert not [p for p in wheel.rglob("*") if p.suffix in (".pyc", ".mp4", ".tmp")]


def test_the_wheel_loads_what_it_holds(wheel: Path, tmp_path: Path) -> None:
    code = (
        "import json, vidstyle\n"
        "from vidstyle.config import toml\n"
        "from vidstyle.rendering.models import load_network\n"
        "presets = {name: toml.preset_values(name) for name in toml.PRESETS}\n"
        "print(json.dumps([vidstyle.__file__, presets, load_network('lite').digest]))"
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
