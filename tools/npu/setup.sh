#!/bin/sh
# Fetch and build what is needed to compile for Intel NPUs on a Linux machine that has none. Debian or Ubuntu, as root.
#
#   tools/npu/setup.sh [DIR]     DIR: tools/npu/.built by default, or $OCCVINO_NPU_TOOLS
#
# PYTHON: the interpreter whose pip fetches the wheel. OPENVINO_VERSION: of the Windows wheel.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
built=${1:-${OCCVINO_NPU_TOOLS:-$here/.built}}
python=${PYTHON:-python3}
version=${OPENVINO_VERSION:-2026.4.1}
if [ -f "$built/ready" ] && [ "$(cat "$built/ready")" = "$version" ]; then
    echo "ready: $built"
    exit 0
fi
wine=$(command -v wine64 || ls /usr/lib/wine/wine64 2>/dev/null || true)
if [ -z "$wine" ] || ! command -v x86_64-w64-mingw32-gcc >/dev/null; then
    apt-get update -q
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends wine64 gcc-mingw-w64-x86-64
    wine=$(command -v wine64 || echo /usr/lib/wine/wine64)
fi

# The Windows wheel: pip checks its hash; nothing of it is installed, changed, or kept but these libraries.
rm -f "$built/ready"
mkdir -p "$built/bin"
"$python" -m pip download -q --disable-pip-version-check --platform win_amd64 --only-binary=:all: --no-deps \
    --python-version 3.11 -d "$built/wheel" "openvino==$version"
"$python" - "$built/wheel" "$built/bin" "$version" <<'PY'
import pathlib, sys, zipfile
wheels, target, version = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
names = ["openvino", "openvino_c", "openvino_ir_frontend", "openvino_intel_npu_plugin",
         "openvino_intel_npu_compiler", "openvino_intel_npu_compiler_loader", "tbb12"]
with zipfile.ZipFile(next(wheels.glob(f"openvino-{version}-*-win_amd64.whl"))) as wheel:
    for name in names:
        (target / f"{name}.dll").write_bytes(wheel.read(f"openvino/libs/{name}.dll"))
PY
rm -r "$built/wheel"
x86_64-w64-mingw32-gcc -O1 -Wall -Werror -o "$built/bin/npuc.exe" "$here/npuc.c" -lpsapi
WINEPREFIX="$built/prefix" WINEARCH=win64 WINEDEBUG=-all "$wine" wineboot -i
echo "$version" > "$built/ready"
echo "ready: $built"
