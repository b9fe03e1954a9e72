#!/usr/bin/env bash
# Rules that no compiler checks: who may include whom, format of the C++ sources, shell scripts. Prints every breach.
set -euo pipefail
cd "$(dirname "$0")/../.."
failed=0

breach() {
    echo "lint: $1"
    failed=1
}

# rule FOLDER ALLOWED...: quoted includes of FOLDER name only files of the ALLOWED folders (or of FOLDER itself).
rule() {
    local folder=$1 allowed
    shift
    allowed=$(printf '|%s' "$(basename "$folder")" "$@")
    local bad
    bad=$(git ls-files "$folder/*.hpp" "$folder/*.cpp" | xargs -r grep -nE '^#include "' |
        grep -vE "#include \"(${allowed:1})/" | grep -vE '#include "[a-z_]+\.(skel\.)?h"' || true)
    [ -z "$bad" ] || breach "$folder includes what it must not:"$'\n'"$bad"
}

rule controller/core
rule controller/policy core
rule controller/dataplane core policy
rule controller/control core policy dataplane
rule controller/telemetry core control policy
rule controller/operate core policy
rule controller/confine core
rule controller/metrics core control
rule controller/api core control metrics operate policy telemetry
rule controller/cli core control api policy telemetry dataplane

if git ls-files 'bpf_ingress/*' | xargs grep -nE '#include ["<].*bpf_egress' ||
    git ls-files 'bpf_egress/*' | xargs grep -nE '#include ["<].*bpf_ingress'; then
    breach "the BPF folders must not include each other"
fi
if git ls-files 'include/sluice/*' | xargs grep -nE '#include ["<](core|policy|dataplane|control)/'; then
    breach "include/sluice belongs to neither side"
fi
if git ls-files '*.cpp' '*.hpp' | grep -v '^controller/policy/' | xargs grep -ln 'yaml-cpp/'; then
    breach "only controller/policy may use yaml-cpp"
fi
if git ls-files '*.cpp' '*.hpp' | grep -vE '^(controller/(dataplane|telemetry)|tests)/' | xargs grep -lnE '<bpf/'; then
    breach "only controller/dataplane and controller/telemetry may use libbpf"
fi
if git grep -nIE 'vmlinux\.h"|bpf_printk|bpf_trace_printk' -- bpf_ingress bpf_egress include; then
    breach "no vmlinux.h and no printk in BPF programs"
fi

# Other programs are started by exec vectors only: no shell ever sees a word of a policy.
if git grep -nE '\b(system|popen|execlp?|execle) *\(' -- controller include examples; then
    breach "no shell and no variadic exec in what is shipped: posix_spawn or execv with a vector"
fi

for file in $(git grep -nI '^#!' | sed -n 's/:1:#!.*//p'); do
    [ -x "$file" ] || breach "$file names its interpreter and is not executable"
done

unformatted=$(git ls-files '*.cpp' '*.hpp' | xargs clang-format-14 --dry-run 2>&1 | grep -oE '^[^ :]+\.[ch]pp' | sort -u || true)
[ -z "$unformatted" ] || breach "not formatted (./dev fmt):"$'\n'"$unformatted"
shellcheck dev .ci/run tests/lint/lint.sh tests/progrun/both_clangs.sh tests/sanitize/build.sh tests/sanitize/sanitize.sh deploy/debian/postinst deploy/debian/postrm deploy/debian/prerm \
    deploy/completion/sluicectl.bash || breach "shellcheck"

[ "$failed" -eq 0 ] && echo "lint: clean"
exit "$failed"
