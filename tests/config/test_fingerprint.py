"""A fingerprint is the same on every machine, and another in another render format."""

from __future__ import annotations

import pytest

from vidstyle.config import fingerprint as fingerprints
from vidstyle.config.fingerprint import fingerprint


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
