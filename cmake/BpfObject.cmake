# bpf_object(NAME SOURCE): clang compiles SOURCE for BPF, bpftool turns it into NAME.skel.h, and the target
# NAME_skel carries the header, so that nothing needs clang or the source at run time.
set(SLUICE_BPF_CLANG "clang-14" CACHE STRING "clang that compiles the BPF objects (14 and 19 are tested)")
find_program(BPF_CLANG NAMES ${SLUICE_BPF_CLANG} clang REQUIRED)
find_program(BPFTOOL bpftool PATHS /usr/sbin REQUIRED)

# The UAPI headers of Debian live in the multiarch folder, which clang -target bpf does not search.
execute_process(COMMAND gcc -print-multiarch OUTPUT_VARIABLE SLUICE_MULTIARCH OUTPUT_STRIP_TRAILING_WHITESPACE)

function(bpf_object name source)
    set(obj ${CMAKE_CURRENT_BINARY_DIR}/${name}.bpf.o)
    set(skel_dir ${CMAKE_CURRENT_BINARY_DIR}/skel)
    set(skel ${skel_dir}/${name}.skel.h)
    get_filename_component(src ${source} ABSOLUTE)
    file(MAKE_DIRECTORY ${skel_dir})
    add_custom_command(OUTPUT ${obj}
        COMMAND ${BPF_CLANG} -g -O2 -target bpf -mcpu=v3 -std=gnu17 -Wall -Wextra -Werror -Wno-unused-parameter
                -Wno-address-of-packed-member -fno-asynchronous-unwind-tables
                -I${CMAKE_SOURCE_DIR}/include -idirafter /usr/include/${SLUICE_MULTIARCH}
                -MD -MF ${obj}.d -c ${src} -o ${obj}
        DEPENDS ${src} DEPFILE ${obj}.d COMMENT "clang -target bpf ${name}" VERBATIM)
    add_custom_command(OUTPUT ${skel}
        COMMAND ${BPFTOOL} gen skeleton ${obj} name ${name} > ${skel}
        DEPENDS ${obj} COMMENT "bpftool gen skeleton ${name}" VERBATIM)
    add_custom_target(${name}_skel_gen DEPENDS ${skel})
    add_library(${name}_skel INTERFACE)
    add_dependencies(${name}_skel ${name}_skel_gen)
    target_include_directories(${name}_skel SYSTEM INTERFACE ${skel_dir})
    target_link_libraries(${name}_skel INTERFACE PkgConfig::LIBBPF)
endfunction()
