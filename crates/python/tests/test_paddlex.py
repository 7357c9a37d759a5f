"""PaddleX's own lines, against what PaddleX 3.3 printed and wrote."""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil

import numpy as np
import pytest
from conftest import ppm, safetensors
from image_feature import DecodeError, DeviceError, UsageError, create_model

TOLERANCE = 2e-5


@pytest.fixture(scope="module")
def model(official):
    return create_model("PP-ShiTuV2_rec", model_dir=official)


@pytest.fixture(scope="module")
def inputs(golden):
    return golden / "features" / "inputs"


def test_features_are_paddlexs(golden, model, inputs):
    expected = safetensors(golden / "features" / "PP-ShiTuV2_rec_features.safetensors")
    for batch_size in (1, 2, 16):
        results = list(model.predict(str(inputs), batch_size=batch_size))
        assert [res["input_path"] for res in results] == sorted(str(path) for path in inputs.iterdir())
        for res in results:
            name = pathlib.Path(res["input_path"]).name
            feature = expected[f"{name}/predict/feature"].reshape(-1)
            assert res["feature"].shape == (512,) and res["feature"].dtype == np.float32
            assert np.abs(res["feature"] - feature).max() <= TOLERANCE, name


@pytest.fixture()
def work(inputs, tmp_path, monkeypatch):
    """A folder where the golden paths lead to the pictures."""
    target = tmp_path / "WORK" / "golden" / "features"
    target.mkdir(parents=True)
    shutil.copytree(inputs, target / "inputs")
    monkeypatch.chdir(tmp_path)
    return "WORK/golden/features/inputs/chelsea.png"


def same_but_for_rounding(ours, theirs):
    """The same text, with numbers that differ by rounding."""
    number = r"-?[0-9]+[.][0-9]+"
    assert re.sub(number, "N", ours) == re.sub(number, "N", theirs)
    pairs = zip(re.findall(number, ours), re.findall(number, theirs))
    assert all(abs(float(a) - float(b)) <= TOLERANCE and len(a) == len(b) for a, b in pairs)


def test_print_is_paddlexs(golden, model, work, capsys):
    log = json.loads((golden / "predict" / "v3312" / "log.json").read_text())
    (res,) = model.predict(work, batch_size=1)
    res.print()
    res.print(json_format=False)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == printed[1]
    same_but_for_rounding(printed[0], log["print()"][0])
    res.print(json_format=True)
    text = capsys.readouterr().out
    start = log["print(json_format=True)"][0].split("-0.0211")[0]
    assert text.startswith(start), text[:200]
    res.print(json_format=True, indent=2)
    text = capsys.readouterr().out
    assert text.startswith(log["print(json_format=True,indent=2)"][0].split("-0.0211")[0])
    assert str(list(res)) == "['input_path', 'page_index', 'feature']"
    assert res["input_img"].shape == (300, 451, 3)
    assert list(res.json) == ["res"] and isinstance(res.json["res"]["feature"][0], float)


def test_files_are_paddlexs(golden, model, work, tmp_path):
    (res,) = model.predict(work)
    res.save_to_json("output/res.json")
    res.save_to_json("output/folder")
    written = pathlib.Path("output/res.json").read_text()
    assert written == pathlib.Path("output/folder/chelsea_res.json").read_text()
    expected = (golden / "predict" / "v3312" / "explicit_name.json").read_text()
    ours, theirs = json.loads(written), json.loads(expected)
    assert list(ours) == list(theirs)
    assert (ours["input_path"], ours["page_index"]) == (theirs["input_path"], None)
    assert np.abs(np.array(ours["feature"]) - np.array(theirs["feature"])).max() <= TOLERANCE
    # the form of the text, number by number
    assert [line.split("0.")[0] for line in written.splitlines()] == [line.split("0.")[0] for line in expected.splitlines()]


def test_unicode_is_written_as_it_is_unless_asked(model, inputs, tmp_path):
    path = shutil.copy(inputs / "tiny_3x2.png", tmp_path / "猫.png")
    (res,) = model.predict(path)
    res.save_to_json(tmp_path / "plain.json")
    res.save_to_json(tmp_path / "ascii.json", indent=1, ensure_ascii=True)
    assert "猫" in (tmp_path / "plain.json").read_text(encoding="utf-8")
    assert "\\u732b" in (tmp_path / "ascii.json").read_text(encoding="utf-8")


def test_arrays_are_bgr(model, noise, tmp_path):
    rgb = noise(1)
    file = tmp_path / "a.ppm"
    file.write_bytes(ppm(rgb))
    of_file, of_array, mixed = (
        next(model.predict(given)) for given in (str(file), rgb[:, :, ::-1], [rgb[:, :, ::-1], str(file)])
    )
    assert np.array_equal(of_file["feature"], of_array["feature"])
    assert np.array_equal(of_file["feature"], mixed["feature"])
    assert of_array["input_path"] is None
    assert np.array_equal(of_array["input_img"], of_file["input_img"])
    of_array.save_to_json(tmp_path / "out")
    (name,) = os.listdir(tmp_path / "out")
    assert name.endswith("_res.json") and name[:10].isdigit()


def test_a_folder_is_walked_in_order_of_paths(model, noise, tmp_path):
    for name in ("b/2.ppm", "a.PPM", "b/1.ppm", "notes.txt", "z.ppm"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(ppm(noise(2, 8, 8)))
    found = [os.path.relpath(res["input_path"], tmp_path) for res in model.predict(tmp_path, batch_size=2)]
    assert found == ["a.PPM", "b/1.ppm", "b/2.ppm", "z.ppm"]


def test_a_broken_image_comes_after_the_results_before_it(model, noise, tmp_path):
    good = tmp_path / "good.ppm"
    good.write_bytes(ppm(noise(3)))
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"\x89PNG\r\n\x1a\n")
    results = model.predict([str(good), str(bad), str(good)])
    assert next(results)["input_path"] == str(good)
    with pytest.raises(DecodeError, match=r"bad\.png"):
        next(results)
    results = model.predict([str(good), str(tmp_path / "none.png")])
    next(results)
    with pytest.raises(FileNotFoundError, match=r"none\.png"):
        next(results)


def test_wrong_arguments_say_what_to_do(model, official, noise, tmp_path):
    with pytest.raises(UsageError, match="addresses are not opened"):
        list(model.predict("https://example.org/a.jpg"))
    with pytest.raises(UsageError, match="batch_size=0"):
        model.predict("a.jpg", batch_size=0)
    with pytest.raises(FileNotFoundError, match="no image in the folder"):
        list(model.predict(str(tmp_path)))
    with pytest.raises(UsageError, match="uint8"):
        list(model.predict(noise(1).astype(np.float32)))
    with pytest.raises(DeviceError, match="device='cpu'"):
        create_model("PP-ShiTuV2_rec", model_dir=official, device="gpu:0")
    with pytest.raises(UsageError, match="is PP-ShiTuV2_rec, not PP-ShiTuV2_rec_CLIP_vit_base"):
        create_model("PP-ShiTuV2_rec_CLIP_vit_base", model_dir=official)
    with pytest.raises(TypeError, match="speed"):
        create_model("PP-ShiTuV2_rec", model_dir=official, speed=2)
    with pytest.warns(UserWarning, match="use_hpip"):
        create_model("PP-ShiTuV2_rec", model_dir=official, device="cpu", use_hpip=True)


def test_the_beta_took_a_folder_in_place_of_a_name(official, noise):
    (res,) = create_model(str(official)).predict([noise(4)])
    assert res["feature"].shape == (512,)
