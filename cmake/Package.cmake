# The Debian packages `sluice` (daemon, CLI, unit, documentation) and `sluice-dev` (contract headers, law headers,
# admit.bpf.h, pkg-config), by CPack. `./dev package` builds them; tests/deploy/package_test.py installs, runs and purges
# them.
set(CMAKE_SKIP_INSTALL_ALL_DEPENDENCY ON) # tests are no part of a package
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(doc share/doc/sluice)

# Man pages come from the programs' own --help and from docs/, so both programs must be built first.
find_program(LOWDOWN lowdown)
file(GLOB man_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/deploy/man/*.md)
set(man_dir ${CMAKE_BINARY_DIR}/man)
add_custom_command(OUTPUT ${man_dir}/stamp
    COMMAND python3 -B ${CMAKE_SOURCE_DIR}/deploy/man/make_man.py --build ${CMAKE_BINARY_DIR} --out ${man_dir}
            --version ${PROJECT_VERSION}
    COMMAND sh -ec "cd man && gzip -9nfk *.1 *.5 *.8 && touch stamp"
    WORKING_DIRECTORY ${CMAKE_BINARY_DIR}
    DEPENDS sluiced sluicectl ${man_sources} ${CMAKE_SOURCE_DIR}/deploy/man/make_man.py
            ${CMAKE_SOURCE_DIR}/docs/policy.md ${CMAKE_SOURCE_DIR}/deploy/debian/changelog
    COMMENT "man pages" VERBATIM)
add_custom_command(OUTPUT ${CMAKE_BINARY_DIR}/debian/stamp
    COMMAND sh -ec "mkdir -p debian && gzip -9nc ${CMAKE_SOURCE_DIR}/deploy/debian/changelog >debian/changelog.gz && gzip -9nc ${CMAKE_SOURCE_DIR}/CHANGELOG.md >debian/CHANGELOG.md.gz && touch debian/stamp"
    WORKING_DIRECTORY ${CMAKE_BINARY_DIR}
    DEPENDS ${CMAKE_SOURCE_DIR}/deploy/debian/changelog ${CMAKE_SOURCE_DIR}/CHANGELOG.md VERBATIM)
add_custom_target(package_files DEPENDS ${man_dir}/stamp ${CMAKE_BINARY_DIR}/debian/stamp)

# Package `sluice`.
target_link_options(sluiced PRIVATE -Wl,-z,relro -Wl,-z,now)
target_link_options(sluicectl PRIVATE -Wl,-z,relro -Wl,-z,now)
install(TARGETS sluiced DESTINATION sbin COMPONENT daemon)
install(TARGETS sluicectl DESTINATION bin COMPONENT daemon)
install(FILES ${man_dir}/sluiced.8.gz DESTINATION share/man/man8 COMPONENT daemon)
install(FILES ${man_dir}/sluicectl.1.gz DESTINATION share/man/man1 COMPONENT daemon)
install(FILES ${man_dir}/sluice-policy.5.gz DESTINATION share/man/man5 COMPONENT daemon)
install(FILES deploy/systemd/sluiced.service DESTINATION lib/systemd/system COMPONENT daemon)
install(FILES deploy/systemd/sluice.sysusers DESTINATION lib/sysusers.d RENAME sluice.conf COMPONENT daemon)
install(FILES deploy/systemd/sluice.tmpfiles DESTINATION lib/tmpfiles.d RENAME sluice.conf COMPONENT daemon)
install(FILES deploy/completion/sluicectl.bash DESTINATION share/bash-completion/completions RENAME sluicectl
        COMPONENT daemon)
install(FILES deploy/debian/policy.yaml DESTINATION /etc/sluice COMPONENT daemon)
install(FILES policies/schema.json DESTINATION share/sluice RENAME policy.schema.json COMPONENT daemon)
install(DIRECTORY policies/ DESTINATION ${doc}/examples COMPONENT daemon FILES_MATCHING PATTERN "*.yaml"
        PATTERN "schema.json")
install(DIRECTORY deploy/prometheus deploy/grafana DESTINATION ${doc}/examples COMPONENT daemon
        FILES_MATCHING PATTERN "*.yml" PATTERN "sluice.json")
install(DIRECTORY docs/ DESTINATION ${doc} COMPONENT daemon FILES_MATCHING PATTERN "*.md")
install(FILES ${CMAKE_BINARY_DIR}/debian/CHANGELOG.md.gz ${CMAKE_BINARY_DIR}/debian/changelog.gz
              deploy/debian/copyright DESTINATION ${doc} COMPONENT daemon)

# Package `sluice-dev`.
configure_file(deploy/sluice.pc.in ${CMAKE_BINARY_DIR}/sluice.pc @ONLY)
install(DIRECTORY include/sluice DESTINATION include COMPONENT dev FILES_MATCHING PATTERN "*.h" PATTERN rings EXCLUDE)
install(FILES ${CMAKE_BINARY_DIR}/sluice.pc DESTINATION share/pkgconfig COMPONENT dev)
install(FILES ${CMAKE_BINARY_DIR}/debian/changelog.gz deploy/debian/copyright DESTINATION share/doc/sluice-dev
        COMPONENT dev)
install(DIRECTORY examples/library DESTINATION share/doc/sluice-dev/examples COMPONENT dev)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "sluice authors <sluice@example.net>")
set(CPACK_PACKAGE_HOMEPAGE_URL "https://example.net/sluice")
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL daemon dev)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING ONE_PER_GROUP)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ
    WORLD_EXECUTE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)

set(CPACK_DEBIAN_DAEMON_PACKAGE_NAME sluice)
set(CPACK_DEBIAN_DAEMON_PACKAGE_SECTION net)
set(CPACK_DEBIAN_DAEMON_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_DAEMON_PACKAGE_DEPENDS "systemd | systemd-standalone-sysusers")
set(CPACK_DEBIAN_DAEMON_PACKAGE_RECOMMENDS "iproute2, ethtool")
set(CPACK_DEBIAN_DAEMON_PACKAGE_SUGGESTS "libxdp1, prometheus")
set(CPACK_COMPONENT_DAEMON_DESCRIPTION "queue discipline for XDP_REDIRECT
A fast port that feeds a slower one through XDP, with low delay, fair shares
between flows and classes, and every lost frame accounted for, on a stock
kernel and with packets that never become skbs. This package has the daemon,
its command line tool, a systemd unit and the documentation.")
set(CPACK_DEBIAN_DAEMON_DESCRIPTION ${CPACK_COMPONENT_DAEMON_DESCRIPTION})
set(debian ${CMAKE_SOURCE_DIR}/deploy/debian)
set(CPACK_DEBIAN_DAEMON_PACKAGE_CONTROL_EXTRA ${debian}/postinst ${debian}/prerm ${debian}/postrm ${debian}/conffiles)
set(CPACK_DEBIAN_DAEMON_PACKAGE_CONTROL_STRICT_PERMISSION ON)

set(CPACK_DEBIAN_DEV_PACKAGE_NAME sluice-dev)
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEV_PACKAGE_ARCHITECTURE all)
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS "libbpf-dev")
set(CPACK_DEBIAN_DEV_DESCRIPTION "queue discipline for XDP_REDIRECT, library mode
Headers with which any XDP program asks sluice for a verdict before its own
bpf_redirect_map(), the queueing laws as plain C, and an example.")
include(CPack)
