#!/usr/bin/env bash
# sanitize.sh address|thread DIR: everything in user space under sanitizers: unit tests, the programs' tests, and the
# daemon itself on real traffic, with reloads. Root. Minutes; CI runs the fuzz targets (tests/sanitize/CMakeLists.txt).
set -euo pipefail
cd "$(dirname "$0")/../.."
kind=$1 dir=$2
tests/sanitize/build.sh "$kind" "$dir" unit_tests progrun_tests sluiced sluicectl slowlink plain_redirect udp_probe
export ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1
export TSAN_OPTIONS="suppressions=$PWD/tests/sanitize/tsan.supp second_deadlock_stack=1"
ctest --test-dir "$dir" -L 'unit|progrun' -E 'deploy|both_clangs' --output-on-failure
# A finding ends the daemon, which the tests of the lab see.
SLUICE_BUILD_DIR="$PWD/$dir" tests/lab/lab_test.py life reload watch
