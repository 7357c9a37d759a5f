"""PaddleX's own interface: its lines run with ``image_feature`` in place of ``paddlex``.

>>> from image_feature import create_model
>>> import numpy as np
>>> model = create_model("tiny")            # or "PP-ShiTuV2_rec", which is downloaded the first time
>>> for res in model.predict(np.zeros((8, 8, 3), np.uint8), batch_size=1):
...     print(res["feature"].shape)
(512,)
"""

from .model import ImageFeaturePredictor, create_model
from .pipeline import IndexData, ShiTuPipeline, create_pipeline
from .result import ImageFeatureResult, ShiTuResult

__all__ = [
    "ImageFeaturePredictor",
    "ImageFeatureResult",
    "IndexData",
    "ShiTuPipeline",
    "ShiTuResult",
    "create_model",
    "create_pipeline",
]
