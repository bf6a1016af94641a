"""Live pictures: the last one counts, what rests stays, and programs can read what comes out."""

from __future__ import annotations

import io
import time
import urllib.request
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.helpers import decoding
from vidstyle.errors import InputError, OutputError
from vidstyle.live import player
from vidstyle.live.player import STILL_DIFFERENCE, LivePainter, play
from vidstyle.live.sinks import BrowserSink, PipeSink
from vidstyle.live.sources import LatestFrame, film_pictures
from vidstyle.stylize.feedforward.engine import PAINTER, build_networks
from vidstyle.stylize.feedforward.network import NORM_WIDTHS
from vidstyle.stylize.feedforward.painter import NetworkStyle
from vidstyle.weights.fetch import load_weights

Pixels = NDArray[np.uint8]


def picture(seed: int, size: tuple[int, int] = (48, 64)) -> Pixels:
    return np.random.default_rng(seed).integers(0, 255, (*size, 3), np.uint8)


@pytest.fixture(scope="module")
def painter() -> Callable[[], LivePainter]:
    state, _ = load_weights(PAINTER)
    base, _ = build_networks(state, torch.device("cpu"))
    numbers = torch.cat([torch.cat([torch.ones(n), torch.zeros(n)]) for n in NORM_WIDTHS])
    return lambda: LivePainter(base, NetworkStyle(numbers), torch.float32)


def test_a_slow_reader_gets_the_latest_picture_and_each_once() -> None:
    def come() -> Generator[Pixels, None, None]:
        for i in range(12):
            time.sleep(0.02)
            yield np.full((4, 4, 3), i, np.uint8)

    with LatestFrame(come()) as latest:
        seen = []
        for shown in latest.take():
            seen.append(int(shown.pixels[0, 0, 0]))
            time.sleep(0.07)
    assert seen == sorted(set(seen))
    assert seen[-1] == 11
    assert len(seen) < 12


def test_a_failing_source_is_reported_where_the_pictures_are_taken() -> None:
    def fail() -> Generator[Pixels, None, None]:
        yield picture(1)
        raise InputError("the camera is gone", "unplugged", "plug it in")

    with LatestFrame(fail()) as latest, pytest.raises(InputError, match="gone"):
        for _ in latest.take():
            pass


def test_what_rests_keeps_its_paint_and_what_changes_is_painted(
    painter: Callable[[], LivePainter], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = picture(1)
    second = first.copy()
    second[:, 44:] = 255 - second[:, 44:]
    live, restless = painter(), painter()
    a, b = (live.paint(x).astype(int) for x in (first, second))
    monkeypatch.setattr(player, "STILL_DIFFERENCE", 0)
    c, d = (restless.paint(x).astype(int) for x in (first, second))
    assert np.array_equal(a, c)
    assert np.abs(a - b)[:, 52:].max() > STILL_DIFFERENCE
    # Where nothing changed the painter that lets things rest changes less than the other one.
    assert np.abs(a - b)[:, :20].mean() < np.abs(c - d)[:, :20].mean()


def test_a_picture_of_another_size_begins_again(painter: Callable[[], LivePainter]) -> None:
    live = painter()
    assert live.paint(picture(1)).shape == (48, 64, 3)
    assert live.paint(picture(2, (37, 51))).shape == (37, 51, 3)


def test_the_pipe_is_read_by_another_program(tmp_path: Path) -> None:
    path = tmp_path / "live.y4m"
    shades = [40, 120, 200]
    with path.open("wb") as stream:
        sink = PipeSink(stream, 30000 / 1001)
        for shade in shades:
            sink.show(np.full((33, 48, 3), shade, np.uint8))
        sink.close()
    frames = decoding.frames_of(path)
    assert [frame.shape for frame in frames] == [(32, 48, 3)] * 3
    assert [round(float(frame.mean())) for frame in frames] == pytest.approx(shades, abs=3)


def test_a_browser_gets_one_picture_after_the_other() -> None:
    sink = BrowserSink()
    try:
        with urllib.request.urlopen(sink.address, timeout=10) as page:
            assert "multipart" in page.headers["Content-Type"]
            for shade in (50, 180):
                sink.show(np.full((16, 16, 3), shade, np.uint8))
                head = b""
                while b"\r\n\r\n" not in head:
                    head += page.read(1)
                length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
                data = np.frombuffer(page.read(length), np.uint8)
                page.read(2)
                assert abs(float(cv2.imdecode(data, cv2.IMREAD_COLOR).mean()) - shade) < 3
    finally:
        sink.close()


def test_a_port_that_is_taken_is_refused_in_words() -> None:
    sink = BrowserSink()
    try:
        with pytest.raises(OutputError, match="cannot be used"):
            BrowserSink(int(sink.address.rsplit(":", 1)[1].strip("/")))
    finally:
        sink.close()


def test_a_film_plays_at_its_own_speed_and_ends(
    film: Path, painter: Callable[[], LivePainter]
) -> None:
    pictures, rate = film_pictures(film, None)
    assert rate == 10
    stream = io.BytesIO()
    begun = time.monotonic()
    with LatestFrame(pictures) as latest:
        report = play(latest.take(), painter(), PipeSink(stream, rate))
    assert time.monotonic() - begun > 1.0
    assert report.shown + report.dropped == 12
    assert report.shown == stream.getvalue().count(b"FRAME\n")


def test_the_command_paints_a_film_and_says_how_fast(
    command: Callable[..., Any], film: Path, painting: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Pipe(io.TextIOWrapper):
        pass

    pipe = Pipe(io.BytesIO())
    monkeypatch.setattr("sys.stdout", pipe)
    got = command("live", "--style", painting, "--input", film, "--output", "-", "--size", 48)
    assert got.code == 0, got.err
    assert "pictures shown" in got.err
    assert pipe.buffer.getvalue().startswith(b"YUV4MPEG2 W48 H32")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ((), "no style given"),
        (("--style", "missing.style", "--input", "x.mp4"), "missing.style"),
        (("--style", "{painting}", "--output", "film.mp4"), "no place"),
        (("--style", "{painting}", "--camera", "99"), "camera 99"),
        (("--style", "{painting}", "--camera", "0", "--input", "x.mp4"), "one source"),
    ],
)
def test_what_cannot_be_played_is_refused_in_words(
    command: Callable[..., Any], painting: Path, words: tuple[str, ...], what: str
) -> None:
    got = command("live", *(word.format(painting=painting) for word in words))
    assert got.code != 0
    assert what in got.err
    assert "try:" in got.err
