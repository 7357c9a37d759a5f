"""Writes orientation.tsv: by format, place and form of the EXIF data, whether OpenCV turns the image.

    pip install opencv-python-headless==4.10.0.84 numpy==2.2.6     (the version PaddleX asks for)
    python orientation_reference.py                                (after make_files.py)
    pip install opencv-python-headless==5.0.0.93
    python orientation_reference.py --beside                       (adds what this version does)

The files are files/turned_*. Each holds the same pixels, which an orientation of 6 makes higher than wide.
"""

import glob
import os
import sys

import cv2

HERE = os.path.dirname(os.path.abspath(__file__))
TABLE = os.path.join(HERE, "orientation.tsv")


def turns(path):
    image = cv2.imread(path, cv2.IMREAD_COLOR)
    if image is None:
        return "error"
    height, width = image.shape[:2]
    upright = cv2.imread(path, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    return "6" if height > width else "1" if (image == upright).all() else "3" if (image == upright[::-1, ::-1]).all() else "other"


if __name__ == "__main__":
    beside = sys.argv[1:] == ["--beside"]
    known = []
    if beside:
        with open(TABLE) as f:
            known = [line.rstrip("\n").split("\t") for line in f]
    rows = [["file", f"OpenCV {cv2.__version__}"]]
    rows += [[os.path.basename(path), turns(path)] for path in sorted(glob.glob(os.path.join(HERE, "files", "turned_*")))]
    if beside:
        rows = [old + new[1:] for old, new in zip(known, rows)]
    with open(TABLE, "w") as f:
        f.writelines("\t".join(row) + "\n" for row in rows)
