"""Makes the files of `files/` with FAISS and NumPy (pip install faiss-cpu numpy): one set of vectors in several kinds of index, the
labels of PaddleClas, and arrays."""
import os
import pickle

import faiss
import numpy as np

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "files")
COUNT = 40


def path(name):
    return os.path.join(FOLDER, name)


vectors = np.array([[i, i / 2, 2 * i, i % 7] for i in range(COUNT)], "float32")
ids = np.array([3 * i + 5 for i in range(COUNT)], "int64")
for name, kind in (("flat", "Flat"), ("hnsw", "HNSW4"), ("ivf", "IVF3,Flat")):
    index = faiss.IndexIDMap2(faiss.index_factory(4, kind, faiss.METRIC_L2))
    index.train(vectors)
    index.add_with_ids(vectors, ids)
    faiss.write_index(index, path(name + ".index"))

# as PaddleClas's build_gallery.py removes images: the numbers within the lists keep their gaps
index.remove_ids(ids[[0, 17, 39]])
faiss.write_index(index, path("ivf-removed.index"))
# images that are added afterwards get numbers that are taken already
index.add_with_ids(vectors[:1], ids[:1])
faiss.write_index(index, path("ivf-mixed.index"))
# without an IndexIDMap the lists have the ids themselves
index = faiss.index_factory(4, "IVF3,Flat", faiss.METRIC_L2)
index.train(vectors)
index.add_with_ids(vectors, ids)
faiss.write_index(index, path("ivf-alone.index"))

# as build_gallery.py keeps labels: the lines of its list by NumPy's numbers, in Python's default protocol
lines = {i: f"gallery/{i}.jpg\tgreen tea {i}" for i in list(ids)}
with open(path("lines.pkl"), "wb") as file:
    pickle.dump(lines, file, protocol=4)
with open(path("labels-2.pkl"), "wb") as file:
    pickle.dump({int(i): f"茶 {i}" for i in ids}, file, protocol=2)
with open(path("labels-5.pkl"), "wb") as file:
    pickle.dump({i: f"tea {i}" for i in list(ids.astype("int32"))}, file, protocol=5)

names = np.array(["a.jpg", "茶/b.jpg", "c.jpg"])
np.savez(path("shop.npz"), features=vectors[1:4], ids=names, labels=np.array([b"tea", b"tea", b"cup"]))
np.savez_compressed(path("numbered.npz"), embeddings=vectors[1:4].astype("float64"), id=np.array([7, -1, 2**62]))
np.savez(path("alone.npz"), vectors[1:4])
np.savez(path("two.npz"), vectors[1:4], names)
np.savez(path("objects.npz"), features=vectors[1:4], ids=np.array(["a", 7, None], dtype=object))
