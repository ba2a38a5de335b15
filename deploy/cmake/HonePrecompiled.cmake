# Headers compiled once and shared: half the time of a build from nothing would go into reading the
# standard library and absl again for each source. They are headers of other projects only, so an
# edit never rebuilds them. g++ takes a compiled header only with the very options it was made with;
# a source with options of its own says so by hone_source_options() and reads its headers itself.
# Sources include all they use: the dev and tsan presets (clang, sanitizers) and
# -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON build without.

set(HONE_STANDARD_HEADERS
  <algorithm> <cmath> <cstdint> <cstring> <functional> <limits> <map> <memory> <optional> <set>
  <string> <utility> <variant> <vector>
  <absl/status/status.h> <absl/status/statusor.h> <absl/strings/numbers.h>
  <absl/strings/str_cat.h> <absl/strings/str_format.h> <absl/strings/str_join.h>
  <absl/strings/str_split.h> <absl/strings/string_view.h>)
# What generated messages include.
set(HONE_MESSAGE_HEADERS
  <google/protobuf/arena.h> <google/protobuf/arenastring.h>
  <google/protobuf/extension_set.h> <google/protobuf/generated_enum_reflection.h>
  <google/protobuf/generated_message_bases.h> <google/protobuf/generated_message_reflection.h>
  <google/protobuf/generated_message_util.h> <google/protobuf/io/coded_stream.h>
  <google/protobuf/message.h> <google/protobuf/metadata_lite.h>
  <google/protobuf/repeated_field.h> <google/protobuf/unknown_field_set.h>)
# What generated stubs include; only the few sources that see gRPC take them.
set(HONE_SERVICE_HEADERS <grpcpp/grpcpp.h>)
set(HONE_TEST_HEADERS <gmock/gmock.h> <gtest/gtest.h>)
set(HONE_CODEGEN_HEADERS <llvm/IR/IRBuilder.h> <llvm/IR/Module.h> <llvm/Target/TargetMachine.h>)

set(HONE_PRECOMPILE OFF)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND NOT HONE_SANITIZE)
  set(HONE_PRECOMPILE ON)
endif()

# hone_precompiled(name POSITION_INDEPENDENT ON|OFF HEADERS <a> ... [DEPS packages ...])
# DEPS are the packages whose own flags (-pthread, definitions) the users of the headers have too.
function(hone_precompiled name)
  cmake_parse_arguments(ARG "" "POSITION_INDEPENDENT" "HEADERS;DEPS" ${ARGN})
  if(NOT HONE_PRECOMPILE)
    return()
  endif()
  # CMake hangs a compiled header on a target, and a target has a source.
  set(source ${CMAKE_BINARY_DIR}/precompiled/${name}.cc)
  file(CONFIGURE OUTPUT ${source} CONTENT "// Has nothing but its headers.\n")
  add_library(${name} OBJECT ${source})
  target_link_libraries(${name} PRIVATE hone_flags ${ARG_DEPS})
  target_compile_options(${name} PRIVATE -fpch-preprocess)
  target_precompile_headers(${name} PRIVATE ${ARG_HEADERS})
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE ${ARG_POSITION_INDEPENDENT})
endfunction()

# hone_use_precompiled(target name): lets the C++ sources of a target begin with these headers.
function(hone_use_precompiled target name)
  if(NOT TARGET ${name})
    return()
  endif()
  target_precompile_headers(${target} REUSE_FROM ${name})
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-fpch-preprocess>)
  get_target_property(sources ${target} SOURCES)
  list(FILTER sources INCLUDE REGEX "\\.c$")
  set_source_files_properties(${sources} PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
endfunction()

# hone_source_options(SOURCE ... OPTIONS -O3 ...): options of single sources of this folder.
function(hone_source_options)
  cmake_parse_arguments(ARG "" "" "OPTIONS" ${ARGN})
  set_source_files_properties(${ARG_UNPARSED_ARGUMENTS} PROPERTIES
    COMPILE_OPTIONS "${ARG_OPTIONS}" SKIP_PRECOMPILE_HEADERS ON)
endfunction()

hone_precompiled(hone_precompiled_standard POSITION_INDEPENDENT ON
  HEADERS ${HONE_STANDARD_HEADERS})
hone_precompiled(hone_precompiled_messages POSITION_INDEPENDENT ON
  HEADERS ${HONE_STANDARD_HEADERS} ${HONE_MESSAGE_HEADERS})
hone_precompiled(hone_precompiled_services POSITION_INDEPENDENT ON
  HEADERS ${HONE_STANDARD_HEADERS} ${HONE_MESSAGE_HEADERS} ${HONE_SERVICE_HEADERS}
  DEPS gRPC::grpc++)
hone_precompiled(hone_precompiled_codegen POSITION_INDEPENDENT ON
  HEADERS ${HONE_STANDARD_HEADERS} ${HONE_CODEGEN_HEADERS} DEPS llvm_codegen)
if(HONE_BUILD_TESTS)
  hone_precompiled(hone_precompiled_tests POSITION_INDEPENDENT OFF
    HEADERS ${HONE_STANDARD_HEADERS} ${HONE_MESSAGE_HEADERS} ${HONE_TEST_HEADERS}
    DEPS GTest::gmock)
  hone_precompiled(hone_precompiled_service_tests POSITION_INDEPENDENT OFF
    HEADERS ${HONE_STANDARD_HEADERS} ${HONE_MESSAGE_HEADERS} ${HONE_SERVICE_HEADERS} ${HONE_TEST_HEADERS}
    DEPS GTest::gmock gRPC::grpc++)
endif()
