#!/usr/bin/env bash
# build.sh KIND DIR [TARGET...]: a build of the tree under a sanitizer. KIND: address (with UBSan, and the fuzz targets) or
# thread. clang: it has libFuzzer. Default target: the unit tests, and the fuzz targets with `address`.
set -euo pipefail
cd "$(dirname "$0")/../.."
kind=$1 dir=$2
shift 2
case "$kind" in
address) sanitizers=address,undefined,fuzzer targets=(unit_tests fuzz_targets) ;;
thread) sanitizers=thread targets=(unit_tests) ;;
*) echo "build.sh: no such kind: $kind" >&2 && exit 2 ;;
esac
[ $# -eq 0 ] || targets=("$@")
launcher=()
if command -v ccache >/dev/null; then
    launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
fi
mkdir -p "$dir"
cmake -S . -B "$dir" -G Ninja -DCMAKE_C_COMPILER=clang-19 -DCMAKE_CXX_COMPILER=clang++-19 \
    -DCMAKE_BUILD_TYPE=RelWithDebInfo -DSLUICE_SANITIZE="$sanitizers" "${launcher[@]}" >"$dir/cmake.log" 2>&1 || {
    cat "$dir/cmake.log" >&2
    exit 1
}
# Warnings are the business of the other build.
ninja -C "$dir" --quiet "${targets[@]}" >"$dir/ninja.log" 2>&1 || { cat "$dir/ninja.log" >&2; exit 1; }
