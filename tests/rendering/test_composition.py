"""Which frames are finished as they are painted, and what the others are known by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.helpers.edited_films import (
    EditedFilm,
    barred,
    dissolving,
    fading,
    flashing,
    looping,
    painted,
    pan,
    prepare_film,
)
from vidstyle.motion.edit import Edit
from vidstyle.rendering.composition import frame_labels, is_plain

STILL = EditedFilm(pan(1, 8), Edit((0,)))


@pytest.mark.parametrize(
    ("film", "changes", "composed"),
    [
        (STILL, {}, set()),
        (STILL, {"opacity": 0.5}, set(range(8))),
        (STILL, {"opacity": ["0@0.2", "1@0.4"]}, {0, 1, 2, 3}),
        (STILL, {"keep_titles": True}, set(range(8))),
        (barred(STILL), {}, set(range(8))),
        (dissolving(), {}, {4, 5, 6, 7}),
        (fading(comes_in=True), {}, {0, 1, 2, 3, 4}),
        (fading(comes_in=False), {}, {5, 6, 7, 8, 9}),
        (flashing(), {}, {4, 5}),
        (looping(), {}, {5, 6, 7, 8, 9}),
        (painted(4), {}, set()),
        (painted(2, 7), {}, {3, 4, 5, 6}),
    ],
)
def test_only_what_is_mixed_faded_lit_or_covered_is_put_together(
    film: EditedFilm, changes: dict[str, Any], composed: set[int], tmp_path: Path, painting: Path
) -> None:
    job = prepare_film(film, tmp_path, painting, **changes)
    assert {i for i in range(job.frame_count) if not is_plain(job, i)} == composed
    labels = frame_labels(job, "f" * 16)
    own = {i for i in range(job.frame_count) if job.layer_plan.shares(i)[0][0].keyframe}
    assert set(labels) == composed | own
    assert len({labels[i] for i in composed}) <= len(composed)


def test_a_frame_is_known_by_all_that_it_is_put_together_from(
    tmp_path: Path, painting: Path
) -> None:
    films = [
        STILL,
        barred(STILL),
        STILL.with_settings(opacity=0.5),
        STILL.with_settings(opacity=0.25),
        STILL.with_settings(keep_titles=True),
        STILL.with_settings(keep_titles=True, opacity=0.5),
        painted(0, 7, count=8),
        EditedFilm(STILL.frames, STILL.edit, pictures={1: STILL.frames[0]}),
    ]
    labels = set()
    for number, film in enumerate(films):
        job = prepare_film(film, tmp_path / str(number), painting)
        labels.add(frame_labels(job, "f" * 16).get(3, "plain"))
    assert len(labels) == len(films)
