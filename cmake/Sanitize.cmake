# SLUICE_SANITIZE=address,undefined[,fuzzer] | thread: every target of ours is instrumented. `fuzzer` needs clang and
# adds the targets of tests/fuzz. A finding ends the program.
set(SLUICE_SANITIZE "" CACHE STRING "Sanitizers: address,undefined[,fuzzer] or thread")
if(SLUICE_SANITIZE)
    string(REPLACE "fuzzer" "fuzzer-no-link" sanitizers "${SLUICE_SANITIZE}")
    add_compile_options(-fsanitize=${sanitizers} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    add_link_options(-fsanitize=${sanitizers})
    # Quick to compile, and stacks that can be read.
    set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O1 -g1")
    set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O1 -g1")
endif()
