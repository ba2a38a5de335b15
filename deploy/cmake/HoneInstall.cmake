# What `cmake --install build/release --prefix /opt/hone` puts where: the programs, which find each other
# beside themselves, and what projects that ship models need (package/honeConfig.cmake).
include(CMakePackageConfigHelpers)
install(TARGETS hone hone-agent hone-build-worker hone-opt hone-tracker hone-tunerd hone-worker
  RUNTIME DESTINATION bin)
install(TARGETS hone_runtime_shared LIBRARY DESTINATION lib)
install(FILES runtime/error.h runtime/hone.h DESTINATION include/runtime)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/honeConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES
    deploy/cmake/package/honeConfig.cmake
    deploy/cmake/package/HoneCompileModel.cmake
    deploy/cmake/package/model.h.in
    ${CMAKE_BINARY_DIR}/honeConfigVersion.cmake
  DESTINATION lib/cmake/hone)
