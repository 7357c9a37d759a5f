"""Writes python_shuffles.tsv: what CPython's random.shuffle makes of range(n) after random.seed(seed).
usage: python3 make_python_shuffles.py > python_shuffles.tsv ; columns: seed, n, the shuffled numbers"""
import random

seeds = [0, 1, 2, 123, 2**31, 2**32 - 1, 2**32, 2**32 + 1, 10**18, 2**63, 2**64 - 1]
for seed in seeds:
    for n in (0, 1, 2, 3, 7, 16, 17, 100):
        random.seed(seed)
        numbers = list(range(n))
        random.shuffle(numbers)
        print(seed, n, ",".join(map(str, numbers)), sep="\t")
random.seed(42)
numbers = list(range(2000))
random.shuffle(numbers)
print(42, 2000, ",".join(map(str, numbers)), sep="\t")
