#!/usr/bin/env bash
# Both BPF objects compile with clang 14 and 19 and pass the verifier of this kernel. Root; leaves nothing behind.
set -euo pipefail
cd "$(dirname "$0")/../.."
[ -n "${SLUICE_PRIVATE_MOUNTS:-}" ] || SLUICE_PRIVATE_MOUNTS=1 exec unshare --mount "$0"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/bpffs"
mount -t bpf bpf "$work/bpffs"
for clang in clang-14 clang-19; do
    for side in ingress egress; do
        "$clang" -g -O2 -target bpf -mcpu=v3 -std=gnu17 -Wall -Wextra -Werror -Wno-unused-parameter -Iinclude \
            -idirafter "/usr/include/$(gcc -print-multiarch)" -c "bpf_$side/$side.bpf.c" -o "$work/$side.o"
        bpftool prog loadall "$work/$side.o" "$work/bpffs/$side-$clang" >"$work/log" 2>&1 || {
            tail -30 "$work/log"
            exit 1
        }
        echo "$clang $side: loaded"
    done
done
umount "$work/bpffs"
