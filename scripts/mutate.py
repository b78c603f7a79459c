#!/usr/bin/env python3
"""Mutation testing: introduces one mistake at a time into the sources and lists those that no test detects.

    scripts/mutate.py [--count 60] [--seed 1] [--folder engine ...] [--only REGEX] [--json FILE]

A mistake changes one operator, bound, constant or condition of a .cpp or .cu file. For each, the test programs of the
file's folder (engine_test, kernels_test, ...) are built and run; a mistake that does not compile is replaced by another.
The script works on a copy under build/mutate and takes a minute or two per mistake on two cores. A surviving mistake is a
gap in the tests or a change without effect; a person must decide which. Ctrl-C stops and prints the results so far.
"""
import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "build" / "mutate"
PROGRAMS = {"engine": ["engine_test"], "kernels": ["kernels_test", "simt_counted_test"], "tdds": ["tdds_test"], "nets": ["nets_test"]}
TIMEOUT = 900  # seconds for a test program; an endless loop counts as detected
# Sources that need a GPU or a toolkit are not compiled here. Reports of ptxas are tested with the program that prints them.
NOT_TESTED = re.compile(r"^kernels/(cuda|backends/(no_)?cuda\.cpp|gpu/sort\.cu|planning/ptxas_report)")

SWAPS = {
    " < ": " <= ", " <= ": " < ", " > ": " >= ", " >= ": " > ", " == ": " != ", " != ": " == ",
    " + ": " - ", " - ": " + ", " * ": " / ", " / ": " * ", " += ": " -= ", " -= ": " += ",
    " && ": " || ", " || ": " && ", " + 1": "", " - 1": "", "std::min": "std::max", "std::max": "std::min",
    "std::floor": "std::ceil", "std::ceil": "std::floor", "double ": "float ", "++": "--",
}  # fmt: skip
SWAP = re.compile("|".join(re.escape(old) for old in sorted(SWAPS, key=len, reverse=True)))
NUMBER = re.compile(r"(?<![\w.'])(\d)(?![\w.'])")  # larger numbers are mostly sizes with no effect on results
CONDITION = re.compile(r"\bif \(")


