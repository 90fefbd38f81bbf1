#!/usr/bin/python3
"""random_trees.py - a model file of full random trees, in seconds and without training

    random_trees.py --trees N --depth N [--features N] MODEL.ubj

Every tree has all leaves of its depth. Its splits are among 255 numbers a feature, as those of a histogram, and every leaf can be reached. The format is
UBJSON (ubjson.org) with the members that XGBoost 1.7 writes.
"""
import argparse
from pathlib import Path

import numpy as np

CUTS = 255
ROOT_PARENT = 2**31 - 1


# UBJSON: lengths are int64, numbers are big-endian

def length(n):
    return b"L" + int(n).to_bytes(8, "big")


def text(value):
    raw = str(value).encode()
    return b"S" + length(len(raw)) + raw


def member(name, value):
    raw = name.encode()
    return length(len(raw)) + raw + value


def mapping(**members):
    return b"{" + b"".join(member(name, value) for name, value in members.items()) + b"}"


def texts(**members):
    return mapping(**{name: text(value) for name, value in members.items()})


def small(n):
    return b"i" + n.to_bytes(1, "big")


def whole(n):
    return b"l" + n.to_bytes(4, "big")


def sequence(values):
    return b"[#" + length(len(values)) + b"".join(values)


def array(kind, values):
    """kind: d float32, l int32, L int64, U uint8"""
    types = {"d": ">f4", "l": ">i4", "L": ">i8", "U": "u1"}
    return b"[$" + kind.encode() + b"#" + length(len(values)) + np.asarray(values).astype(types[kind]).tobytes()


# Trees: all of them level by level, node i with the children 2 i + 1 and 2 i + 2

def random_splits(random, n_trees, depth, n_features):
    """Features and numbers of all inner nodes, trees x nodes: each number lies between those that lead there."""
    features, conditions = [], []
    low = np.zeros((n_trees, 1, n_features), np.int16)
    high = np.full((n_trees, 1, n_features), CUTS + 1, np.int16)
    for _ in range(depth):
        feature = random.integers(n_features, size=low.shape[:2])
        at = feature[..., None]
        below, above = np.take_along_axis(low, at, 2), np.take_along_axis(high, at, 2)
        cut = below + 1 + (random.random(below.shape) * np.maximum(above - below - 1, 1)).astype(np.int16)
        features.append(feature)
        conditions.append(cut[..., 0] / (CUTS + 1))
        low, high = np.repeat(low, 2, axis=1), np.repeat(high, 2, axis=1)
        np.put_along_axis(high[:, 0::2], at, cut, 2)        # left: smaller
        np.put_along_axis(low[:, 1::2], at, cut, 2)
    return np.concatenate(features, axis=1), np.concatenate(conditions, axis=1)


def shape_of_trees(depth):
    """What all trees of a depth have in common."""
    n, inner = 2 ** (depth + 1) - 1, 2 ** depth - 1
    nodes = np.arange(n)
    parents = (nodes - 1) // 2
    parents[0] = ROOT_PARENT
    return n, inner, {
        "categories": array("l", []), "categories_nodes": array("l", []), "categories_segments": array("L", []), "categories_sizes": array("L", []),
        "left_children": array("l", np.where(nodes < inner, 2 * nodes + 1, -1)), "right_children": array("l", np.where(nodes < inner, 2 * nodes + 2, -1)),
        "parents": array("l", parents), "loss_changes": array("d", np.ones(n)), "sum_hessian": array("d", np.ones(n)),
        "base_weights": array("d", np.zeros(n)), "split_type": array("U", np.zeros(n))}


def trees(random, n_trees, depth, n_features):
    n, inner, common = shape_of_trees(depth)
    features, conditions = random_splits(random, n_trees, depth, n_features)
    for tree in range(n_trees):
        values = np.concatenate([conditions[tree], random.normal(size=n - inner) / n_trees])
        yield mapping(**common, id=whole(tree), default_left=array("U", random.integers(2, size=n) * (np.arange(n) < inner)),
                      split_indices=array("l", np.concatenate([features[tree], np.zeros(n - inner)])), split_conditions=array("d", values),
                      tree_param=texts(num_deleted=0, num_feature=n_features, num_nodes=n, size_leaf_vector=0))


def model(n_trees, depth, n_features):
    random = np.random.default_rng(1)
    forest = mapping(gbtree_model_param=texts(num_parallel_tree=1, num_trees=n_trees, size_leaf_vector=0),
                     tree_info=sequence([small(0)] * n_trees), trees=sequence(list(trees(random, n_trees, depth, n_features))))
    learner = mapping(attributes=mapping(), feature_names=sequence([]), feature_types=sequence([]), gradient_booster=mapping(model=forest, name=text("gbtree")),
                      learner_model_param=texts(base_score="5E-1", boost_from_average=1, num_class=0, num_feature=n_features, num_target=1),
                      objective=mapping(name=text("reg:squarederror"), reg_loss_param=texts(scale_pos_weight=1)))
    return mapping(learner=learner, version=sequence([small(1), small(7), small(4)]))


def main():
    parser = argparse.ArgumentParser(description="Write a model of full random trees.")
    parser.add_argument("--trees", type=int, required=True)
    parser.add_argument("--depth", type=int, required=True)
    parser.add_argument("--features", type=int, default=8)
    parser.add_argument("model_file", type=Path)
    options = parser.parse_args()
    options.model_file.write_bytes(model(options.trees, options.depth, options.features))


if __name__ == "__main__":
    main()
