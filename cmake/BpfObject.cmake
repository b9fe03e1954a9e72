# bpf_object(NAME SOURCE): clang compiles SOURCE for BPF, bpftool turns it into NAME.skel.h, and the target
# NAME_skel carries the header, so that nothing needs clang or the source at run time. With a third argument it is that
# clang's object, in target NAME_CLANG_skel, for tests that compare.
set(SLUICE_BPF_CLANG "clang-14" CACHE STRING "clang that compiles the BPF objects (14 and 19 are tested)")
find_program(BPF_CLANG NAMES ${SLUICE_BPF_CLANG} clang REQUIRED)
find_program(BPFTOOL bpftool PATHS /usr/sbin REQUIRED)

# The UAPI headers of Debian live in the multiarch folder, which clang -target bpf does not search.
execute_process(COMMAND gcc -print-multiarch OUTPUT_VARIABLE SLUICE_MULTIARCH OUTPUT_STRIP_TRAILING_WHITESPACE)

function(bpf_object name source)
    set(target ${name})
    set(folder ${CMAKE_CURRENT_BINARY_DIR})
    set(clang ${BPF_CLANG})
    if(ARGC GREATER 2)
        set(clang ${ARGV2})
        get_filename_component(version ${clang} NAME)
        set(target ${name}_${version})
        set(folder ${CMAKE_CURRENT_BINARY_DIR}/${version})
    endif()
    set(obj ${folder}/${name}.bpf.o)
    set(skel_dir ${folder}/skel)
    set(skel ${skel_dir}/${name}.skel.h)
    get_filename_component(src ${source} ABSOLUTE)
    file(MAKE_DIRECTORY ${skel_dir})
    add_custom_command(OUTPUT ${obj}
        COMMAND ${clang} -g -O2 -target bpf -mcpu=v3 -std=gnu17 -Wall -Wextra -Werror -Wno-unused-parameter
                -Wno-address-of-packed-member -fno-asynchronous-unwind-tables
                -I${CMAKE_SOURCE_DIR}/include -idirafter /usr/include/${SLUICE_MULTIARCH}
                -MD -MF ${obj}.d -c ${src} -o ${obj}
        DEPENDS ${src} DEPFILE ${obj}.d COMMENT "clang -target bpf ${target}" VERBATIM)
    add_custom_command(OUTPUT ${skel}
        COMMAND ${BPFTOOL} gen skeleton ${obj} name ${name} > ${skel}
        DEPENDS ${obj} COMMENT "bpftool gen skeleton ${target}" VERBATIM)
    add_custom_target(${target}_skel_gen DEPENDS ${skel})
    add_library(${target}_skel INTERFACE)
    add_dependencies(${target}_skel ${target}_skel_gen)
    target_include_directories(${target}_skel SYSTEM INTERFACE ${skel_dir})
    target_link_libraries(${target}_skel INTERFACE PkgConfig::LIBBPF)
endfunction()
