# Language level, warnings, hardening and sanitizers, for every target of the project.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

set(STRATA_SANITIZE "" CACHE STRING "Sanitizers for the whole build: address,undefined or thread")
option(STRATA_FUZZ "Link *_fuzz.cc with libFuzzer (clang) instead of the corpus replayer" OFF)
set(STRATA_BIN_DIR ${CMAKE_BINARY_DIR}/bin CACHE PATH "Where strata-apiserver and strata-storage go")

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
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
endif()
if(STRATA_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

# Generated code is compiled without these; everything that we write, with all of them.
# GCC 12 reports -Wrestrict and -Wmaybe-uninitialized inside libstdc++'s own headers (GCC bugs 105651, 105562).
set(STRATA_WARNINGS -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wimplicit-fallthrough -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  list(APPEND STRATA_WARNINGS -Wno-restrict -Wno-maybe-uninitialized)
else()
  list(APPEND STRATA_WARNINGS -Wthread-safety)
endif()