def masked(text: str) -> str:
    """The text with comments, strings and preprocessor lines blanked, position by position."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])\'|^[ \t]*#[^\n]*', re.S | re.M)
    return pattern.sub(lambda m: re.sub(r"[^\n]", "\x00", m.group()), text)


def closing(text: str, opening: int) -> int:
    """The position of the parenthesis that closes the one at `opening`."""
    depth = 0
    for at in range(opening, len(text)):
        depth += (text[at] == "(") - (text[at] == ")")
        if depth == 0:
            return at
    raise ValueError("no closing parenthesis")


def mistakes(path: str):
    """All (path, begin, end, replacement) of a file."""
    text = (ROOT / path).read_text()
    code = masked(text)
    for m in SWAP.finditer(code):
        yield path, m.start(), m.end(), SWAPS[m.group()]
    for m in NUMBER.finditer(code):
        yield path, m.start(), m.end(), str(int(m.group(1)) + 1)
    for m in CONDITION.finditer(code):
        begin = m.end() - 1
        end = closing(code, begin) + 1
        if ";" not in code[begin:end]:  # a condition with a declaration cannot simply be negated
            yield path, begin, end, f"(!{text[begin:end]})"


def run(command, timeout=None) -> bool:
    with open(WORK / "log.txt", "w") as log:
        try:
            return subprocess.run(command, stdout=log, stderr=log, timeout=timeout).returncode == 0
        except subprocess.TimeoutExpired:
            return False


def build(folder: str) -> bool:
    return run(["cmake", "--build", str(WORK / "build"), "--target", *PROGRAMS[folder]])


def tests_pass(folder: str, *flags: str) -> bool:
    tests = WORK / "build" / "tests"
    return all(run([str(tests / program), "--gtest_brief=1", *flags], TIMEOUT) for program in PROGRAMS[folder])


def suites_of(path: str) -> str:
    """A --gtest_filter of the suites in the test file that mirrors a source, such as batchnorm_test.cpp for
    batchnorm_backward.cu; empty if there is none."""
    folder, words = path.split("/")[0], Path(path).stem.split("_")
    while words:
        files = list((ROOT / "tests" / folder).rglob(f"{'_'.join(words)}_test.cpp"))
        names = {n for f in files for n in re.findall(r"^(?:TYPED_)?TEST(?:_[FP])?\((\w+),", f.read_text(), re.M)}
        if names:
            return ":".join(sorted(f"*{name}.*:*{name}/*" for name in names))
        words.pop()
    return ""


def passes(path: str) -> bool:
    """Whether the tests pass with the mistake in `path`: its own suites, which find most mistakes in seconds, then all."""
    folder, own = path.split("/")[0], suites_of(path)
    return (not own or tests_pass(folder, "--gtest_fail_fast", f"--gtest_filter={own}")) and tests_pass(
        folder, "--gtest_fail_fast"
    )


def prepare(folders) -> None:
    source = WORK / "source"
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in tracked.stdout.split("\0"):
        if not name or not (ROOT / name).is_file():
            continue
        to = source / name
        if not to.exists() or to.read_bytes() != (ROOT / name).read_bytes():
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, to)
    flags = ["-DCMAKE_BUILD_TYPE=Release", "-DTDDS_CUDA=OFF", "-DTDDS_BENCH=OFF", "-DTDDS_WERROR=ON"]
    if not run(["cmake", "-G", "Ninja", "-S", str(source), "-B", str(WORK / "build"), *flags]):
        sys.exit(f"mutate.py: the copy cannot be configured; see {WORK / 'log.txt'}")
    for folder in folders:
        if not build(folder):
            sys.exit(f"mutate.py: the tests of {folder} cannot be built; see {WORK / 'log.txt'}")
        if not tests_pass(folder):
            sys.exit(f"mutate.py: the tests of {folder} fail without any mistake; see {WORK / 'log.txt'}")


def try_mistake(path, begin, end, replacement):
    """True: detected. False: survived. None: does not compile."""
    text = (ROOT / path).read_text()
    folder = path.split("/")[0]
    copy = WORK / "source" / path
    copy.write_text(text[:begin] + replacement + text[end:])
    try:
        if not build(folder):
            return None
        return not passes(path)
    finally:
        copy.write_text(text)


def described(path, begin, end, replacement) -> dict:
    text = (ROOT / path).read_text()
    line = text.count("\n", 0, begin) + 1
    changed = text[:begin] + replacement + text[end:]
    return {
        "place": f"{path}:{line}",
        "was": text.splitlines()[line - 1].strip(),
        "became": changed.splitlines()[line - 1].strip(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", nargs="+", default=list(PROGRAMS), choices=list(PROGRAMS))
    parser.add_argument("--only", default="", help="a regular expression that the path must match")
    parser.add_argument("--json", help="write the survivors and the counts here")
    options = parser.parse_args()

    os.environ["OMP_WAIT_POLICY"] = "passive"
    os.chdir(ROOT)
    tracked = subprocess.run(["git", "ls-files", *options.folder], capture_output=True, text=True, check=True)
    paths = [p for p in tracked.stdout.split() if p.endswith((".cpp", ".cu")) and not NOT_TESTED.match(p)]
    candidates = [m for p in paths if re.search(options.only, p) for m in mistakes(p)]
    random.Random(options.seed).shuffle(candidates)
    WORK.mkdir(parents=True, exist_ok=True)
    prepare(sorted({m[0].split("/")[0] for m in candidates}))

    tried, survivors = 0, []
    try:
        for mistake in candidates:
            if tried == options.count:
                break
            noticed = try_mistake(*mistake)
            if noticed is None:
                continue
            tried += 1
            what = described(*mistake)
            if not noticed:
                survivors.append(what)
            print(f"{tried:3} {'detected' if noticed else 'SURVIVED'} {what['place']}: {what['was']}  ->  {what['became']}", flush=True)
    except KeyboardInterrupt:
        print("stopped")
    share = 100 * (tried - len(survivors)) / tried if tried else 0
    print(f"{tried - len(survivors)} of {tried} mistakes were detected, {share:.0f} %")
    if options.json:
        result = {"seed": options.seed, "tried": tried, "noticed": tried - len(survivors), "survivors": survivors}
        Path(options.json).write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
