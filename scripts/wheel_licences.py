#!/usr/bin/env python3
"""Adds to a wheel the licences of the libraries that auditwheel copied into it, and of those that are compiled in.

python scripts/wheel_licences.py BUILT REPAIRED     BUILT: the wheel before `auditwheel repair`; REPAIRED is replaced

They are Debian's copyright files, in <dist-info>/licenses/third_party/<package>.txt, with the full texts to which these
refer. scripts/wheel.sh runs it in an environment with the packages wheel and nanobind.
"""

import importlib.metadata
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

# Debian's packages that are compiled into the programs and the module, beside nanobind.
HEADERS = ["libcli11-dev", "nlohmann-json3-dev", "libstb-dev"]
COMMON = pathlib.Path("/usr/share/common-licenses")


def output_of(*command):
    return subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE, text=True).stdout


def unpacked(wheel, folder):
    output_of(sys.executable, "-m", "wheel", "unpack", "--dest", folder, wheel)
    return next(pathlib.Path(folder).iterdir())


def libraries_of(built):
    """{file name: path on this system} of all libraries that the wheel's programs and module load."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for path in unpacked(built, folder).rglob("*"):
            if path.is_file() and path.open("rb").read(4) == b"\x7fELF":
                found |= dict(re.findall(r"(\S+) => (/\S+)", output_of("ldd", path)))
    return found


def package_of(path):
    # The path in the package may lack /usr, into which Debian has merged /lib.
    for name in {str(pathlib.Path(path).resolve()), path, path.removeprefix("/usr")}:
        done = subprocess.run(["dpkg-query", "--search", name], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        if done.returncode == 0:
            return done.stdout.split(":")[0]
    raise SystemExit(f"wheel_licences.py: no package has {path}, so its licence is unknown; install it from Debian")


def nanobind_licence():
    """That of nanobind, and that of the hash map in it, which is the first comment of its header."""
    files = importlib.metadata.files("nanobind")
    licence = next(path for path in files if path.name == "LICENSE").read_text()
    header = next(path for path in files if path.name == "robin_map.h").read_text()
    return f"{licence}\nnanobind contains robin_map:\n\n{header[:header.index('*/')]}*/\n"


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    built, repaired = map(pathlib.Path, sys.argv[1:])
    libraries = libraries_of(built)
    with tempfile.TemporaryDirectory() as folder:
        root = unpacked(repaired, folder)
        # auditwheel adds a hash: libfmt-0123abcd.so.9.1.0
        copied = [re.sub(r"-[0-9a-f]{8}\.", ".", path.name, count=1) for path in root.glob("*.libs/*")]
        packages = {package_of(path) for name, path in libraries.items() if copied_as(name, copied)}
        licences = next(root.glob("*.dist-info")) / "licenses" / "third_party"
        licences.mkdir(parents=True)
        for package in [*sorted(packages), *HEADERS]:
            shutil.copy(f"/usr/share/doc/{package}/copyright", licences / f"{package}.txt")
        (licences / "nanobind.txt").write_text(nanobind_licence())
        texts = "".join(path.read_text(errors="replace") for path in licences.iterdir())
        for name in sorted({name.rstrip(".") for name in re.findall(rf"{COMMON}/([\w.+-]+)", texts)}):
            if (COMMON / name).exists():
                shutil.copy(COMMON / name, licences / name)
        missing = [name for name in copied if not any(copied_as(library, [name]) for library in libraries)]
        if missing:
            sys.exit(f"wheel_licences.py: where these come from is unknown: {', '.join(missing)}")
        output_of(sys.executable, "-m", "wheel", "pack", "--dest-dir", repaired.parent, root)
    print(f"{repaired.name} has {len(copied)} libraries of {len(packages)} packages, with their licences")


def copied_as(library, copied):
    """Whether a library, by its soname, is among the copied files, whose names may have the whole version."""
    stem = library.split(".so")[0]
    return any(name.split(".so")[0] == stem for name in copied)


if __name__ == "__main__":
    main()
