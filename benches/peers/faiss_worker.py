"""FAISS as a contender: faiss_worker.py VECTORS DIMENSION COUNT QUERIES THREADS."""

import sys

import faiss
import numpy

from worker import serve

K = 10


def main():
    path, dimension, count, queries, threads = sys.argv[1], *map(int, sys.argv[2:6])
    faiss.omp_set_num_threads(threads)
    vectors = numpy.fromfile(path, dtype="<f4", count=(count + queries) * dimension).reshape(-1, dimension)
    index = faiss.IndexFlatIP(dimension)
    index.add(vectors[:count])
    asked = vectors[count:].copy()
    del vectors

    def search():
        return index.search(asked, K)[1]

    search()
    serve({"version": faiss.__version__, "threads": faiss.omp_get_max_threads()}, search)


main()
