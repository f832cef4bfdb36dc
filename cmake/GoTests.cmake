# The Go side: real peers built from their modules, and the tests that use them. Go's own cache decides what is to do.
# Nothing that is found is kept for the next time: a Go that is too old gives way to a newer one.
find_program(GO go NO_CACHE)
if(NOT GO)
  message(FATAL_ERROR "go is needed for the tests against real peers; ./dev test installs it")
endif()
set(STRATA_PEERS ${CMAKE_BINARY_DIR}/go)
find_program(STRATA_ETCD etcd NO_CACHE)

# strata_go_tests(ROOM TIMEOUT_S [NEEDS target...]): each Test function of test/ROOM is a test of ctest.
function(strata_go_tests ROOM TIMEOUT)
  cmake_parse_arguments(ARG "" "" "NEEDS" ${ARGN})
  set(PROGRAM ${STRATA_PEERS}/${ROOM}.test)
  add_custom_target(${ROOM}_tests ALL
    COMMAND ${CMAKE_COMMAND} -E make_directory ${STRATA_PEERS}
    COMMAND ${GO} test -c -o ${PROGRAM} .
    WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR} VERBATIM)
  add_dependencies(${ROOM}_tests strata-apiserver strata-storage peers ${ARG_NEEDS})
  math(EXPR LIMIT "${TIMEOUT} - 20")
  file(GLOB SOURCES RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} *_test.go)
  # The names of tests are read here: a file that changes, comes or goes is a reason to configure again.
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR} ${SOURCES})
  strata_test_table(${ROOM} TARGETS ${ROOM}_tests SOURCES ${SOURCES})
  foreach(SOURCE ${SOURCES})
    file(STRINGS ${SOURCE} DECLARATIONS REGEX "^func Test[A-Za-z0-9]+\\(t ")
    foreach(DECLARATION ${DECLARATIONS})
      string(REGEX REPLACE "^func (Test[A-Za-z0-9]+)\\(.*" "\\1" TEST ${DECLARATION})
      add_test(NAME ${ROOM}:${TEST} COMMAND ${PROGRAM} -test.run ^${TEST}$ -test.timeout ${LIMIT}s
               WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR})
      set_tests_properties(${ROOM}:${TEST} PROPERTIES TIMEOUT ${TIMEOUT}
        ENVIRONMENT "STRATA_BIN=${STRATA_BIN_DIR};STRATA_PEERS=${STRATA_PEERS};STRATA_ETCD34=$<$<BOOL:${STRATA_ETCD}>:${STRATA_ETCD}>")
    endforeach()
  endforeach()
endfunction()
