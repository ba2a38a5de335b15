# hone's kinds of target. Sources are listed, never globbed; dependencies are named.

add_custom_target(hone_programs)    # what `make build` builds
add_custom_target(hone_benchmarks)  # what `make bench` builds

add_library(hone_flags INTERFACE)
target_compile_options(hone_flags INTERFACE -Wall -Wextra -Werror=return-type -Wno-unused-parameter
  -Wno-missing-field-initializers
  # clang blames its users for what libstdc++'s stable_sort is made of.
  $<$<CXX_COMPILER_ID:Clang>:-Wno-deprecated-declarations>
  # What a mutex guards is read and written under it: clang proves it from the annotations.
  $<$<CXX_COMPILER_ID:Clang>:-Werror=thread-safety>)
target_include_directories(hone_flags INTERFACE ${CMAKE_SOURCE_DIR})
if(HONE_SANITIZE)
  target_compile_options(hone_flags INTERFACE -fsanitize=${HONE_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(hone_flags INTERFACE -fsanitize=${HONE_SANITIZE})
  # For limits that a sanitizer's own memory and threads would break; clang and gcc have different
  # macros for it.
  target_compile_definitions(hone_flags INTERFACE HONE_SANITIZED)
endif()

if(HONE_SANITIZE STREQUAL "thread")
  # absl is not instrumented: every program says what its locks mean (tests/support/tsan_locks.cc).
  target_link_libraries(hone_flags INTERFACE absl::synchronization)
  set(is_program $<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>)
  target_sources(hone_flags INTERFACE $<${is_program}:$<TARGET_OBJECTS:hone_tsan_locks>>)
  foreach(function
      _ZN4absl7debian35Mutex4LockEv
      _ZN4absl7debian35Mutex6UnlockEv
      _ZN4absl7debian35Mutex10ReaderLockEv
      _ZN4absl7debian35Mutex12ReaderUnlockEv
      _ZN4absl7debian35Mutex5AwaitERKNS0_9ConditionE
      _ZN4absl7debian35Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE
      _ZN4absl7debian35Mutex17AwaitWithDeadlineERKNS0_9ConditionENS0_4TimeE
      _ZN4absl7debian312Notification6NotifyEv
      _ZNK4absl7debian312Notification19WaitForNotificationEv
      _ZNK4absl7debian312Notification30WaitForNotificationWithTimeoutENS0_8DurationE)
    target_link_options(hone_flags INTERFACE $<${is_program}:LINKER:--wrap=${function}>)
  endforeach()
endif()

include(HonePrecompiled)

# hone_library(name SRCS a.cc ... DEPS public ... PRIVATE_DEPS hidden ... [PRECOMPILED messages])
# PRECOMPILED names what most of its sources include (HonePrecompiled.cmake): standard, which is
# the default, messages, services or codegen.
function(hone_library name)
  cmake_parse_arguments(ARG "" "PRECOMPILED" "SRCS;DEPS;PRIVATE_DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_SRCS})
  target_link_libraries(${name} PUBLIC hone_flags ${ARG_DEPS} PRIVATE ${ARG_PRIVATE_DEPS})
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  if(NOT ARG_PRECOMPILED)
    set(ARG_PRECOMPILED standard)
  endif()
  hone_use_precompiled(${name} hone_precompiled_${ARG_PRECOMPILED})
endfunction()

# hone_program(name SRCS main.cc ... DEPS ...): into build/<preset>/bin
function(hone_program name)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SRCS})
  target_link_libraries(${name} PRIVATE hone_flags ${ARG_DEPS})
  add_dependencies(hone_programs ${name})
endfunction()

# hone_bench(name SRCS x_bench.cc ... DEPS ...): into build/<preset>/bench, run by bench/run. Prints
# its aims as lines "aim NAME measured M target T ok|short".
function(hone_bench name)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SRCS})
  target_link_libraries(${name} PRIVATE hone_flags ${ARG_DEPS})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bench)
  add_dependencies(hone_benchmarks ${name})
endfunction()

