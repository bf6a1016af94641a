"""The training script on a folder of ten small pictures, at a size at which VGG-19 takes no
time.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest
import torch
from safetensors.torch import load_file

from training import distill
from training.attempts import Attempt, make_attempt
from training.card import architecture, card_of
from training.data import texture
from training.grams import gram, relative
from training.objective import (
    FLOOR,
    GRAM,
    LAYER_WEIGHTS,
    STYLE,
    gradient_error,
    objective,
    stack_maps,
)
from training.student import Student, fit_heads, grow, rotations
from training.teacher import ENERGY, PULLED, Lesson, Teacher
from vidstyle.errors import WeightsError
from vidstyle.features import extractor
from vidstyle.features import lite as lites
from vidstyle.features.lite import Lite
from vidstyle.rendering.models import load_network
from vidstyle.stylize import losses
from vidstyle.weights.int8 import unpack

SIZE = 64
INIT = Path(extractor.__file__).parents[1] / "assets" / "lite.safetensors"


@pytest.fixture
def arguments(
    folder: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list[str]]:
    """The command line of a small training in the folder `work`, its weights in `work / "out"`."""
    if not hasattr(torch.optim, "Muon"):
        pytest.skip("training needs torch 2.9 or newer")
    monkeypatch.setattr(distill, "DIRECTION_BATCHES", 6)

    def make(work: Path, *more: object) -> list[str]:
        pool = "--crop 64 --pool 2 --batch 1 --advance 1 --longest 8"
        small = f"{pool} --rounds 4 --score-every 9 --score-iterations 2 --device cpu"
        files = (
            "--images",
            folder,
            "--weights-dir",
            shared / "weights",
            "--out",
            work / "out",
            "--work",
            work,
        )
        return [str(x) for x in (*files, *small.split(), *more)]

    return make


@pytest.mark.slow
def test_an_interrupted_training_ends_in_the_same_bytes(
    arguments: Callable[..., list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def train(work: str) -> Path:
        distill.main(arguments(tmp_path / work))
        return tmp_path / work / "out"

    whole = train("whole").read_bytes()
    assert len(whole) < 1.1 * sum(p.numel() for p in Lite().parameters())  # 8 bits each
    train_round, rounds = distill.Run.train_round, 0

    def stop(run: distill.Run) -> dict[str, float]:
        nonlocal rounds
        rounds += 1
        if rounds == 4:  # the first round in which images go on at twice the pace
            raise KeyboardInterrupt
        return train_round(run)

    monkeypatch.setattr(distill.Run, "train_round", stop)
    with pytest.raises(KeyboardInterrupt):
        train("parts")
    out = train("parts")
    assert out.read_bytes() == whole
    Lite().load_state_dict(unpack(load_file(out)))
    card = card_of(out)
    assert card["steps"] == 16
    assert card["architecture"] == json.loads(json.dumps(architecture()))
    lines = capsys.readouterr().out.splitlines()
    assert [line[:13] for line in lines if "held out: photo" in line] == [
        "0/4 held out:",
        "4/4 held out:",
    ] * 2
    out.unlink()  # as if it had been killed before the last score
    assert train("parts").read_bytes() == whole
    with pytest.raises(SystemExit, match=r"another training \(rate: 0.004 -> 0.001\)"):
        distill.main(arguments(tmp_path / "parts", "--rate", 1e-3))


@pytest.mark.slow
def test_a_training_from_weights_continues_them_and_says_where_its_code_changed(
    arguments: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = Lite()
    old.load_state_dict(load_network("lite", precision="fp32").module.state_dict())
    monkeypatch.setattr(distill, "commit", lambda: "one")
    monkeypatch.setattr(distill, "code", lambda: "1")
    begun = distill.Run(distill.arguments(arguments(tmp_path / "begun", "--init", INIT)))
    image = torch.rand(1, 3, 64, 64)
    maps = old(image, lites.RANKS)
    moved = maps.pop("relu4_2")
    for name, f in maps.items():
        assert torch.allclose(begun.mean.lite(image, [name])[name], f, atol=1e-4)
    back = begun.mean.lite(image, ["relu4_2"])["relu4_2"] - moved  # what the file lacks of the mean
    assert card_of(INIT)["offset"] == distill.OFFSET
    share = distill.OFFSET * begun.content_mean()
    assert share.abs().max() > 0.1
    shift = back.mean((0, 2, 3))
    assert torch.allclose(
        back, shift[None, :, None, None].expand_as(back), atol=1e-4
    )  # it is moved, and no more
    assert torch.allclose(shift, share, atol=5e-3)  # the mean is taken in bf16 where that is fast
    rates = {group["scale"] for optimizer in begun.optimizers for group in optimizer.param_groups}
    assert rates == {1.0, distill.SHALLOW_RATE, distill.OTHERS_RATE}

    written = []
    for work, stops in (("whole", (2,)), ("parts", (1, 2)), ("changed", (1, 2))):
        (tmp_path / work).mkdir()
        for rounds in stops:
            if (work, rounds) == ("changed", 2):
                monkeypatch.setattr(distill, "commit", lambda: "two")
                monkeypatch.setattr(distill, "code", lambda: "2")
            run = distill.Run(
                distill.arguments(arguments(tmp_path / work, "--init", INIT, "--rounds", 2))
            )
            while run.round < rounds:
                run.train_round()
                run.save()
        run.export(tmp_path / work / "out", {})
        written.append(tmp_path / work / "out")
        shipped = unpack(load_file(written[-1]))
        offset = {
            name: run.mean.lite.heads[name].bias - shipped[f"heads.{name}.bias"]
            for name in lites.RANKS
        }
        gone = offset.pop("relu4_2")
        assert torch.allclose(gone, 0.15 * run.content_mean(), atol=2e-3)  # fp16
        assert gone.abs().max() > 0.1
        assert all(x.abs().max() < 2e-3 for x in offset.values())
    whole, parts, changed = written
    assert parts.read_bytes() == whole.read_bytes()
    card = card_of(changed)
    assert card["began from"]["network"] == card_of(INIT)["network"]
    assert [(x["round"], x["commit"]) for x in card["history"]] == [(0, "one"), (1, "two")]
    assert load_file(changed).keys() == load_file(whole).keys()
    assert all(torch.equal(x, load_file(whole)[name]) for name, x in load_file(changed).items())


@pytest.mark.slow
def test_steps_bring_down_what_is_deep_and_the_gradient(
    arguments: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distill, "WARM_UP", 5)
    run = distill.Run(distill.arguments(arguments(tmp_path, "--rate", 6e-3, "--rounds", 100)))
    pool = [make_attempt(run.images, random.Random(seed), 8) for seed in range(2)]
    styles = run.lessons([a.style for a in pool])
    for a, lesson in zip(pool, styles, strict=True):
        a.lesson = lesson
        a.content_target = run.teacher.content_target(a.content)
    drawn = random.Random(0)
    monkeypatch.setattr(drawn, "random", lambda: 0.0)  # all layers pull together
    under_way = run.pulled(pool, drawn)
    steps = [
        run.step(under_way, styles) for _ in range(130)
    ]  # relu5_1's style and the gradient move last
    deep = [name for name in steps[0] if name.startswith(("relu4", "relu5"))]
    assert {"relu4_2", "relu4_4", "relu5_1 style"} < set(deep)
    assert not [name for name in [*deep, "gradient"] if steps[-1][name] >= steps[0][name]]
    assert steps[-1]["gradient"] < 0.6 * steps[0]["gradient"]
    behind = [
        float((m - p).detach().abs().max())
        for m, p in zip(run.mean.parameters(), run.student.parameters(), strict=True)
    ]
    assert 0 < max(behind) < 0.1  # the running mean follows the steps


def narrow(monkeypatch: pytest.MonkeyPatch) -> Lite:
    with monkeypatch.context() as patch:
        patch.setattr(lites, "WIDTHS", (8, 16, 24, 32, 40))
        patch.setattr(lites, "DEPTHS", (2, 2, 2, 2, 2))
        patch.setattr(lites, "TAPS", {**lites.TAPS, "relu4_1": 1, "relu4_2": 1})
        patch.setattr(lites, "EXPANDED", (20, 30, 40))
        return Lite()


def test_a_network_that_grew_is_the_function_that_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    old, new = narrow(monkeypatch), Lite()
    image = torch.rand(1, 3, 64, 64)
    assert grow(new, old.state_dict(), {**lites.TAPS, "relu4_1": 1, "relu4_2": 1}) == {
        "relu4_1",
        "relu4_2",
    }
    kept = [name for name in lites.RANKS if not name.startswith("relu4")]
    for name, before in old(image, kept).items():
        assert torch.allclose(new(image, [name])[name], before, atol=1e-5)
    for more in ({"WIDTHS": (16, 32, 80, 168, 300)}, {"DEPTHS": (2, 2, 3, 4, 5)}):
        with monkeypatch.context() as patch:
            for name, value in more.items():
                patch.setattr(lites, name, value)
            larger = Lite()
        with pytest.raises(WeightsError, match="cannot grow from"):
            grow(Lite(), larger.state_dict(), lites.TAPS)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [("--crop 100", "no multiple of 16"), ("--init out", "would replace")],
)
def test_arguments_that_cannot_work_are_refused(
    wrong: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        distill.arguments(["--images", "in", "--work", "work", "--out", "out", *wrong.split()])
    assert why in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["--images", "--init"])
def test_a_file_that_is_not_there_is_named(
    missing: str, arguments: Callable[..., list[str]], tmp_path: Path
) -> None:
    with pytest.raises(SystemExit, match="nowhere"):
        distill.main(arguments(tmp_path / "work", missing, tmp_path / "nowhere"))


def test_heads_of_another_rank_are_left_to_be_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(lites.RANKS, "relu2_1", 7)
        old = Lite()
    assert grow(Lite(), old.state_dict(), lites.TAPS) == {"relu2_1"}


def test_fitted_heads_say_what_can_be_said() -> None:
    torch.manual_seed(0)
    teacher, student = Student(), Student()
    student.lite.stages.load_state_dict(teacher.lite.stages.state_dict())
    student.lite.expansions.load_state_dict(teacher.lite.expansions.state_dict())
    batch = torch.rand(2, 3, 64, 64)
    targets = [{name: f[i].detach() for name, f in teacher(batch).items()} for i in range(2)]
    fit_heads(student, [(batch, targets)], {"relu3_1", "relu4_4"})
    said = student(batch)
    for name in ("relu3_1", "relu4_4"):
        t = torch.stack([target[name] for target in targets])
        assert (said[name] - t).norm() < 0.05 * (t - t.mean()).norm()


def test_targets_in_a_turned_basis_are_turned_back() -> None:
    torch.manual_seed(0)
    student = Student()
    batch = torch.rand(2, 3, 64, 64)
    turned = torch.linalg.qr(torch.randn(96, 96))[0]
    targets = [
        {"relu3_1": torch.einsum("chw,cd->dhw", f.detach(), turned)}
        for f in student(batch)["relu3_1"]
    ]
    rotation = rotations(student, [(batch, targets)], {"relu3_1"})["relu3_1"]
    said = student(batch)["relu3_1"]
    back = torch.stack(
        [torch.einsum("chw,cd->dhw", target["relu3_1"], rotation) for target in targets]
    )
    assert torch.allclose(back, said, atol=1e-4)


def test_a_perfect_student_has_no_loss_and_each_term_is_what_it_says() -> None:
    torch.manual_seed(0)
    targets = [{"relu3_1": torch.randn(4, 5, 6), "relu3_4": torch.randn(3, 5, 6)} for _ in range(3)]
    perfect = {name: stack_maps([target[name] for target in targets]) for name in targets[0]}
    emphasis = {"relu3_1": torch.diag(torch.tensor([1.0, 0.5, 0.5, 0.2])), "relu3_4": torch.eye(3)}
    assert float(objective(perfect, targets, emphasis, 1)[0]) == 0
    loss, parts = objective({name: 1.1 * f for name, f in perfect.items()}, targets, emphasis, 1)
    t = perfect["relu3_1"]
    feature, hint = 0.1**2, 0.1**2  # |0.1 t|^2 / |t|^2, above the floor or not
    scale = [
        max(1.0, FLOOR * ENERGY * 30 / float((emphasis["relu3_1"] @ f.flatten(1)).square().sum()))
        for f in t
    ]
    assert parts["relu3_1"] == pytest.approx(sum(feature / x for x in scale) / 3, rel=1e-4)
    assert parts["relu3_4"] == pytest.approx(hint, rel=1e-4)
    g = gram(t)
    largest = max(float(x.square().sum()) for x in g[:2])
    style = 0.21**2 * float((g[0] - g[1]).square().sum()) / max(largest, (FLOOR * ENERGY) ** 2)
    assert parts["relu3_1 style"] == pytest.approx(style, rel=1e-4)
    grams = sum(0.21**2 * min(1.0, float(x.square().sum()) / (FLOOR * ENERGY) ** 2) for x in g) / 3
    expected = parts["relu3_1"] + GRAM * grams + STYLE * style + LAYER_WEIGHTS["relu3_4"] * hint
    assert loss == pytest.approx(float(expected), rel=1e-4)
    assert "relu3_1 style" not in objective(perfect, targets, emphasis, 0)[1]


def test_the_gradient_error_reaches_every_weight_in_bf16_as_in_fp32() -> None:
    torch.manual_seed(0)
    student = Student().to(memory_format=torch.channels_last)
    x = torch.rand(1, 3, 64, 64, requires_grad=True)
    weights = [p for name, p in student.lite.named_parameters() if p.ndim == 4]
    found = []
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            maps = student(x)
            pull = {name: torch.ones_like(maps[name][0]) for name in PULLED}
            surrogate, _ = gradient_error(
                student, x, maps, [Lesson(x[0].detach(), {}, pull, torch.zeros_like(x[0]))]
            )
        found.append(torch.autograd.grad(surrogate, weights))
    for exact, rough in zip(*found, strict=True):
        assert float(torch.cosine_similarity(exact.flatten(), rough.flatten(), dim=0)) > 0.95


def test_the_gradient_error_and_its_own_gradient_are_those_of_its_definition() -> None:
    torch.manual_seed(0)
    student = Student().double()
    x = torch.rand(2, 3, 32, 48, dtype=torch.float64, requires_grad=True)
    maps = student(x)
    pulls = [{name: torch.randn_like(maps[name][0]) for name in PULLED} for _ in range(2)]
    weights = [p for name, p in student.named_parameters() if name.endswith("weight")]
    weights = [p for p in weights if not any(p is q for q in student.hints.parameters())]

    def own(create_graph: bool) -> torch.Tensor:
        said, wanted = ([f[name] for name in PULLED] for f in (student(x), stacked))
        (g,) = torch.autograd.grad(said, x, wanted, create_graph=create_graph)
        return g

    stacked = {name: torch.stack([pull[name] for pull in pulls]) for name in pulls[0]}
    teachers = own(create_graph=False) + torch.randn_like(x)
    lessons = [Lesson(x[i].detach(), {}, pulls[i], teachers[i]) for i in range(2)]
    surrogate, error = gradient_error(student, x, maps, lessons)
    definition = (own(create_graph=True) - teachers).square().sum() / 2
    assert float(error) == pytest.approx(float(definition.detach()))
    found, expected = (torch.autograd.grad(loss, weights) for loss in (surrogate, definition))
    for a, b in zip(found, expected, strict=True):
        assert (a - b).norm() < 1e-5 * b.norm()
    perfect = [
        Lesson(x[i].detach(), {}, pulls[i], g) for i, g in enumerate(own(create_graph=False))
    ]
    assert float(gradient_error(student, x, maps, perfect)[1]) < 1e-20


def test_batched_statistics_are_those_of_the_losses() -> None:
    torch.manual_seed(0)
    a, b = torch.randn(2, 3, 7, 5, 6)
    assert torch.allclose(gram(a), torch.stack([losses.gram(f[None]) for f in a]))
    assert torch.allclose(
        relative(a, b), torch.stack([losses.content(x, y) for x, y in zip(a, b, strict=True)])
    )


def test_the_teachers_directions_are_orthogonal_and_turn_together(shared: Path) -> None:
    teacher = Teacher(shared / "weights", torch.device("cpu"), "fp32")
    batch = torch.stack([texture(random.Random(seed), 64) for seed in range(4)])
    teacher.find_directions([batch])
    for name, f in teacher.maps(batch).items():
        basis = teacher.basis[name]
        assert (
            float((basis.T @ f.permute(1, 0, 2, 3).flatten(1)).square().sum(0).mean())
            <= ENERGY * 1.01
        )
        squares = basis.T @ basis
        assert torch.allclose(
            squares, squares[0, 0] * torch.eye(len(squares)), atol=1e-3 * float(squares[0, 0])
        )
    before = [lesson.targets["relu4_1"].float() for lesson in teacher.lessons(batch)]
    emphasis = teacher.emphasis["relu4_1"]
    teacher.turn("relu4_1", torch.linalg.qr(torch.randn(128, 128))[0])
    after = [lesson.targets["relu4_1"].float() for lesson in teacher.lessons(batch)]
    for x, y in zip(before, after, strict=True):
        assert not torch.allclose(x, y, atol=0.1)
        p, q = emphasis @ x.flatten(1), teacher.emphasis["relu4_1"] @ y.flatten(1)
        assert float((p - q).norm() / p.norm()) < 0.02  # targets are kept in bf16


def test_a_pull_is_the_gradient_of_the_distances(shared: Path) -> None:
    teacher = Teacher(shared / "weights", torch.device("cpu"), "fp32")
    images, styles = torch.stack([texture(random.Random(seed), 64) for seed in range(6)]).chunk(2)
    teacher.find_directions([images, styles])
    targets = [lesson.targets for lesson in teacher.lessons(styles)]
    contents = torch.stack([teacher.content_target(image) for image in images.flip(3)])
    weights = torch.tensor([[1.0, 1, 1, 1, 1, 0.2], [0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 0, 1]])
    for i, lesson in enumerate(teacher.pulled(images, targets, contents, weights)):
        assert lesson.pull is not None
        assert lesson.gradient is not None
        assert float(lesson.gradient.norm()) == pytest.approx(1, rel=1e-4)
        x = images[i : i + 1].clone().requires_grad_()
        maps = teacher.project(x)
        loss = sum(
            w * relative(gram(maps[name]), gram(targets[i][name][None])).sum()
            for w, name in zip(weights[i][:-1], extractor.STYLE_LAYERS, strict=True)
        )
        loss = loss + weights[i][-1] * losses.content(maps["relu4_2"], contents[i][None].float())
        assert isinstance(loss, torch.Tensor)
        (gradient,) = torch.autograd.grad(loss, x)
        assert torch.allclose(lesson.gradient, gradient[0] / gradient.norm(), atol=1e-3 / 64)
        assert [name for name, p in lesson.pull.items() if p.any()] == [
            name for w, name in zip(weights[i], PULLED, strict=True) if w
        ]


def test_images_are_pulled_by_all_layers_as_in_a_render_or_by_one() -> None:
    class Spy:
        rows: ClassVar[list[list[float]]] = []

        def pulled(
            self, batch: torch.Tensor, _: object, contents: torch.Tensor, weights: torch.Tensor
        ) -> list[None]:
            assert len(batch) == len(contents) == len(weights)
            self.rows += weights.tolist()
            return [None] * len(batch)

    x, y = torch.rand(2, 3, 8, 8)  # half of the images are not, or no more, their content
    pool = [
        Attempt(
            x,
            x,
            (x, y)[i % 2],
            x,
            x,
            9,
            0.1,
            0.01 * i,
            tv_weight=0.0,
            done=i % 4 // 3,
            lesson=Lesson(x, {}),
        )
        for i in range(200)
    ]
    for a in pool:
        a.content_target = x
    run = SimpleNamespace(teacher=Spy(), device=torch.device("cpu"))
    assert len(distill.Run.pulled(run, pool, random.Random(0))) == len(pool)
    seen = set()
    for row, a in zip(Spy.rows, pool, strict=True):
        if sum(row) == 1:
            seen.add((name := PULLED[row.index(1)], a.image is y))
            assert name in distill.ALONE
        else:  # 5 (mean style + w content)
            assert row == pytest.approx([1, 1, 1, 1, 1, 5 * a.content_weight])
    assert len(seen) == 2 * len(distill.ALONE) - 1
    assert ("relu4_2", False) not in seen, (
        "the content of an image that has not moved is where it is"
    )
