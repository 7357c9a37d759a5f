"""Writes down what OpenCV makes of image files and of resizes: opencv_decode.tsv and opencv_resize.tsv.

    pip install opencv-python-headless==4.10.0.84 numpy==2.2.6      (the version PaddleX asks for)
    python make_files.py && python opencv_reference.py
    pip install opencv-python-headless==4.13.0.90                   (reads GIF and animated WebP, too)
    python opencv_reference.py --fill

--fill adds the verdicts of another version on files that the first could not read, and names where both can read a file and differ.
"""

import hashlib
import os
import sys

import cv2
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
SHARED = os.path.join(HERE, "..", "..", "..", "shared")
ROOTS = {
    "files": os.path.join(HERE, "files"),
    "torture_images": os.path.join(SHARED, "data", "torture_images"),
    "inputs": os.path.join(SHARED, "golden", "features", "inputs"),
}
DECODE, RESIZE = os.path.join(HERE, "opencv_decode.tsv"), os.path.join(HERE, "opencv_resize.tsv")


def verdict(path):
    """Version, width, height and SHA-256 of the RGB pixels; or that it is an error."""
    try:
        image = cv2.imread(path, cv2.IMREAD_COLOR)
    except cv2.error:
        image = None
    if image is None:
        return ["error", "", "", ""]
    if image.ndim == 2:
        # of a gray PFM, OpenCV gives one channel even where it is asked for colours
        image = np.dstack([image] * 3)
    rgb = np.ascontiguousarray(image[:, :, ::-1])
    return [cv2.__version__, str(rgb.shape[1]), str(rgb.shape[0]), hashlib.sha256(rgb.tobytes()).hexdigest()]


def decode_table():
    rows = []
    for name, root in ROOTS.items():
        for folder, _, files in os.walk(root):
            for file in files:
                path = os.path.join(folder, file)
                rows.append([name + "/" + os.path.relpath(path, root).replace(os.sep, "/"), *verdict(path)])
    return sorted(rows)


def fill(rows):
    for row in rows:
        name, rest = row[0].split("/", 1)
        other = verdict(os.path.join(ROOTS[name], rest))
        if other[0] == "error":
            continue
        if row[1] == "error":
            row[1:] = other
        elif row[2:] != other[1:]:
            print(f"{row[0]}: OpenCV {cv2.__version__} differs from {row[1]}: {other[0]}", file=sys.stderr)
    return rows


def formula(width, height):
    """Pixels that a test can make again: no file is needed."""
    y, x, c = np.mgrid[0:height, 0:width, 0:3].astype(np.uint32)
    h = x * np.uint32(2654435761) + y * np.uint32(40503) + c * np.uint32(97)
    h = (h ^ (h >> 15)) * np.uint32(2246822519)
    return (h >> 24).astype(np.uint8)


def resize_table():
    sizes = [(1, 1, 5, 4), (1, 7, 224, 224), (7, 1, 224, 224), (2, 2, 1, 1), (3, 2, 3, 2), (5, 5, 5, 9), (224, 224, 224, 224), (640, 480, 224, 224),
             (224, 224, 640, 480), (3, 3000, 224, 224), (3000, 3, 224, 224), (448, 448, 224, 224), (1000, 700, 1, 1), (225, 223, 224, 224)]
    rng = np.random.default_rng(7)
    sizes += [tuple(int(v) for v in np.exp(rng.uniform(0, 6, 4)).astype(int)) for _ in range(200)]
    rows = []
    for width, height, to_width, to_height in sizes:
        out = cv2.resize(formula(width, height), (to_width, to_height), interpolation=cv2.INTER_LINEAR)
        rows.append([str(v) for v in (width, height, to_width, to_height)] + [hashlib.sha256(out.tobytes()).hexdigest()])
    return rows


def write(path, header, rows):
    with open(path, "w") as f:
        f.writelines("\t".join(row) + "\n" for row in [header, *rows])


if __name__ == "__main__":
    decode_header = ["path", "opencv", "width", "height", "sha256"]
    if sys.argv[1:] == ["--fill"]:
        with open(DECODE) as f:
            known = [line.rstrip("\n").split("\t") for line in f][1:]
        write(DECODE, decode_header, fill(known))
        with open(RESIZE) as f:
            if [line.rstrip("\n").split("\t") for line in f][1:] != resize_table():
                print(f"OpenCV {cv2.__version__} resizes differently", file=sys.stderr)
    else:
        write(DECODE, decode_header, decode_table())
        write(RESIZE, ["width", "height", "to_width", "to_height", "sha256"], resize_table())
