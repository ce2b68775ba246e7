"""Models on chain, in integers: each the Python twin of a contract, bit for bit.

`Head` is the final layer that a federation writes (`contracts/src/PerceptronHead.sol`). The
others learn on chain (`contracts/src/classifiers`); `TWINS` has them by the contract's name.
`TeachableHead` is both: to whoever asks or teaches it, a `DensePerceptron`.
"""

from ddcai.models.heads.classifier import Classifier, classifier_digest
from ddcai.models.heads.dense_perceptron import DensePerceptron
from ddcai.models.heads.fixed_log import log2_fixed
from ddcai.models.heads.naive_bayes import NaiveBayes
from ddcai.models.heads.nearest_centroid import NearestCentroid
from ddcai.models.heads.perceptron_head import (
    FEATURE_SCALE,
    MAX_DIMENSIONS,
    Head,
    features,
    features_of,
    head_of,
    head_of_module,
    word_count,
)
from ddcai.models.heads.sparse_centroid import SparseNearestCentroid
from ddcai.models.heads.sparse_perceptron import SparsePerceptron
from ddcai.models.heads.teachable_head import TeachableHead
from ddcai.models.heads.twins import TWINS

__all__ = [
    "Classifier",
    "DensePerceptron",
    "FEATURE_SCALE",
    "Head",
    "MAX_DIMENSIONS",
    "NaiveBayes",
    "NearestCentroid",
    "SparseNearestCentroid",
    "SparsePerceptron",
    "TWINS",
    "TeachableHead",
    "classifier_digest",
    "features",
    "features_of",
    "head_of",
    "head_of_module",
    "log2_fixed",
    "word_count",
]
