"""Image feature vectors and private visual search: PaddleX's image feature module, without Paddle.

>>> import numpy as np
>>> from image_feature import FeatureExtractor, Gallery
>>> extractor = FeatureExtractor.load("tiny")
>>> red, blue = (np.full((32, 32, 3), colour, np.uint8) for colour in ((200, 30, 30), (30, 30, 200)))
>>> gallery = Gallery.for_extractor(extractor)
>>> gallery.extend(["red", "blue"], extractor.embed_batch([red, blue]))
>>> gallery.search(extractor.embed(red), k=1)[0].id
'red'

- :class:`FeatureExtractor` makes features of images, :class:`Gallery` keeps and searches them.
- :class:`Dataset` checks, mends, divides and converts data sets; :func:`evaluate` measures on them; :func:`fine_tune` learns from them.
- :func:`create_model` and :func:`create_pipeline` are PaddleX's own interface.
- ``python -m image_feature`` is the program ``image-feature``.
"""

from ._native import __version__
from .dataset import Dataset, Finding, Fixed, Report, Sizes
from .errors import (
    CancelledError,
    DamagedImageWarning,
    DecodeError,
    DeviceError,
    GalleryError,
    ImageFeatureError,
    InternalError,
    IoError,
    LimitError,
    ModelError,
    UnsupportedError,
    UsageError,
)
from .evaluation import Evaluation, evaluate
from .extractor import ExtractorInfo, FeatureExtractor
from .gallery import Duplicate, Entry, Gallery, Hit, Hits
from .paddlex import create_model, create_pipeline
from .tuning import Tuned, fine_tune

__all__ = [
    "CancelledError",
    "DamagedImageWarning",
    "Dataset",
    "DecodeError",
    "DeviceError",
    "Duplicate",
    "Entry",
    "Evaluation",
    "ExtractorInfo",
    "FeatureExtractor",
    "Finding",
    "Fixed",
    "Gallery",
    "GalleryError",
    "Hit",
    "Hits",
    "ImageFeatureError",
    "InternalError",
    "IoError",
    "LimitError",
    "ModelError",
    "Report",
    "Sizes",
    "Tuned",
    "UnsupportedError",
    "UsageError",
    "__version__",
    "create_model",
    "create_pipeline",
    "evaluate",
    "fine_tune",
]
