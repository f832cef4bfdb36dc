# The Debian package: `./dev package`.
include(GNUInstallDirs)
install(TARGETS strata-apiserver strata-storage RUNTIME DESTINATION usr/bin)
# The documents lie as in the tree, so that their links lead somewhere.
install(FILES README.md DESTINATION usr/share/doc/strata)
install(FILES certs/README.md DESTINATION usr/share/doc/strata/certs)
install(DIRECTORY docs DESTINATION usr/share/doc/strata)
install(FILES deploy/README.md DESTINATION usr/share/doc/strata/deploy)
install(FILES deploy/components/monitoring/README.md DESTINATION usr/share/doc/strata/deploy/components/monitoring)
install(DIRECTORY deploy/samples DESTINATION usr/share/doc/strata/deploy)
install(FILES deploy/systemd/strata-apiserver.service deploy/systemd/strata-storage.service
        DESTINATION lib/systemd/system)
# What the programs run, as it is on this machine when they are installed.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
install(CODE "execute_process(COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/deploy/sbom.py ${PROJECT_VERSION}
  $<TARGET_FILE:strata-apiserver> $<TARGET_FILE:strata-storage>
  OUTPUT_FILE ${CMAKE_BINARY_DIR}/strata.cdx.json COMMAND_ERROR_IS_FATAL ANY)")
install(FILES ${CMAKE_BINARY_DIR}/strata.cdx.json DESTINATION usr/share/doc/strata)
install(FILES deploy/systemd/apiserver.yaml DESTINATION etc/strata)
install(FILES deploy/systemd/strata-storage.default DESTINATION etc/default RENAME strata-storage)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME strata)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "The Strata authors <strata@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Aggregated API server for image.openshift.io/v1")
set(CPACK_PACKAGE_DESCRIPTION
    "Serves the layers of image streams behind kube-apiserver, from records in an etcd or in its own store.")
set(CPACK_PACKAGING_INSTALL_PREFIX /)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# Older ones of Debian 12 can be ended by a client: docs/security.md, "What a library may abort on".
set(CPACK_DEBIAN_PACKAGE_DEPENDS "adduser, libnghttp2-14 (>= 1.52.0-1+deb12u3)")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
    "${CMAKE_SOURCE_DIR}/deploy/debian/postinst;${CMAKE_SOURCE_DIR}/deploy/debian/prerm;${CMAKE_SOURCE_DIR}/deploy/debian/conffiles")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
include(CPack)
