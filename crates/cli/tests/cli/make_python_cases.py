"""Writes python_cases.json, the expected values in the tests of crates/cli/src/format, with real Python and numpy.

    python3 -m venv venv && venv/bin/pip install numpy && venv/bin/python crates/cli/tests/cli/make_python_cases.py
"""
import json
import pathlib
import random
import struct

import numpy as np

assert np.__version__ >= "2.4", "older numpy writes shape=(...) or large values otherwise"
random.seed(20)
np.set_printoptions(threshold=1, edgeitems=1)


def bits32(x):
    return f"{struct.unpack('<I', struct.pack('<f', x))[0]:08x}"


def bits64(x):
    return f"{struct.unpack('<Q', struct.pack('<d', x))[0]:016x}"


def array_case(length, first, last):
    a = np.full(length, 0.5, np.float32)
    a[-1] = last
    a[0] = first
    return [length, bits32(a[0]), bits32(a[-1]), repr(a)]


nan, inf = float("nan"), float("inf")
arrays = [array_case(512, -0.02117876522243023, 0.032308805733919144)]
special = [0.0, -0.0, 1.0, -1.0, 0.5, 0.25, -0.1, 1e-4, 9.9999e-5, 1e-5, 1.17549435e-38, 1.4e-45, 3.4028235e38, 1e8,
           99999992.0, 12345678.0, 0.001953125, 0.005859375, 0.0019531250931322575, 0.99999999, 0.999999995, 1000.0,
           1000.00006, 1001.0, 3.1415927, 123.456, nan, inf, -inf]
for x in special:
    arrays += [array_case(1, x, x), array_case(2, x, 0.5), array_case(512, x, -0.5), array_case(512, 0.5, x),
               array_case(3, x, x), array_case(1024, -x, x)]
arrays += [array_case(512, 1.0, 0.001), array_case(512, 1.0, 0.00099999), array_case(512, nan, 1e-5),
           array_case(512, -inf, 1e-5), array_case(512, nan, nan), array_case(512, -inf, nan),
           array_case(1024, -1.23456789e-05, 1.23456789e-05), array_case(512, -1.2345678e-05, 1.2345678e-05),
           array_case(100000, -1.2345678e-05, 1.2345678e-05), array_case(1024, -1.2345678e-30, 1.2345678e30)]
for _ in range(150):  # elements of a feature of length 1
    arrays.append(array_case(random.choice([512, 768, 1024, 3, 2]), random.gauss(0, 0.05), random.gauss(0, 0.05)))
for _ in range(60):  # few digits
    arrays.append(array_case(512, random.randrange(-2048, 2048) / 1024, round(random.uniform(-1, 1), random.randrange(1, 8))))
for _ in range(100):  # any float
    while True:
        pair = [struct.unpack("<f", struct.pack("<I", random.getrandbits(32)))[0] for _ in range(2)]
        if all(np.isfinite(pair)):
            break
    arrays.append(array_case(512, *pair))

floats = [0.0, -0.0, 1.0, -1.0, 1e16, 1e15, 9999999999999998.0, 123456789012345680.0, 1e22, 1e23, 1e-4, 9.999e-5, 1e-5,
          -1e-5, 1e-10, 1e-100, 1e100, 5e-324, 1.7976931348623157e308, 2.0**53, 0.1, 1 / 3, nan, inf, -inf,
          -0.02117876522243023]
floats += [k / 2**18 for k in range(16385, 26214, 501)]  # as near to the decimal below as to the one above
floats += [float(np.float32(random.gauss(0, 0.05))) for _ in range(60)]
floats += [float(np.float32(10.0 ** random.uniform(-12, 2))) for _ in range(60)]
while len(floats) < 220:
    x = struct.unpack("<d", struct.pack("<Q", random.getrandbits(64)))[0]
    if np.isfinite(x):
        floats.append(x)

strings = ["", "chelsea.png", "a b.png", "it's.png", 'say "x".png', "both ' and \".png", "back\\slash", "tab\tnew\nline\rend",
           "\x00\x01\x1f\x7f", "caf\u00e9.png", "cafe\u0301.png", "\u0301first", "\u65e5\u672c\u8a9e.jpg", "\U0001f600.png",
           "\u00a0nbsp", "\u00ad soft hyphen", "\u200bzero width", "\u2028line sep", "\ue000private", "\ufeffbom", "\U000e0001tag",
           "\u0378unassigned", "\U0010ffff", "\u3000wide", "\u0600", "\x80\x9f\xa1", "%41&<>", "\u202eright to left"]

here = pathlib.Path(__file__).parent
tables = {
    "numpy": np.__version__,
    "array": arrays,
    "float": [[bits64(x), repr(x), json.dumps(x)] for x in floats],
    "string": [[s, repr(s)] for s in strings],
}
with open(here / "python_cases.json", "w") as file:
    file.write("{\n")
    for index, (name, rows) in enumerate(tables.items()):
        body = json.dumps(rows) if isinstance(rows, str) else "[\n" + ",\n".join(json.dumps(r) for r in rows) + "\n]"
        file.write(f'"{name}": {body}{"," if index < len(tables) - 1 else ""}\n')
    file.write("}\n")
