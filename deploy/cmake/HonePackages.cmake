# Every third-party package hone uses, found once. A folder gets a package only by linking its
# target; which folder may link what is written in ARCHITECTURE.md and held by the layering test.
find_package(Threads REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto SSL)
find_package(absl CONFIG REQUIRED)
find_package(Protobuf REQUIRED)
find_package(gRPC CONFIG REQUIRED)
# The exact path keeps an older LLVM on the machine out of the search.
find_package(LLD 19.1 CONFIG REQUIRED PATHS /usr/lib/llvm-19/lib/cmake/lld NO_DEFAULT_PATH)
find_package(ONNX CONFIG REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(spdlog CONFIG REQUIRED)
find_package(nlohmann_json CONFIG REQUIRED)
find_package(CLI11 CONFIG REQUIRED)
find_package(Boost 1.74 CONFIG REQUIRED)

# CMake's package asks for the server's headers too, which a client does not need.
find_library(LIBPQ_LIBRARY pq REQUIRED)
find_path(LIBPQ_INCLUDE_DIR libpq-fe.h REQUIRED PATH_SUFFIXES postgresql)
add_library(libpq INTERFACE)
target_include_directories(libpq SYSTEM INTERFACE ${LIBPQ_INCLUDE_DIR})
target_link_libraries(libpq INTERFACE ${LIBPQ_LIBRARY})

# XGBoost's own CMake package asks for its command-line program and fails without it.
find_library(XGBOOST_LIBRARY xgboost REQUIRED)
find_path(XGBOOST_INCLUDE_DIR xgboost/c_api.h REQUIRED)
add_library(xgboost_c_api INTERFACE)
target_include_directories(xgboost_c_api SYSTEM INTERFACE ${XGBOOST_INCLUDE_DIR})
target_link_libraries(xgboost_c_api INTERFACE ${XGBOOST_LIBRARY})

add_library(llvm_codegen INTERFACE)
target_include_directories(llvm_codegen SYSTEM INTERFACE ${LLVM_INCLUDE_DIRS})
target_compile_definitions(llvm_codegen INTERFACE ${LLVM_DEFINITIONS})
target_link_libraries(llvm_codegen INTERFACE lldELF lldCommon LLVM)

# malloc of programs that compile or search: both make and drop small things all the time, and are
# 10 to 18 % faster with it. Sanitizers bring their own.
add_library(fast_malloc INTERFACE)
if(NOT HONE_SANITIZE)
  find_library(JEMALLOC_LIBRARY jemalloc REQUIRED)
  target_link_libraries(fast_malloc INTERFACE ${JEMALLOC_LIBRARY})
endif()

if(HONE_BUILD_TESTS)
  find_package(GTest CONFIG REQUIRED)
endif()
