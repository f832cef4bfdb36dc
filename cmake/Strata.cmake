# The kinds of target that the project has in C++: modules, their tests, fuzz targets and benches, and programs. A module
# is a folder; its library is named after it: storage/engine is strata::storage_engine, and its headers are included from
# the repository's root.

# strata_module(storage/engine SOURCES a.cc b.cc DEPS strata::lib_base PkgConfig::LMDB)
# DEPS are public: what a header needs, its includer gets.
function(strata_module FOLDER)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  string(REPLACE "/" "_" NAME ${FOLDER})
  if(ARG_SOURCES)
    add_library(strata_${NAME} STATIC ${ARG_SOURCES})
    target_include_directories(strata_${NAME} PUBLIC ${CMAKE_SOURCE_DIR})
    target_compile_options(strata_${NAME} PRIVATE ${STRATA_WARNINGS})
    target_link_libraries(strata_${NAME} PUBLIC ${ARG_DEPS})
  else()
    add_library(strata_${NAME} INTERFACE)
    target_include_directories(strata_${NAME} INTERFACE ${CMAKE_SOURCE_DIR})
    target_link_libraries(strata_${NAME} INTERFACE ${ARG_DEPS})
  endif()
  add_library(strata::${NAME} ALIAS strata_${NAME})
endfunction()

# strata_test_table(PREFIX TARGETS a b SOURCES c.cc): tests named PREFIX:… need these targets. `./dev test -R` builds only
# what the chosen tests need; it finds their names in the sources, and this table in the build folder.
function(strata_test_table PREFIX)
  cmake_parse_arguments(ARG "" "" "TARGETS;SOURCES" ${ARGN})
  list(TRANSFORM ARG_SOURCES PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/)
  string(JOIN " " TARGETS ${ARG_TARGETS})
  string(JOIN " " SOURCES ${ARG_SOURCES})
  set_property(GLOBAL APPEND_STRING PROPERTY STRATA_TEST_TABLE "${PREFIX}\t${TARGETS}\t${SOURCES}\n")
endfunction()
function(strata_write_test_table)
  get_property(TABLE GLOBAL PROPERTY STRATA_TEST_TABLE)
  file(WRITE ${CMAKE_BINARY_DIR}/test_table.tsv "${TABLE}")
endfunction()

# Seconds that one test may take. Under sanitizers they take several times as long, and gtest's macros as long to
# compile: a third of it without optimization.
set(STRATA_TEST_TIMEOUT 120)
if(STRATA_SANITIZE)
  set(STRATA_TEST_TIMEOUT 600)
  set(STRATA_TEST_OPTIONS -O0)
endif()

# What rapidcheck makes up is the same in each run, unless RC_PARAMS of the environment says otherwise: the last counts.
set(STRATA_TEST_SEED "RC_PARAMS=string_prepend:seed=1 ")

# strata_test(storage/engine SOURCES a_test.cc b_test.cc DEPS ...): one binary a folder, one ctest per TEST.
function(strata_test FOLDER)
  if(NOT STRATA_TESTS)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;LABELS" ${ARGN})
  string(REPLACE "/" "_" NAME ${FOLDER})
  strata_test_table(${FOLDER} TARGETS ${NAME}_test SOURCES ${ARG_SOURCES})
  add_executable(${NAME}_test ${ARG_SOURCES})
  target_compile_options(${NAME}_test PRIVATE ${STRATA_WARNINGS} ${STRATA_TEST_OPTIONS})
  target_include_directories(${NAME}_test PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(${NAME}_test PRIVATE ${ARG_DEPS} GTest::gmock GTest::gtest_main)
  gtest_discover_tests(${NAME}_test TEST_PREFIX "${FOLDER}:" DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60
                       WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}
                       PROPERTIES TIMEOUT ${STRATA_TEST_TIMEOUT} ENVIRONMENT_MODIFICATION "${STRATA_TEST_SEED}"
                                  LABELS "${ARG_LABELS}")
endfunction()

# strata_fuzz(lib/transport/http/h1 SOURCE h1_fuzz.cc DEPS ...): a libFuzzer target under the fuzz preset. Elsewhere the
# same entry point is a test that replays test/fuzz/corpus/<name>/ and mutations of it, so that it never rots.
function(strata_fuzz TARGET)
  if(NOT STRATA_TESTS)
    return()
  endif()
  cmake_parse_arguments(ARG "" "SOURCE" "DEPS" ${ARGN})
  string(REPLACE "/" "_" NAME ${TARGET})
  strata_test_table(fuzz:${TARGET} TARGETS ${NAME}_fuzz)
  add_executable(${NAME}_fuzz ${ARG_SOURCE})
  target_compile_options(${NAME}_fuzz PRIVATE ${STRATA_WARNINGS})
  target_include_directories(${NAME}_fuzz PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(${NAME}_fuzz PRIVATE ${ARG_DEPS})
  if(STRATA_FUZZ)
    target_link_options(${NAME}_fuzz PRIVATE -fsanitize=fuzzer)
  else()
    target_sources(${NAME}_fuzz PRIVATE ${CMAKE_SOURCE_DIR}/test/fuzz/replay.cc)
    add_test(NAME fuzz:${TARGET} COMMAND ${NAME}_fuzz ${CMAKE_SOURCE_DIR}/test/fuzz/corpus/${NAME})
    set_tests_properties(fuzz:${TARGET} PROPERTIES TIMEOUT ${STRATA_TEST_TIMEOUT})
  endif()
endfunction()

# strata_bench(storage/replica SOURCE replica_bench.cc DEPS ...): one binary a folder, which nothing runs by itself.
function(strata_bench FOLDER)
  if(NOT STRATA_TESTS)
    return()
  endif()
  cmake_parse_arguments(ARG "" "SOURCE" "DEPS" ${ARGN})
  string(REPLACE "/" "_" NAME ${FOLDER})
  find_package(benchmark REQUIRED)
  add_executable(${NAME}_bench ${ARG_SOURCE})
  target_compile_options(${NAME}_bench PRIVATE ${STRATA_WARNINGS})
  target_link_libraries(${NAME}_bench PRIVATE ${ARG_DEPS} benchmark::benchmark)
endfunction()

# strata_program(strata-storage SOURCE main.cc DEPS ...)
function(strata_program NAME)
  cmake_parse_arguments(ARG "" "SOURCE" "DEPS" ${ARGN})
  add_executable(${NAME} ${ARG_SOURCE})
  target_compile_options(${NAME} PRIVATE ${STRATA_WARNINGS})
  target_include_directories(${NAME} PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(${NAME} PRIVATE ${ARG_DEPS})
  set_target_properties(${NAME} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${STRATA_BIN_DIR})
endfunction()
