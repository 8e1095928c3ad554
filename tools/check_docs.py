#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""check_docs.py CLEAVE [MARKDOWN ...]: run every `$ command` of the ```console blocks, in order, file by file.

Commands that start with `cleave` (or, where there is MPI, with `mpirun`) run in an empty folder where `examples` is the project's and `data` is ../shared/data; without that folder
those that name it are skipped and counted, as are those that need ONNX Runtime (`bench --against`) where build/python lacks it. `make`, `cmake`, `ctest` and what needs a fresh machine is what CI itself does and is not run again here. A
command that must fail says so: `# exit 5`. Exit 1 when one ends otherwise; 77 when nothing could be run."""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data"
PYTHON = ROOT / "build" / "python" / "bin" / "python"

# More ranks than cores, perhaps as root in a container: what Open MPI asks to be told.
MPI = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_rmaps_base_oversubscribe": "1"}


def module_of(cleave):
    """Where the build put what runs under mpirun."""
    return cleave.parent.parent / "src" / "libcleave-mpi.so"


def commands(path):
    inside = False
    pending = ""
    for line in path.read_text().splitlines():
        if line.startswith("```"):
            inside = line.strip() == "```console"
            continue
        if not inside:
            continue
        if pending or line.startswith("$ "):
            text = (pending + " " if pending else "") + (line[2:] if line.startswith("$ ") else line.strip())
            if text.endswith("\\"):
                pending = text[:-1].rstrip()
            else:
                pending = ""
                yield text


def main():
    cleave = pathlib.Path(sys.argv[1]).resolve()
    files = [pathlib.Path(p) for p in sys.argv[2:]] or [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    ran = skipped = failed = 0
    for path in files:
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "examples").symlink_to(ROOT / "examples")
            if DATA.exists():
                (pathlib.Path(folder) / "data").symlink_to(DATA)
            for text in commands(path):
                if not text.startswith(("cleave ", "mpirun ")):
                    continue
                if text.startswith("mpirun ") and not (shutil.which("mpirun") and module_of(cleave).exists()):
                    print(f"skipped (no MPI): {text}")
                    skipped += 1
                    continue
                if "data/" in text and not DATA.exists():
                    print(f"skipped (no ../shared/data): {text}")
                    skipped += 1
                    continue
                if text.startswith("cleave bench") and "--against" in text and not PYTHON.exists():
                    print(f"skipped (no {PYTHON.relative_to(ROOT)}): {text}")
                    skipped += 1
                    continue
                match = re.search(r"#\s*exit\s+(\d+)\s*$", text)
                expected = int(match.group(1)) if match else 0
                done = subprocess.run(["bash", "-c", text], cwd=folder, capture_output=True, text=True,
                                      env={"PATH": f"{cleave.parent}:/usr/bin:/bin", "HOME": folder, **MPI,
                                           "CLEAVE_PYTHON": str(PYTHON)})
                ran += 1
                if done.returncode != expected:
                    failed += 1
                    print(f"{path.name}: `{text}` ended with {done.returncode}, {expected} was expected\n{done.stderr[-2000:]}")
    print(f"{ran} commands run, {skipped} skipped, {failed} failed")
    return 1 if failed else 77 if not ran else 0


sys.exit(main())
