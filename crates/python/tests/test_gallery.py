"""Galleries: hits, files, errors."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest
from conftest import ppm
from image_feature import Entry, FeatureExtractor, Gallery, GalleryError, UsageError


@pytest.fixture()
def gallery():
    gallery = Gallery(3)
    entries = [Entry("a", "tea", {"shelf": 1}), Entry("b", "tea", {"shelf": 2}), Entry("c", "cup", {"shelf": 3}), "d"]
    gallery.extend(entries, [[1, 0, 0], [0.9, 0.1, 0], [0, 1, 0], [0, 0, 1]])
    return gallery


def test_hits_are_those_of_numpy():
    random = np.random.default_rng(0)
    vectors = random.normal(size=(500, 64)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    gallery = Gallery(64, storage="i8")
    gallery.extend([str(number) for number in range(500)], vectors)
    queries = vectors[:20] + random.normal(size=(20, 64)).astype(np.float32) / 10
    cosines = queries / np.linalg.norm(queries, axis=1, keepdims=True) @ vectors.T
    for hits, row in zip(gallery.search_many(queries, k=5), cosines):
        assert [int(hit.id) for hit in hits] == np.argsort(-row)[:5].tolist()
        assert np.allclose([hit.score for hit in hits], -np.sort(-row)[:5], atol=1e-5)
    assert np.array_equal(gallery.to_numpy(), vectors)


def test_entries_are_kept_found_and_removed(gallery):
    assert [(hit.id, hit.label, hit.metadata) for hit in gallery.search([1, 0, 0], k=1)] == [("a", "tea", {"shelf": 1})]
    found = gallery.search([1, 0, 0], filter={"label": "tea", "metadata": {"shelf": {"min": 2, "max": 9}}})
    assert [hit.id for hit in found] == ["b"]
    assert [hit.id for hit in gallery.search([1, 0, 0], threshold=0.5)] == ["a", "b"]
    assert [(pair.first, pair.second) for pair in gallery.duplicates(0.9)] == [("a", "b")]
    assert [entry.id for entry in gallery] == ["a", "b", "c", "d"] and gallery["d"] == Entry("d")
    gallery.remove(["a", "d"])
    assert len(gallery) == 2 and "a" not in gallery
    with pytest.raises(KeyError):
        gallery["a"]
    with pytest.raises(KeyError):
        gallery.feature("a")


def test_nothing_changes_where_something_is_wrong(gallery):
    for entries, features in ((["e", "a"], np.eye(3)[:2]), (["e"], [[np.nan, 0, 0]]), (["e"], [[0, 0, 0]]), (["e"], [[1, 2]])):
        with pytest.raises(UsageError):
            gallery.extend(entries, features)
    with pytest.raises(UsageError, match="no id `x`"):
        gallery.remove(["a", "x"])
    for wrong in ({"k": 0}, {"filter": {"labels": "tea"}}, {"threshold": float("nan")}):
        with pytest.raises(UsageError):
            gallery.search([1, 0, 0], **wrong)
    for options in ({"metric": "angle"}, {"storage": "f64"}, {"metric": "l2", "storage": "bit"}):
        with pytest.raises(UsageError):
            Gallery(3, **options)
    assert len(gallery) == 4


def test_the_file_is_the_programs(gallery, tmp_path):
    path = tmp_path / "g.safetensors"
    gallery.save(path)
    again = Gallery.open(path)
    assert list(again) == list(gallery) and np.array_equal(again.to_numpy(), gallery.to_numpy())
    assert list(pickle.loads(pickle.dumps(gallery))) == list(gallery)
    command = [sys.executable, "-m", "image_feature", "gallery", "info", str(path)]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0 and "4" in ended.stdout, ended
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(GalleryError, match=r"g\.safetensors"):
        Gallery.open(path)


def test_it_knows_its_model(tiny, noise):
    gallery = Gallery.for_extractor(tiny)
    gallery.check_model(tiny)
    assert gallery.model == tiny.model_id
    with pytest.raises(UsageError, match="another model"):
        gallery.check_model(FeatureExtractor.load())
    with pytest.raises(UsageError, match="does not know"):
        Gallery(512).check_model(tiny)


def test_it_is_evaluated_by_itself_and_by_queries(gallery):
    own = gallery.evaluate()
    assert own.recall[1] == 1.0 and own.data["without_match"] == 1
    assert "recall@1 1.0000" in repr(own)
    given = gallery.evaluate([[1, 0, 0], [0, 1, 0]], ["tea", "tea"], recall_at=[1, 2])
    assert given.recall == {1: 0.5, 2: 1.0}
    assert [(wrong["label"], wrong["taken_for"]) for wrong in given.confusions] == [("tea", "cup")]
    assert given.worst[0]["query"] == 1 and given.worst[0]["nearest"][0]["id"] == "c"
    cup = [[0, 1, 0]], ["cup"]
    assert gallery.evaluate(*cup).data["without_match"] == 0
    assert gallery.evaluate(*cup, ids=["c"]).data["without_match"] == 1
    with pytest.raises(UsageError):
        gallery.evaluate([[1, 0, 0]])


def test_pandas_and_notebooks_show_it(gallery, noise, tmp_path):
    pytest.importorskip("pandas")
    hits = gallery.search([1, 0, 0])
    assert hits.to_pandas().columns.tolist() == ["id", "label", "score", "shelf"]
    assert gallery.to_pandas()["label"].tolist()[:3] == ["tea", "tea", "cup"]
    assert gallery.evaluate().to_pandas()["label"].tolist() == ["tea", "cup"]
    path = tmp_path / "<b>.ppm"
    path.write_bytes(ppm(noise(1)))
    gallery.add(str(path), [1, 0, 0.01])
    html = gallery.search([1, 0, 0])._repr_html_()
    assert html.count("data:image/jpeg") == 1 and "<b>" not in html and "&lt;b&gt;" in html
    assert "<table>" in gallery.evaluate()._repr_html_()
