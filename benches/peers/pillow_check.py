"""Checks the images of a data set with Pillow: the peer of `image-feature check` in `./build.sh bench dataset`.

    python pillow_check.py DATASET WORK PROCESSES

WORK is `decode` for what a check in Python has to do to know that images can be trained on (verify, decode, turn by EXIF,
convert to RGB), or `equal` for all that ours finds out about each: BLAKE3 of bytes and pixels, a perceptual hash, a grid
of colours, the Laplacian's variance, brightness and contrast. It does not compare the images with each other.
"""

import io
import json
import os
import sys
from multiprocessing import Pool

import numpy
from PIL import Image, ImageOps

COSINES = numpy.cos(numpy.pi * numpy.arange(9)[:, None] * (2 * numpy.arange(32)[None, :] + 1) / 64).astype("f4")


def read(path):
    with open(path, "rb") as file:
        data = file.read()
    # after verify() an image cannot be used any more
    Image.open(io.BytesIO(data)).verify()
    image = Image.open(io.BytesIO(data))
    image.load()
    return data, ImageOps.exif_transpose(image).convert("RGB")


def decode(path):
    return read(path)[1].size


def equal(path):
    from blake3 import blake3

    data, image = read(path)
    gray = image.convert("L")
    small = numpy.asarray(gray.resize((32, 32), Image.Resampling.BOX), dtype="f4")
    frequencies = (COSINES @ small @ COSINES.T).ravel()[1:65]
    values = numpy.asarray(gray)
    wide = values.astype("i2")
    laplacian = wide[1:-1, :-2] + wide[1:-1, 2:] + wide[:-2, 1:-1] + wide[2:, 1:-1] - 4 * wide[1:-1, 1:-1]
    return (
        blake3(data).digest(),
        blake3(image.tobytes()).digest(),
        numpy.packbits(frequencies > numpy.median(frequencies)).tobytes(),
        image.resize((4, 4), Image.Resampling.BOX).tobytes(),
        float(laplacian.var(dtype="f4")),
        float(values.mean(dtype="f4")),
        float(values.std(dtype="f4")),
    )


def main():
    root, work, processes = sys.argv[1], {"decode": decode, "equal": equal}[sys.argv[2]], int(sys.argv[3])
    paths = []
    for name in ("train.txt", "gallery.txt", "query.txt"):
        with open(os.path.join(root, name)) as rows:
            paths.extend(os.path.join(root, row.split(" ")[0]) for row in rows)
    if processes == 1:
        results = [work(path) for path in paths]
    else:
        with Pool(processes) as pool:
            results = pool.map(work, paths, chunksize=32)
    print(json.dumps({"images": len(results)}))


if __name__ == "__main__":
    main()