# hone_static_program(name SRCS main.cc ... DEPS hone's own libraries ... ARCHIVES others.a ...)
# A program that needs no shared library. CMake's packages name the shared libraries of protobuf and
# absl, so this links the archives beside them; DEPS are all libraries of hone that it uses, also
# indirectly. With sanitizers it is an ordinary program: they have no static form.
function(hone_static_program name)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS;ARCHIVES" ${ARGN})
  if(HONE_SANITIZE)
    hone_program(${name} SRCS ${ARG_SRCS} DEPS ${ARG_DEPS} ${ARG_ARCHIVES})
    return()
  endif()
  find_library(PROTOBUF_ARCHIVE libprotobuf.a REQUIRED)
  get_filename_component(archive_dir ${PROTOBUF_ARCHIVE} DIRECTORY)
  file(GLOB absl_archives ${archive_dir}/libabsl_*.a)
  add_executable(${name} ${ARG_SRCS})
  set(archives "")
  foreach(dep ${ARG_DEPS})
    list(APPEND archives $<TARGET_FILE:${dep}>)
    target_include_directories(${name} SYSTEM PRIVATE
      $<TARGET_PROPERTY:${dep},INTERFACE_INCLUDE_DIRECTORIES>)
    add_dependencies(${name} ${dep})
  endforeach()
  target_link_libraries(${name} PRIVATE hone_flags -static
    -Wl,--start-group ${archives} ${ARG_ARCHIVES} ${PROTOBUF_ARCHIVE} ${absl_archives}
    -Wl,--end-group)
  set_target_properties(${name} PROPERTIES LINK_DEPENDS "${archives}")
  add_dependencies(hone_programs ${name})
endfunction()

# hone_test(name SRCS x_test.cc ... DEPS ... [LABELS slow] [TIMEOUT_S 60] [ENVIRONMENT K=V ...])
# One program, one CTest entry, labelled with its folder. Label "slow" keeps a test for `make
# check-more`. Each program leaves its cases' results as XML in build/<preset>/results, from which
# deploy/check.sh counts what was skipped: CTest's own SKIP_REGULAR_EXPRESSION would call a program
# skipped that has one skipped and one failed case.
function(hone_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT_S" "SRCS;DEPS;LABELS;ENVIRONMENT" ${ARGN})
  get_filename_component(folder ${CMAKE_CURRENT_SOURCE_DIR} NAME)
  add_executable(${name} ${ARG_SRCS})
  target_link_libraries(${name} PRIVATE hone_flags ${ARG_DEPS} GTest::gmock_main)
  # gRPC brings -pthread, without which its tests cannot take the headers of the others.
  if("gRPC::grpc++" IN_LIST ARG_DEPS)
    hone_use_precompiled(${name} hone_precompiled_service_tests)
  else()
    hone_use_precompiled(${name} hone_precompiled_tests)
  endif()
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_dependencies(tests-${folder} ${name})
  add_test(NAME ${name} COMMAND ${name})
  if(NOT ARG_TIMEOUT_S)
    set(ARG_TIMEOUT_S 120)
  endif()
  if(HONE_SANITIZE)
    math(EXPR ARG_TIMEOUT_S "4 * ${ARG_TIMEOUT_S}")  # it is several times slower
  endif()
  set(environment
    HONE_SOURCE_DIR=${CMAKE_SOURCE_DIR}
    HONE_BIN_DIR=${CMAKE_BINARY_DIR}/bin
    GTEST_OUTPUT=xml:${CMAKE_BINARY_DIR}/results/${name}.xml
    ${ARG_ENVIRONMENT})
  if(HONE_SANITIZE)
    list(APPEND environment
      LSAN_OPTIONS=suppressions=${CMAKE_SOURCE_DIR}/tests/lsan.supp
      UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
      "TSAN_OPTIONS=ignore_noninstrumented_modules=1 suppressions=${CMAKE_SOURCE_DIR}/tests/tsan.supp")
  endif()
  set_tests_properties(${name} PROPERTIES
    TIMEOUT ${ARG_TIMEOUT_S} LABELS "${ARG_LABELS};${folder}" ENVIRONMENT "${environment}")
endfunction()

# hone_test_kernel(name source.c): a kernel written by hand in C, built as code generation builds
# them (runtime/kernel.h): no library, no sanitizer. Becomes tests/kernels/<name>.so in the build
# folder; tests find that folder in HONE_TEST_KERNELS_DIR.
set(HONE_TEST_KERNELS_DIR ${CMAKE_BINARY_DIR}/tests/kernels)
function(hone_test_kernel name source)
  add_library(kernel_${name} MODULE ${source})
  target_include_directories(kernel_${name} PRIVATE ${CMAKE_SOURCE_DIR})
  target_compile_options(kernel_${name} PRIVATE -O2 -ffreestanding -fno-builtin -fvisibility=hidden
    -fno-stack-protector -fno-asynchronous-unwind-tables
    $<$<C_COMPILER_ID:GNU>:-fno-tree-loop-distribute-patterns>)
  target_link_options(kernel_${name} PRIVATE -nostdlib -Wl,-z,now,-z,relro,--hash-style=both)
  set_target_properties(kernel_${name} PROPERTIES
    PREFIX "" OUTPUT_NAME ${name} LIBRARY_OUTPUT_DIRECTORY ${HONE_TEST_KERNELS_DIR})
endfunction()
