# Language level, warnings, hardening and sanitizers, for every target of the project.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

set(STRATA_SANITIZE "" CACHE STRING "Sanitizers for the whole build: address,undefined or thread")
option(STRATA_FUZZ "Link *_fuzz.cc with libFuzzer (clang) instead of the corpus replayer" OFF)
set(STRATA_BIN_DIR ${CMAKE_BINARY_DIR}/bin CACHE PATH "Where strata-apiserver and strata-storage go")

# Every checkout has the same paths and so the same cache, however the build is started.
find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${CCACHE})
endif()

add_compile_definitions(BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_SEPARATE_COMPILATION)
add_compile_options(-fstack-protector-strong)
add_link_options(-Wl,-z,relro,-z,now -fuse-ld=lld)
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  add_compile_definitions(_FORTIFY_SOURCE=2)
endif()

if(STRATA_SANITIZE)
  add_compile_options(-fsanitize=${STRATA_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${STRATA_SANITIZE})
  # What stays within a container's capacity, or is read of an empty optional, no sanitizer sees.
  add_compile_definitions(_GLIBCXX_ASSERTIONS)
endif()
if(STRATA_SANITIZE STREQUAL "thread")
  # Asio's fences around handlers only strengthen what its locks order, and ThreadSanitizer can't follow fences.
  add_compile_definitions(BOOST_ASIO_DISABLE_FENCED_BLOCK)
  include_directories(BEFORE ${CMAKE_SOURCE_DIR}/test/support/tsan)
  find_package(absl REQUIRED)
  add_library(strata_tsan_grpc SHARED ${CMAKE_SOURCE_DIR}/test/support/tsan_grpc.cc)
  target_compile_options(strata_tsan_grpc PRIVATE -fno-sanitize=thread)
  target_link_libraries(strata_tsan_grpc PRIVATE ${CMAKE_DL_LIBS})
  # The first library of all, before gRPC's and absl's.
  add_link_options($<TARGET_FILE:strata_tsan_grpc>)
  link_libraries(strata_tsan_grpc)
  add_library(strata_tsan_mutex STATIC ${CMAKE_SOURCE_DIR}/test/support/tsan_mutex.cc)
  target_link_libraries(strata_tsan_mutex PUBLIC absl::synchronization)
  file(STRINGS ${CMAKE_SOURCE_DIR}/test/support/tsan_mutex.cc WRAPPED REGEX "^STRATA_WRAP")
  foreach(LINE ${WRAPPED})
    string(REGEX REPLACE "^STRATA_WRAP\\([a-z]+, ([A-Za-z0-9_]+),.*$" "\\1" SYMBOL "${LINE}")
    add_link_options(-Wl,--wrap=${SYMBOL})
  endforeach()
  link_libraries(strata_tsan_mutex)
endif()
# What a fuzz target counts is compiled in without one too, so that ccache has one object for both presets.
if(STRATA_FUZZ OR STRATA_SANITIZE MATCHES address)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

# Generated code is compiled without these; everything that we write, with all of them.
# GCC 12 reports -Wrestrict and -Wmaybe-uninitialized inside libstdc++'s own headers (GCC bugs 105651, 105562).
# A designated initializer leaves fields out on purpose.
set(STRATA_WARNINGS -Wall -Wextra -Wno-missing-field-initializers -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wimplicit-fallthrough -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  list(APPEND STRATA_WARNINGS -Wno-restrict -Wno-maybe-uninitialized)
else()
  list(APPEND STRATA_WARNINGS -Wthread-safety)
endif()
