"""test_bench.py - futaie bench: what it prints, and whom it refuses; how fast anything is, is for make bench"""
import json
import re

import pytest

from lib import models, stack
from lib.models import CALIFORNIA

QUICK = ["--pairs", "2", "--rows", "64"]


def bench(*words, models_dir=models.SHIPPED):
    return stack.run_futaie("bench", "--models", models_dir, *words)


def figures(*words, **options):
    """What --json prints."""
    run = bench(*QUICK, "--json", *words, **options)
    assert run.returncode == 0 and run.stderr == "", run
    return json.loads(run.stdout)


def refusal(*words, status, **options):
    run = bench(*words, **options)
    assert run.returncode == status and run.stdout == "", run
    assert run.stderr.startswith("futaie bench: ") and run.stderr.count("\n") == 1, run.stderr
    return run.stderr


def test_table():
    """futaie bench prints lines for single rows and for blocks, predicted and explained, the instructions above, and no progress where nobody looks"""
    run = bench(*QUICK, CALIFORNIA)
    assert run.returncode == 0 and run.stderr == "", run
    assert re.search(r"^instructions for blocks: (portable|avx2|avx512) \(this processor has .*portable\)$", run.stdout, re.MULTILINE), run.stdout
    for what in ("predict, 1 row", "predict, 64 rows", "explain, 1 row", "explain, 16 rows"):
        assert re.search(rf"^{what} a call +[\d.]+ +[\d.]+ +[\d.]+ \([\d.]+-[\d.]+\)$", run.stdout, re.MULTILINE), run.stdout


def test_json():
    """bench --json has every pair, and medians that lie among them"""
    found = figures(f"{CALIFORNIA}@champion")
    assert (found["model"], found["version"], found["features"]) == (CALIFORNIA, "1", 8), found
    assert found["rows"] >= 4096 and found["trees"] > 100 and found["isa"] == found["isas"][0], found
    assert [measure["rows"] for measure in found["measures"]] == [1, 64], found
    assert [measure["rows"] for measure in found["explanations"]] == [1, 16], found
    for measure in found["measures"] + found["explanations"]:
        ratios = [pair["ratio"] for pair in measure["pairs"]]
        assert len(ratios) == 2, measure
        assert min(ratios) == measure["ratio_min"] <= measure["ratio"] <= measure["ratio_max"] == max(ratios), measure
        for pair in measure["pairs"]:
            assert pair["forest_us"] > 0 and pair["ratio"] == pytest.approx(pair["xgboost_us"] / pair["forest_us"], rel=1e-4), pair


def test_one_of_both():
    """bench --what measures predictions or explanations alone, and says nothing of the others"""
    for what, there, lacking in (("predict", "measures", "explanations"), ("explain", "explanations", "measures")):
        found = figures("--what", what, CALIFORNIA)
        assert (len(found[there]), found[lacking]) == (2, []), found


def test_instructions():
    """bench --isa takes every set that the processor has, and refuses the others with a sentence"""
    has = figures("--what", "predict", CALIFORNIA)["isas"]
    assert "portable" in has, has
    for isa in ("portable", "avx2", "avx512"):
        if isa in has:
            assert figures("--what", "predict", "--isa", isa, CALIFORNIA)["isa"] == isa
        else:
            assert isa in refusal("--isa", isa, CALIFORNIA, status=1)


def test_classes():
    """bench measures a model with several outputs and one with categories"""
    for name in ("multi-softprob", "reg-squarederror-categorical", "reg-squarederror-dart"):
        assert figures(f"{name}/1", models_dir=models.FIXTURES)["model"] == name


def test_only_xgboost():
    """bench of a model that only XGBoost can score says so"""
    assert "only XGBoost can score it" in refusal("reg-squarederror-gblinear/1", status=1, models_dir=models.FIXTURES)


@pytest.mark.parametrize("words, status", [
    ([], 2), ([CALIFORNIA, "more"], 2), (["--pairs", "0", CALIFORNIA], 2), (["--rows", "0", CALIFORNIA], 2), (["--rows", "100001", CALIFORNIA], 2),
    (["--isa", "sse", CALIFORNIA], 2), (["--what", "train", CALIFORNIA], 2), (["no/such/form"], 2), (["nobody"], 1), ([f"{CALIFORNIA}/99"], 1)])
def test_wrong_use(words, status):
    """bench without a model, with two, with numbers out of range or of a model that is not there is refused with one sentence"""
    refusal(*words, status=status)
