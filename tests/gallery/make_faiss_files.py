"""Makes the index files of `files/` with FAISS (pip install faiss-cpu numpy): one set of vectors in three kinds of index."""
import os

import faiss
import numpy as np

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "files")
COUNT = 40

vectors = np.array([[i, i / 2, 2 * i, i % 7] for i in range(COUNT)], "float32")
ids = np.array([3 * i + 5 for i in range(COUNT)], "int64")
for name, kind in (("flat", "Flat"), ("hnsw", "HNSW4"), ("ivf", "IVF3,Flat")):
    index = faiss.IndexIDMap2(faiss.index_factory(4, kind, faiss.METRIC_L2))
    index.train(vectors)
    index.add_with_ids(vectors, ids)
    faiss.write_index(index, os.path.join(FOLDER, name + ".index"))
