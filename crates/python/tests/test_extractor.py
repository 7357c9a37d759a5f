"""The extractor: kinds of images, errors, threads, processes, memory."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import pickle
import resource
import signal
import subprocess
import sys
import threading
import time

import image_feature
import numpy as np
import pytest
from conftest import ppm
from image_feature import DamagedImageWarning, DecodeError, FeatureExtractor, IoError, ModelError, UsageError


def test_all_kinds_of_images_give_the_same_feature(tiny, noise, tmp_path):
    Image = pytest.importorskip("PIL.Image")
    rgb = noise(1)
    file = tmp_path / "a.ppm"
    file.write_bytes(ppm(rgb))
    wide = np.repeat(rgb, 2, axis=1)[:, ::2]
    assert not wide.flags.c_contiguous
    kinds = [file, str(file), os.fsencode(file).decode(), ppm(rgb), bytearray(ppm(rgb)), rgb, wide, Image.fromarray(rgb)]
    kinds.append(np.dstack([rgb, np.zeros(rgb.shape[:2], np.uint8)]))
    features = [tiny.embed(kind) for kind in kinds] + [tiny.embed(rgb[:, :, ::-1], channels="BGR")]
    assert all(np.array_equal(feature, features[0]) for feature in features[1:])
    assert np.isclose(np.linalg.norm(features[0]), 1, atol=1e-5)
    grey = noise(2)[:, :, 0]
    assert np.array_equal(tiny.embed(grey), tiny.embed(np.dstack([grey] * 3)))
    assert not np.array_equal(tiny.embed(rgb[:, :, ::-1]), features[0])


def test_pillows_images_are_turned_as_files_are(tiny, noise, tmp_path):
    Image = pytest.importorskip("PIL.Image")
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "turned.png"
    Image.fromarray(noise(1)).save(path, exif=exif)
    with Image.open(path) as image:
        assert np.array_equal(tiny.embed(image), tiny.embed(np.rot90(noise(1), 3)))
    assert np.array_equal(tiny.embed(path), tiny.embed(np.rot90(noise(1), 3)))


def test_errors_have_kinds(tiny, noise, tmp_path):
    with pytest.raises(IoError, match=r"none\.jpg") as caught:
        tiny.embed(tmp_path / "none.jpg")
    assert caught.value.kind == "io" and isinstance(caught.value, OSError)
    with pytest.raises(IoError):
        tiny.embed(tmp_path)
    with pytest.raises(DecodeError):
        tiny.embed(b"no image")
    for wrong in (np.zeros((2, 2, 2), np.uint8), np.zeros((2, 2, 3), np.float32), np.zeros((0, 2, 3), np.uint8), 7, None):
        with pytest.raises(UsageError):
            tiny.embed(wrong)
    with pytest.raises(UsageError, match="addresses"):
        tiny.embed("http://example.org/a.jpg")
    for options in ({"device": "gpu"}, {"threads": 0}, {"dtype": "f64"}, {"orient": "up"}):
        with pytest.raises(UsageError):
            FeatureExtractor.load("tiny", **options)
    with pytest.raises(image_feature.UnsupportedError):
        FeatureExtractor.load(b"no model")
    with pytest.raises(ModelError):
        FeatureExtractor.load(_damaged_model(tmp_path))
    with pytest.raises(UsageError, match="batch_size"):
        tiny.embed_many([], batch_size=0)


def _damaged_model(folder):
    path = folder / "damaged.safetensors"
    path.write_bytes((8).to_bytes(8, "little") + b"{}      ")
    return path


def test_damage_is_a_warning(tiny, golden):
    whole = (golden / "features" / "inputs" / "china.jpg").read_bytes()
    with pytest.warns(DamagedImageWarning):
        tiny.embed(whole[: len(whole) // 2])


def test_a_stream_keeps_the_order_and_raises_in_its_place(tiny, noise):
    images = [noise(seed) for seed in range(7)]
    images[4] = b"broken"
    one_by_one = [tiny.embed(image) for image in images[:4]]
    stream = tiny.embed_many(images, batch_size=5)
    for expected in one_by_one:
        assert np.abs(next(stream) - expected).max() < 1e-6
    with pytest.raises(DecodeError):
        next(stream)
    with pytest.warns(UserWarning, match="left out"):
        found = list(tiny.embed_many(images, batch_size=3, on_error="none"))
    assert [feature is None for feature in found] == [place == 4 for place in range(7)]
    assert tiny.embed_batch([]).shape == (0, 512)


def test_a_stream_takes_one_batch_at_a_time(tiny, noise):
    taken = itertools.count()
    images = (noise(next(taken)) for _ in range(100))
    stream = tiny.embed_many(images, batch_size=4)
    next(stream)
    assert next(taken) == 4


def test_the_lock_of_python_is_released(noise):
    extractor = FeatureExtractor.load(threads=1)
    images = [noise(seed, 300, 300) for seed in range(40)]
    turns, ended = 0, threading.Event()

    def count() -> None:
        nonlocal turns
        while not ended.is_set():
            turns += 1
            time.sleep(0.001)

    other = threading.Thread(target=count)
    other.start()
    extractor.embed_batch(images[:1])
    before, start = turns, time.monotonic()
    list(extractor.embed_many(images, batch_size=40))
    took = time.monotonic() - start
    during = turns - before
    ended.set()
    other.join()
    # with the lock held, the other thread would get a turn or two
    assert during > 20 * took, (during, took)


def test_threads_share_an_extractor(tiny, noise):
    images = [noise(seed) for seed in range(8)]
    expected = [tiny.embed(image) for image in images]
    found: dict[int, object] = {}

    def work(place: int) -> None:
        for _ in range(5):
            found[place] = np.array_equal(tiny.embed(images[place]), expected[place])

    threads = [threading.Thread(target=work, args=[place]) for place in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found == dict.fromkeys(range(8), True)


def test_it_is_pickled_by_its_options(noise):
    extractor = FeatureExtractor.load("tiny", threads=1, dtype="f32")
    data = pickle.dumps(extractor)
    assert len(data) < 500
    again = pickle.loads(data)
    assert again.info == extractor.info and again.info.threads == 1 and again.info.dtype == "f32"
    assert np.array_equal(again.embed(noise(1)), extractor.embed(noise(1)))


def _in_child(extractor, image, out):
    out.put(extractor.embed(image).tolist())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_process_opens_the_model_anew(tiny, noise):
    context = multiprocessing.get_context("fork")
    expected, out = tiny.embed(noise(1)).tolist(), context.Queue()
    child = context.Process(target=_in_child, args=(tiny, noise(1), out))
    child.start()
    assert out.get(timeout=60) == expected
    child.join(60)
    assert child.exitcode == 0


_MEMORY = """
import resource, sys, numpy as np
from image_feature import FeatureExtractor
extractor = FeatureExtractor.load("tiny")
pixels = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)
file = b"P6 300 200 255\\n" + pixels.tobytes()
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
images = lambda count: (file if number % 2 else pixels for number in range(count))
for _ in extractor.embed_many(images(200)): pass
before = peak()
for _ in extractor.embed_many(images(2000)): pass
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the unit of the peak differs")
def test_memory_is_flat_over_2000_images():
    grown = int(subprocess.run([sys.executable, "-c", _MEMORY], capture_output=True, text=True, check=True).stdout)
    # 2000 images of 180 kB are 360 MB
    assert grown < 20_000, f"{grown} kB"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > 0


_ENDLESS = """
import signal
# what starts the tests in the background may have it ignored
signal.signal(signal.SIGINT, signal.default_int_handler)
import numpy as np, itertools
from image_feature import FeatureExtractor
extractor = FeatureExtractor.load()
image = np.zeros((500, 500, 3), np.uint8)
for place, _ in enumerate(extractor.embed_many(itertools.repeat(image))):
    if place == 0: print("begun", flush=True)
"""


def test_ctrl_c_ends_a_stream():
    command = [sys.executable, "-c", _ENDLESS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None and child.stdout.readline() == "begun\n"
            child.send_signal(signal.SIGINT)
            _, errors = child.communicate(timeout=20)
        finally:
            child.kill()
    assert "KeyboardInterrupt" in errors and child.returncode != 0


def test_the_info_names_model_and_device(tiny):
    info = tiny.info
    assert (info.dimension, info.device, info.threads) == (512, "cpu", 2)
    assert "tiny" in repr(tiny) and len(tiny.model_id[1]) == 64
    assert image_feature.__version__.count(".") == 2
