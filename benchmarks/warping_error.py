"""How much of the per-frame flicker is gone, and at what price in style.

    python benchmarks/warping_error.py CLIP [CLIP ...] --style PAINTING [--frames 36] [--size 320] [--flow dis]

Renders the first frames of each clip twice with the standard preset: with `--per-frame` and with the links between
frames. Then, for each:

E = mean over pairs of sum c (O_t - warp(O_{t-1}))^2 / (3 sum c), with c = 1 where the flow of the *source* passes the
forward-backward check, is no motion boundary and stays inside the frame;

style distance = mean over frames and relu1_1 .. relu5_1 of |G - A|^2 / |A|^2, measured by VGG-19 where its weights are
found, else by the embedded features.
"""

from __future__ import annotations

import argparse
import tempfile
from fractions import Fraction
from pathlib import Path

import torch
from torch import Tensor

from vidstyle import RenderConfig, render, weights
from vidstyle.checkpoint import state_folder
from vidstyle.config import build, preset_values
from vidstyle.errors import StyleError
from vidstyle.framefile import decode
from vidstyle.frames import from_uint16
from vidstyle.motion import flow as estimators
from vidstyle.motion.occlusion import motion_boundary, occluded
from vidstyle.motion.warp import outside, warp
from vidstyle.stylize import features, losses
from vidstyle.stylize.step import resize
from vidstyle.video.probe import probe
from vidstyle.video.read import fit, read, read_image
from vidstyle.video.scan import scan


def rendered(config: RenderConfig) -> list[Tensor]:
    """The frames of a render, as its checkpoints hold them."""
    result = render(config)
    folder = state_folder(result.output) / "frames"
    print(f"    {result.frames} frames, {result.seconds_per_frame:.2f} s each", flush=True)
    return [from_uint16(decode(path)) for path in sorted(folder.glob("*.png"))]


def warping_error(source: list[Tensor], frames: list[Tensor], flow: estimators.Flow) -> float:
    errors = []
    for t in range(1, len(frames)):
        back, forth = flow(source[t], source[t - 1]), flow(source[t - 1], source[t])
        reliable = ~(occluded(back, forth) | motion_boundary(back) | outside(back))
        squares = (frames[t] - warp(frames[t - 1], back)).square().sum(0)  # (3, H, W) -> (H, W)
        if reliable.any():
            errors.append(float(squares[reliable].sum() / (3 * reliable.sum())))
    return sum(errors) / len(errors)


def style_distance(frames: list[Tensor], painting: Tensor, extractor: features.Extractor) -> float:
    _, h, w = frames[0].shape
    share = (h * w / (painting.shape[1] * painting.shape[2])) ** 0.5
    small = resize(painting, tuple(round(n * share) for n in painting.shape[1:]))

    @torch.no_grad()
    def grams(image: Tensor) -> dict[str, Tensor]:
        return {k: losses.gram(f) for k, f in extractor(image[None], features.STYLE_LAYERS).items()}

    target = grams(small)
    each = [sum(float(losses.style(g, target[k])) for k, g in grams(frame).items()) / 5 for frame in frames]
    return sum(each) / len(each)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--style", required=True, type=Path)
    parser.add_argument("--frames", type=int, default=36)
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--flow", default="dis", help="estimator that measures (the render uses its preset's)")
    parser.add_argument("--weights-dir", type=Path)
    args = parser.parse_args()
    judge = "vgg19" if weights.locate("vgg19", args.weights_dir) else "lite"
    extractor, flow = features.load(judge, weights_dir=args.weights_dir), estimators.load(args.flow)
    painting = read_image(args.style, StyleError)
    print(f"flow of the measurement: {args.flow}; style distance by {judge}")
    for clip in args.clips:
        source = probe(clip)
        timeline = scan(source).timeline
        stop = min(args.frames, len(timeline))
        frames = [f.image for f in read(source, fit(source.width, source.height, args.size), 0, stop)]
        end = Fraction(timeline.pts[stop - 1] + 1) * timeline.time_base
        measured = {}
        for name, per_frame in (("per-frame", True), ("linked", False)):
            print(f"{clip.name}, {name}")
            with tempfile.TemporaryDirectory() as folder:
                wishes = {
                    "input": clip,
                    "style": args.style,
                    "size": args.size,
                    "duration": float(end),
                    "keep_frames": True,
                }
                wishes |= {"output": Path(folder, "out.mp4"), "per_frame": per_frame}
                images = rendered(build(preset_values("standard"), wishes))
            measured[name] = (warping_error(frames, images, flow), style_distance(images, painting, extractor))
        (e0, s0), (e1, s1) = measured["per-frame"], measured["linked"]
        print(f"  {'':10} {'E':>9} {'style distance':>15}")
        for name, (e, s) in measured.items():
            print(f"  {name:10} {e:9.6f} {s:15.4f}")
        print(f"  D = 1 - E/E_per-frame = {1 - e1 / e0:.3f}; style distance x {s1 / s0:.3f}", flush=True)


if __name__ == "__main__":
    main()
