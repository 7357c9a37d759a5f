"""The pipeline PP-ShiTuV2, against what PaddleX 3.3 answered where its detector found no box."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from image_feature import UnsupportedError, UsageError, create_pipeline
from image_feature.paddlex import IndexData

# the scores of the golden weights lie close together
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def pipeline(official):
    with pytest.warns(UserWarning, match="no detector"):
        return create_pipeline("PP-ShiTuV2", model=official)


@pytest.fixture(scope="module")
def gallery(golden):
    """Paths and labels of the golden gallery."""
    told = json.loads((golden / "pipeline" / "gallery.json").read_text(encoding="utf-8"))
    folders = [golden / "pipeline" / "gallery", golden / "features" / "inputs"]
    paths = [str(next(f / name for f in folders if (f / name).exists())) for name in told["order"]]
    return paths, told["labels"]


@pytest.mark.parametrize("case", ["no_box_full_image", "no_box_and_rec_threshold", "directory_index"])
def test_answers_are_paddlexs(golden, pipeline, gallery, tmp_path, case):
    told = json.loads((golden / "pipeline" / "predict_cases_chelsea.json").read_text(encoding="utf-8"))[case]
    index = pipeline.build_index(*gallery, metric_type="IP", index_type="Flat")
    if case == "directory_index":
        index.save(tmp_path / "index")
        index = tmp_path / "index"
    picture = str(golden / "features" / "inputs" / "chelsea.png")
    (res,) = pipeline.predict(picture, index, rec_threshold=told["args"].get("rec_threshold"))
    same_boxes(res["boxes"], told["result"][0]["boxes"])
    assert list(res.json["res"]) == ["input_path", "boxes"]


def same_boxes(ours, theirs):
    assert len(ours) == len(theirs) == 1
    for name in ("labels", "det_score", "coordinate"):
        assert ours[0][name] == theirs[0][name]
    if theirs[0]["rec_scores"] != [None]:
        assert np.abs(np.array(ours[0]["rec_scores"]) - np.array(theirs[0]["rec_scores"])).max() <= TOLERANCE
    else:
        assert ours[0]["rec_scores"] == [None]


def test_an_index_of_paddlex_is_read(golden, pipeline):
    told = json.loads((golden / "pipeline" / "predict_cases_chelsea.json").read_text(encoding="utf-8"))["no_box_full_image"]
    picture = str(golden / "features" / "inputs" / "chelsea.png")
    (res,) = pipeline.predict(picture, golden / "pipeline" / "index_IP_Flat")
    same_boxes(res["boxes"], told["result"][0]["boxes"])


def test_images_are_added_and_removed(pipeline, noise, tmp_path):
    index = pipeline.build_index([noise(1), noise(2)], ["a", "b"], index_type="Flat")
    more = pipeline.append_index([noise(3)], ["c"], index)
    assert (index.id_map, more.id_map) == ({0: "a", 1: "b"}, {0: "a", 1: "b", 2: "c"})
    fewer = pipeline.remove_index([0], more)
    assert fewer.id_map == {1: "b", 2: "c"} and len(more) == 3
    (tmp_path / "remove.txt").write_text("1 b\n\n")
    assert pipeline.remove_index(tmp_path / "remove.txt", fewer).id_map == {2: "c"}
    fewer.save(tmp_path / "index")
    again = IndexData.load(tmp_path / "index")
    assert again.id_map == fewer.id_map and again.metric_type == "IP"
    (res,) = pipeline.predict(noise(3), again, rec_topk=1)
    assert res["boxes"][0]["labels"] == ["c"] and res["input_path"] is None


def test_a_list_names_images_below_a_folder(pipeline, golden):
    folder = golden / "pipeline" / "gallery"
    index = pipeline.build_index(str(folder), str(golden / "pipeline" / "gallery.txt"))
    assert index.id_map == {0: "cat", 1: "屋顶", 2: "astronaut"}


def test_wrong_arguments_say_what_to_do(pipeline, noise, tmp_path):
    with pytest.raises(AssertionError, match="Supported metric types only"):
        pipeline.build_index([], [], metric_type="cosine")
    with pytest.raises(AssertionError, match="Supported index types only"):
        pipeline.build_index([], [], index_type="PQ")
    with pytest.raises(UnsupportedError, match="hamming"):
        pipeline.build_index([], [], metric_type="hamming")
    with pytest.raises(UsageError, match="1 images and 2 labels"):
        pipeline.build_index([noise(1)], ["a", "b"])
    with pytest.raises(UsageError, match="needs an index"):
        pipeline.predict(noise(1))
    with pytest.raises(AssertionError, match=r"Not found the vector\.index file in"):
        list(pipeline.predict(noise(1), tmp_path))
    (tmp_path / "list.txt").write_text("a.png cat\nb.png two words\n")
    with pytest.raises(UsageError, match="line 2"):
        pipeline.build_index(str(tmp_path), str(tmp_path / "list.txt"))
    with warnings.catch_warnings(), pytest.raises(UsageError, match="PP-ShiTuV2"):
        create_pipeline("OCR")
