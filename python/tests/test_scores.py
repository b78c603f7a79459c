"""Scores, selections and masks, compared with the files of tdds-score bit by bit."""

import json
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


def test_lines_of_the_documentation_read_a_recording(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (Path(__file__).parents[2] / "docs" / "pytorch_users.md").read_text()
    (code,) = [block for block in text.split("```python\n") if "np.memmap" in block]
    monkeypatch.chdir(trained)
    names = {"np": np, "json": json}
    exec(code.split("```")[0], names)
    np.testing.assert_array_equal(names["loss"], tdds.read_dynamics(trained)["loss"])


def test_a_recording_that_is_cut_anywhere(trained: Path, tmp_path: Path) -> None:
    """Whole epochs, or one sentence."""
    whole = (trained / "dynamics.tdds").read_bytes()
    run_ = tdds.read_dynamics(trained)
    path = tmp_path / "dynamics.tdds"
    seen = set()
    for length in [*range(0, 100), *range(100, len(whole), 997)]:
        path.write_bytes(whole[:length])
        try:
            cut = tdds.read_dynamics(path)
        except tdds.Error as error:
            assert "dynamics.tdds" in str(error) and "\n" not in str(error)
        else:
            seen.add(cut.epochs)
            np.testing.assert_array_equal(cut["kl"], run_["kl"][: cut.epochs])
    assert seen == set(range(EPOCHS))


def test_logits_as_sources(trained: Path) -> None:
    """Official files with labels, and logits, give every method that needs no features."""
    labels = tdds.read_dynamics(trained).labels
    logits = np.empty((EPOCHS, 240, 10), np.float32)
    for epoch in range(EPOCHS):
        logits[epoch, load(trained / "npy" / f"{epoch}_Index.npy")] = load(
            trained / "npy" / f"{epoch}_Output.npy"
        )
    for method in STORE_METHODS:
        expected = tdds.score(trained, method, T=10, J=5)
        given = {} if method in ("tdds", "tdds_kl", "entropy", "random") else {"labels": labels}
        np.testing.assert_array_equal(tdds.score(logits, method, T=10, J=5, **given), expected)
        np.testing.assert_array_equal(tdds.score(list(logits), method, T=10, J=5, labels=labels), expected)
        from_files = tdds.score(trained / "npy", method, T=10, J=5, labels=labels)
        if method == "tdds":  # in double precision, as tdds-score computes it
            np.testing.assert_array_equal(from_files, tdds.score(trained / "npy", T=10, J=5))
        else:
            np.testing.assert_array_equal(from_files, expected)
    scores = tdds.score(trained, T=10, J=5)
    for how in ("balanced", "ccs", "beta"):
        kept = tdds.select(scores, 0.5, how, source=trained)
        for source in (logits, trained / "npy"):
            again = tdds.select(scores, 0.5, how, source=source, labels=labels)
            np.testing.assert_array_equal(again, kept)
    for bad, message in [
        (logits[0], "`source` must be a path or logits"),
        ([], "`source` must be a path or logits"),
        ([logits[0], logits[1][:-1]], r"the logits of epoch 1 are \[239, 10\], but the first"),
        (logits.astype(np.float64), "`logits` must be float32, float16 or bfloat16"),
        (
            np.where(np.arange(240)[:, None] == 7, np.nan, logits[:3]).astype(np.float32),
            "a logit of sample 7",
        ),
    ]:
        with pytest.raises(tdds.UsageError, match=message):
            tdds.score(bad, "entropy")
    with pytest.raises(tdds.Error, match="el2n needs 'el2n', which `source` does not hold"):
        tdds.score(logits, "el2n")
    with pytest.raises(tdds.UsageError, match="there are 239 labels for 240 samples"):
        tdds.score(logits, "el2n", labels=labels[1:])


def test_incomplete_official_files_with_labels(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 20)
    for epoch in range(6):
        ids = rng.permutation(20)[: 20 - (epoch == 4)]
        np.save(tmp_path / f"{epoch:02}_Index.npy", ids)
        np.save(tmp_path / f"{epoch:02}_Output.npy", rng.normal(size=(len(ids), 3)).astype(np.float32))
    with pytest.raises(tdds.Error, match="1 of 20 samples were not visited in epoch 4 of .*; record every"):
        tdds.score(tmp_path, "aum", labels=labels)
    assert tdds.score(tmp_path, "aum", labels=labels, missing="carry").shape == (20,)
    np.save(tmp_path / "04_Index.npy", np.append(ids[:18], ids[0]))
    with pytest.raises(tdds.Error, match="04_Index.npy in .* has a sample twice"):
        tdds.score(tmp_path, "aum", labels=labels, missing="carry")
    np.save(tmp_path / "04_Index.npy", ids)
    with pytest.raises(tdds.Error, match="are not .N, K. and .N."):
        tdds.score(tmp_path, "aum", labels=labels, missing="carry")


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


def test_arguments_of_other_types(trained: Path, tmp_path: Path) -> None:
    scores = np.arange(240, dtype=np.float32)
    for call, message in [
        (lambda: tdds.score(trained, T="ten"), "`T` is 'ten'; give a whole number"),
        (lambda: tdds.score(trained, T=10, J=2.5), "`J` is 2.5; give a whole number"),
        (
            lambda: tdds.score(trained, T=1 << 40),
            "`T` is 1099511627776; give a whole number of less than 32 bits",
        ),
        (lambda: tdds.score(trained, "random", seed=-1), "`seed` is -1; give at least 0"),
        (lambda: tdds.score(trained, decay=None), "`decay` is None; give a number"),
        (lambda: tdds.select(scores, "most"), "`prune` is 'most'; give a number"),
        (lambda: tdds.Recorder(tmp_path / "a", 10.5, 3), "`samples` is 10.5; give a whole number"),
        (lambda: tdds.Recorder(tmp_path / "a", 10, 1 << 31), "`classes` is 2147483648; give a whole number"),
    ]:
        with pytest.raises(tdds.UsageError) as caught:
            call()
        assert str(caught.value).startswith(message)
    np.testing.assert_array_equal(
        tdds.score(trained, T=np.int64(10), J=np.uint8(5)), tdds.score(trained, T=10, J=5)
    )


def test_bad_masks(tmp_path: Path) -> None:
    np.save(tmp_path / "data_mask_a.npy", np.array([0, 2, 2]))
    np.save(tmp_path / "score_a.npy", np.zeros(3, np.float32))
    with pytest.raises(tdds.Error, match="holds the sample id 2 twice and 1 not at all"):
        tdds.read_mask(tmp_path / "data_mask_a.npy")
    with pytest.raises(tdds.UsageError, match="give `score_path` too"):
        tdds.read_mask(tmp_path / "a.npy")
