"""Scores, selections and masks, compared with the files of tdds-score bit by bit."""

from pathlib import Path

import numpy as np
import pytest
from conftest import EPOCHS, load, run

import tdds

STORE_METHODS = [m.name for m in tdds.methods() if "feature_norm" not in m.needs and m.name != "moderate"]


def test_methods_are_those_of_the_program() -> None:
    listed = run("tdds-score", "--list")
    names = [method.name for method in tdds.methods()]
    assert names[0] == "tdds" and len(set(names)) == len(names)
    for method in tdds.methods():
        assert method.name in listed and method.score in listed
    assert tdds.methods()[0].needs == ("kl",)


@pytest.mark.parametrize("method", STORE_METHODS)
def test_scores_have_the_bits_of_the_program(trained: Path, tmp_path: Path, method: str) -> None:
    run("tdds-score", "--dynamics_path", trained, "--mask_path", tmp_path, "--method", method,
        "--trajectory_len", 10, "--window_size", 5, "--method_window", 5)  # fmt: skip
    scores = tdds.score(trained, method, T=10, J=5)
    assert scores.dtype == np.float32 and scores.shape == (240,)
    stem = {"tdds": "win5_ep10", "tdds_kl": "tdds_kl_win5_ep10"}.get(method, method)
    ids, in_order = tdds.read_mask(tmp_path / f"data_mask_{stem}.npy")
    np.testing.assert_array_equal(scores[ids].view(np.int32), in_order.view(np.int32))
    tdds.write_mask(tmp_path / "again", scores, name=stem)
    for kind in ("data_mask", "score"):
        name = f"{kind}_{stem}.npy"
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / name).read_bytes()


def test_official_files_give_the_bits_of_the_program(trained: Path, tmp_path: Path) -> None:
    run("tdds-score", "--dynamics_path", trained / "npy", "--mask_path", tmp_path, "--trajectory_len", 10,
        "--window_size", 3)  # fmt: skip
    paths = tdds.write_mask(tmp_path / "again", tdds.score(trained / "npy", T=10, J=3), T=10, J=3)
    for path in map(Path, paths):
        assert path.read_bytes() == (tmp_path / path.name).read_bytes()
    with pytest.raises(tdds.Error, match="el2n needs the dynamics store"):
        tdds.score(trained / "npy", "el2n")


@pytest.mark.parametrize("how", ["top", "bottom", "balanced", "ccs", "beta"])
@pytest.mark.parametrize("prune", [0.3, 0.9])
def test_selections_are_those_of_the_program(trained: Path, tmp_path: Path, how: str, prune: float) -> None:
    run("tdds-score", "--dynamics_path", trained, "--mask_path", tmp_path, "--trajectory_len", 10,
        "--window_size", 5, "--subset_rate", prune, "--selection", how)  # fmt: skip
    scores = tdds.score(trained, T=10, J=5)
    kept = tdds.select(scores, prune, how, source=trained)
    assert kept.dtype == np.int64 and len(kept) == 240 - int(prune * 240)
    np.testing.assert_array_equal(kept, load(tmp_path / f"kept_tdds_win5_ep10_{how}_rate{prune}.npy"))


def test_selection_needs_no_source_for_the_highest() -> None:
    scores = np.array([3, 1, 2, 5, 4], np.float16)
    assert tdds.select(scores, prune=0.4).tolist() == [0, 3, 4]
    assert tdds.select([3.0, 1.0, 2.0], prune=0).tolist() == [0, 1, 2]


def test_seed_changes_the_draws(trained: Path) -> None:
    scores = tdds.score(trained, T=10, J=5)
    drawn = [tdds.select(scores, 0.5, "ccs", source=trained, seed=seed).tolist() for seed in (42, 1, 1)]
    assert drawn[0] != drawn[1] and drawn[1] == drawn[2]
    assert (tdds.score(trained, "random") == tdds.score(trained, "random", seed=42)).all()
    assert (tdds.score(trained, "random") != tdds.score(trained, "random", seed=1)).any()


