"""All twins by their contract's name."""

from __future__ import annotations

from ddcai.models.heads.classifier import Classifier
from ddcai.models.heads.dense_perceptron import DensePerceptron
from ddcai.models.heads.naive_bayes import NaiveBayes
from ddcai.models.heads.nearest_centroid import NearestCentroid
from ddcai.models.heads.sparse_centroid import SparseNearestCentroid
from ddcai.models.heads.sparse_perceptron import SparsePerceptron

TWINS: dict[str, type[Classifier]] = {
    twin.kind: twin
    for twin in (
        DensePerceptron,
        SparsePerceptron,
        NaiveBayes,
        NearestCentroid,
        SparseNearestCentroid,
    )
}
