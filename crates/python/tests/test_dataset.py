"""Data sets: checked, mended, divided, converted, evaluated, learnt from; and the program."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from importlib.util import find_spec

import numpy as np
import pytest
from conftest import ppm
from image_feature import Dataset, DecodeError, FeatureExtractor, UsageError, evaluate, fine_tune


def pictures(noise):
    """Two classes: bright and dark noise."""
    return {f"{label}-{number}": noise(10 * label + number, 24, 24) // (1 + 3 * label) for label in (0, 1) for number in range(7)}


def stripes(label, number):
    """Stripes that lean by their label: classes that the small model cannot tell apart at once."""
    random = np.random.default_rng(10 * label + number)
    y, x = np.mgrid[:48, :48]
    angle = label * np.pi / 6 + random.normal(0, 0.05)
    waves = np.sin((x * np.cos(angle) + y * np.sin(angle)) * random.uniform(0.5, 0.9) + random.uniform(0, 6))
    return (np.dstack([waves] * 3) * 100 + 128 + random.normal(0, 15, (48, 48, 3))).clip(0, 255).astype(np.uint8)


@pytest.fixture()
def shop(noise, tmp_path):
    folder = tmp_path / "shop"
    (folder / "images").mkdir(parents=True)
    for name, pixels in pictures(noise).items():
        (folder / "images" / f"{name}.ppm").write_bytes(ppm(pixels))
    for subset, numbers in (("train", (0, 1, 2)), ("gallery", (3, 4, 5)), ("query", (6,))):
        rows = [f"images/{label}-{number}.ppm {label}\n" for label in (0, 1) for number in numbers]
        (folder / f"{subset}.txt").write_text("".join(rows))
    return folder


def test_a_good_one_passes_and_a_bad_one_says_why(shop, tmp_path):
    assert Dataset(shop).check(batch_size=8).passed
    with open(shop / "train.txt", "a") as file:
        file.write("images/none.ppm 1\n")
    (shop / "images" / "0-0.ppm").write_bytes(b"broken")
    report = Dataset(shop).check(batch_size=8, threads=2)
    assert not report.passed and report.counts["errors"] == 2 and repr(report).startswith("<Report: failed, 2 errors")
    missing = next(finding for finding in report.findings if finding.image == "images/none.ppm")
    assert (missing.severity, missing.list, missing.line) == ("error", "train", 7)
    if find_spec("pandas"):
        assert "images/none.ppm" in report.to_pandas()["image"].tolist()
    report.save_html(tmp_path / "report.html")
    assert "data:image/jpeg" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<b>failed</b>" in report._repr_html_()


def test_copies_are_mended_divided_and_converted(shop, tmp_path):
    with open(shop / "train.txt", "a") as file:
        file.write("images/none.ppm 1\n")
    fixed = Dataset(shop).fix(tmp_path / "fixed.zip")
    assert (fixed.kept, fixed.set_aside, fixed.train) == (14, 1, 6)
    assert "set_aside.tsv" in {name.split("/")[-1] for name in zipfile.ZipFile(tmp_path / "fixed.zip").namelist()}
    assert len(Dataset(tmp_path / "fixed.zip")) == 14
    divided = Dataset(tmp_path / "fixed.zip").split(tmp_path / "divided", percent=(50, 25, 25), ignore_copies=True)
    assert divided.train + divided.gallery + divided.query == 14
    assert len(Dataset(tmp_path / "divided").rows("train")) == divided.train
    folders = tmp_path / "folders"
    for image in (shop / "images").iterdir():
        target = folders / ("bright" if image.name[0] == "0" else "dark")
        target.mkdir(parents=True, exist_ok=True)
        (target / image.name).write_bytes(image.read_bytes())
    made = Dataset.convert(folders, tmp_path / "made", form="folders")
    assert made.train + made.gallery + made.query == 14 and isinstance(made.notes, tuple)
    with pytest.raises(UsageError, match="not empty"):
        Dataset(tmp_path / "fixed.zip").fix(tmp_path / "made")
    for wrong in ({"percent": (50, 50)}, {"percent": (50, 50, 50)}, {"by": "size"}):
        with pytest.raises(UsageError):
            Dataset(shop).split(tmp_path / "wrong", **wrong)
    assert not (tmp_path / "wrong").exists()


def test_progress_is_heard_and_may_end_the_work(shop):
    heard = []
    native = Dataset(shop)._native
    native.check(batch_size=8, threads=1, progress=lambda done, total: heard.append((done, total)))
    assert heard[-1] == (14, 14)

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Dataset(shop)._native.check(batch_size=8, threads=1, progress=stop)


def test_evaluation_and_its_errors(shop, tiny):
    found = evaluate(Dataset(shop), tiny, recall_at=[1, 5])
    assert found.data["queries"] == 2 and found.data["images"] == 6
    assert found.recall[1] == 1.0 and set(found.paddleclas) == {"recall1", "recall5", "mAP"}
    command = [sys.executable, "-m", "image_feature", "evaluate", str(shop), "--model", "tiny", "--no-cache", "--quiet"]
    printed = subprocess.run(command, capture_output=True, text=True)
    assert f"{found.mean_average_precision:.5f}" in printed.stdout, printed
    (shop / "images" / "0-4.ppm").write_bytes(b"broken")
    with pytest.raises(DecodeError, match=r"images/0-4\.ppm"):
        evaluate(Dataset(shop), tiny)
    (shop / "query.txt").write_text("images/none.ppm 1\n")
    with pytest.raises(DecodeError, match=r"query\.txt: line 1"):
        evaluate(Dataset(shop), tiny)


def test_fine_tuning_learns_and_its_model_is_saved(shop, noise, tmp_path):
    tuned = fine_tune(Dataset(shop), model="tiny", name="shop", epochs=20, folds=3)
    assert len(tuned.losses) == 20 and np.isfinite(tuned.losses).all()
    assert tuned.scores is not None and set(tuned.scores) == {"queries", "recall1", "mAP"}
    tuned.save(tmp_path / "shop.safetensors")
    opened = FeatureExtractor.load(tmp_path / "shop.safetensors")
    assert opened.info.model == "shop"
    assert np.abs(opened.embed(noise(1)) - tuned.extractor().embed(noise(1))).max() < 1e-6
    assert "<svg" in tuned._repr_html_()
    with pytest.warns(UserWarning, match="left out"):
        fine_tune([*((pixels, name[0]) for name, pixels in pictures(noise).items()), (b"broken", "2")], model="tiny", epochs=1)
    leaning = [(stripes(label, number), label) for label in range(6) for number in range(5)]
    losses = fine_tune(leaning, model="tiny", epochs=20).losses
    assert np.mean(losses[-3:]) < 0.8 * np.mean(losses[:3])
    with pytest.raises(UsageError, match="epochs"):
        fine_tune(Dataset(shop), model="tiny", epochs=0)
    with pytest.raises(UsageError, match="class"):
        fine_tune([(noise(1), "one")], model="tiny")


def test_the_program_is_inside(shop):
    command = [sys.executable, "-m", "image_feature"]
    ended = subprocess.run([*command, "--version"], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout.split()[0]) == (0, "image-feature")
    assert subprocess.run([*command, "nonsense"], capture_output=True).returncode == 2
    predict = subprocess.run([*command, "predict", str(shop / "images" / "0-0.ppm")], capture_output=True, text=True)
    assert predict.returncode == 0 and "feature" in predict.stdout