def test_read_dynamics(trained: Path) -> None:
    run_ = tdds.read_dynamics(trained)
    assert (run_.samples, run_.epochs, run_.classes) == (240, EPOCHS, 10)
    assert run_.path.endswith("dynamics.tdds") and run_.dataset == "shapes" and run_.seed == 42
    assert list(run_) == ["kl", "true_kl", "loss", "log_other", "entropy", "el2n", "correct"]
    assert run_.labels is not None and run_.labels.dtype == np.int32 and run_.labels.shape == (240,)
    loss, correct = run_["loss"], run_["correct"]
    assert loss.shape == (EPOCHS, 240) and loss.dtype == np.float32 and not loss.flags.writeable
    assert correct.dtype == np.uint8 and "loss" in run_ and "feature_norm" not in run_
    assert (run_["kl"][0] == 0).all() and (run_["kl"][1:] > 0).all()
    for epoch in (0, EPOCHS - 1):
        order = load(trained / "npy" / f"{epoch}_Index.npy")
        np.testing.assert_array_equal(loss[epoch][order], load(trained / "npy" / f"{epoch}_Loss.npy"))
    with pytest.raises(KeyError, match="feature_norm was not recorded; the fields are kl, "):
        run_["feature_norm"]
    del run_
    assert np.isfinite(loss).all()  # the array keeps the file mapped


def test_labels_are_compared(trained: Path) -> None:
    labels = tdds.read_dynamics(trained).labels
    assert labels is not None
    np.testing.assert_array_equal(tdds.score(trained, "el2n", labels=labels), tdds.score(trained, "el2n"))
    with pytest.raises(tdds.UsageError, match="`labels` differ"):
        tdds.score(trained, "el2n", labels=(labels + 1) % 10)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"method": "nothing"}, "there is no method 'nothing'; choose from tdds, "),
        ({}, "`trajectory_len` is 90, but .* holds 12 epochs"),
        ({"T": 10, "J": 2}, "`window_size` is 2"),
        ({"T": 10, "decay": 2}, "`decay` is 2"),
        ({"method": "el2n", "epochs": 99}, "el2n was asked to use 99 epochs"),
        ({"missing": "ignore"}, "`missing` is 'ignore'"),
        ({"T": 10, "samples": 7}, "has 240 samples, but 7 were given"),
    ],
)
def test_bad_scores(trained: Path, arguments: dict, message: str) -> None:
    with pytest.raises(tdds.Error, match=message):
        tdds.score(trained, **arguments)


def test_bad_selections(trained: Path, tmp_path: Path) -> None:
    scores = np.arange(240, dtype=np.float32)
    for arguments, message in [
        ({"prune": 1.0}, "rate"),
        ({"prune": -0.1}, "rate"),
        ({"how": "best"}, "there is no selection 'best'; choose from top, "),
        ({"how": "ccs"}, "give `source`"),
        ({"how": "balanced", "source": trained / "npy"}, "holds official"),
        ({"how": "ccs", "source": trained, "ccs_strata": 0}, "`ccs_strata` is 0"),
        ({"how": "beta", "source": trained, "beta_c": -1.0}, "`beta_c` is -1"),
    ]:
        with pytest.raises(tdds.Error, match=message):
            tdds.select(scores, **arguments)
    with pytest.raises(ValueError, match="there are 3 scores, but"):
        tdds.select(scores[:3], source=trained)
    with pytest.raises(tdds.UsageError, match="`scores` is of type str; give an array"):
        tdds.select("scores")
    with pytest.raises(tdds.UsageError, match="`scores` has 2 dimensions; give 1"):
        tdds.select(scores.reshape(2, 120))
    with pytest.raises(tdds.UsageError, match="score of sample 1 is not finite"):
        tdds.write_mask(tmp_path, np.array([0, np.nan], np.float32))
    with pytest.raises(tdds.Error, match="does not exist"):
        tdds.score(tmp_path / "absent")


def test_bad_masks(tmp_path: Path) -> None:
    np.save(tmp_path / "data_mask_a.npy", np.array([0, 2, 2]))
    np.save(tmp_path / "score_a.npy", np.zeros(3, np.float32))
    with pytest.raises(tdds.Error, match="holds the sample id 2 twice and 1 not at all"):
        tdds.read_mask(tmp_path / "data_mask_a.npy")
    with pytest.raises(tdds.UsageError, match="give `score_path` too"):
        tdds.read_mask(tmp_path / "a.npy")
