#!/bin/sh
# Makes the fonts anew: `sh make.sh FOLDER`, where FOLDER holds Noto's own files (Debian:
# `apt-get download fonts-noto-core`, unpacked with `dpkg -x`). Needs fontTools (`make dev`).
# Of Noto Sans the characters of European languages are kept, of the other scripts everything;
# hinting is dropped. `coverage.txt` lists what can be printed.
set -eu
cd "$(dirname "$0")"
python=../../../.venv/bin/python
european=U+0020-007E,U+00A0-024F,U+0259,U+02B0-02FF,U+0300-036F,U+0370-03FF,U+0400-052F
european=$european,U+1E00-1FFF,U+2000-206F,U+2070-20BF,U+2100-218F,U+2190-2193,U+2212,U+2215
european=$european,U+2219-221A,U+221E,U+2248,U+2260,U+2264-2265,U+25CC,U+FB00-FB06,U+FFFD
for script in '' Arabic Bengali Devanagari Hebrew; do
    kept='*'
    [ -n "$script" ] || kept=$european
    for weight in Regular Bold; do
        $python -m fontTools.subset "$1/NotoSans$script-$weight.ttf" --unicodes="$kept" \
            --layout-features='*' --name-IDs='*' --no-hinting --notdef-outline \
            --output-file="NotoSans$script-$weight.ttf"
    done
done
$python - <<'PYTHON'
from pathlib import Path
from fontTools.ttLib import TTFont

points = sorted({p for f in Path().glob("*-Regular.ttf") for p in TTFont(f).getBestCmap()})
starts = [p for p in points if p - 1 not in set(points)]
ends = [p for p in points if p + 1 not in set(points)]
lines = [f"{a:04X}-{b:04X}\n" for a, b in zip(starts, ends, strict=True)]
Path("coverage.txt").write_text("".join(lines))
PYTHON
