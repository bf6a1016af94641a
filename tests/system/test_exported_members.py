"""The public surface is this list; a change to it is a decision."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import pytest

import vidstyle

PUBLIC = [
    "ConfigError",
    "DecodeError",
    "DiskFullError",
    "DiskSpaceError",
    "EncodeError",
    "FFmpegError",
    "InputError",
    "Interrupted",
    "LockedError",
    "MemoryLimitError",
    "OutputError",
    "Preview",
    "Refusal",
    "RenderConfig",
    "RenderError",
    "Result",
    "ScoreCard",
    "SettingsChangedError",
    "StyleError",
    "ToolError",
    "VidstyleError",
    "WeightsError",
    "evaluate",
    "preview",
    "render",
]


def test_the_public_names_are_locked() -> None:
    assert vidstyle.__all__ == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_can_be_imported_and_says_what_it_is(name: str) -> None:
    member = getattr(vidstyle, name)
    assert inspect.isclass(member) or inspect.isfunction(member)
    if not (inspect.isclass(member) and issubclass(member, vidstyle.VidstyleError)):
        assert inspect.getdoc(member)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        _ = vidstyle.nothing


def test_every_error_is_exported() -> None:
    from vidstyle import errors

    kinds = {
        n
        for n, k in inspect.getmembers(errors, inspect.isclass)
        if issubclass(k, errors.VidstyleError)
    }
    assert kinds == {name for name in PUBLIC if name in vars(errors)}


@pytest.mark.parametrize("name", ["evaluate", "preview"])
def test_a_function_of_its_modules_name_stays_one_whatever_is_imported(name: str) -> None:
    for module in pkgutil.walk_packages(vidstyle.__path__, "vidstyle."):
        if module.name != "vidstyle.__main__":
            importlib.import_module(module.name)
    assert inspect.isfunction(getattr(vidstyle, name))
