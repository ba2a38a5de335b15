# find_package(hone) for projects that ship models. Gives the runtime library as hone::runtime, the
# program as HONE_PROGRAM, and a function that compiles a model when the project is built:
#
#   find_package(hone REQUIRED)
#   hone_add_model(faces faces.onnx RECORDS faces.db)
#   target_link_libraries(app PRIVATE faces)
#
# hone_add_model(NAME MODEL
#     [RECORDS file]       database of tuned records, kept with the sources; without it, and for
#                          kernels it lacks, the schedules that the analytic model picks
#     [TRACKER address]    records of this farm; when it does not answer, RECORDS stand in, with a
#                          warning, so that a build needs no network
#     [TUNE_MINUTES n]     tunes into RECORDS first, for at most so long; what is there already is not
#                          tuned again. Needs RECORDS
#     [NUMERICS class] [THREADS n] [SHAPES NAME=VALUE ...]   as `hone compile` takes them
#     [DEPENDS target ...] that make the model)
#
# NAME becomes a shared library that holds code and weights, made anew when the model or the records
# change. A program that links it loads it from its own symbol (see NAME.h, which is made beside it):
#
#   #include "faces.h"
#   hone_model* model = faces_load(NULL, &error);
#
# One program links one model; of several it loads each by its file: $<TARGET_FILE:NAME>.
get_filename_component(_hone_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
find_program(HONE_PROGRAM hone HINTS "${_hone_prefix}/bin" REQUIRED)
find_library(HONE_RUNTIME_LIBRARY hone_runtime HINTS "${_hone_prefix}/lib" REQUIRED)
find_path(HONE_INCLUDE_DIR runtime/hone.h HINTS "${_hone_prefix}/include" REQUIRED)
set(_hone_script "${CMAKE_CURRENT_LIST_DIR}/HoneCompileModel.cmake")
set(_hone_header "${CMAKE_CURRENT_LIST_DIR}/model.h.in")

if(NOT TARGET hone::runtime)
  add_library(hone::runtime SHARED IMPORTED)
  set_target_properties(hone::runtime PROPERTIES
    IMPORTED_LOCATION "${HONE_RUNTIME_LIBRARY}" IMPORTED_NO_SONAME ON
    INTERFACE_INCLUDE_DIRECTORIES "${HONE_INCLUDE_DIR}")
endif()

function(hone_add_model name model)
  cmake_parse_arguments(ARG "" "RECORDS;TRACKER;TUNE_MINUTES;NUMERICS;THREADS" "SHAPES;DEPENDS"
    ${ARGN})
  if(ARG_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "hone_add_model(${name}): no option ${ARG_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT name MATCHES "^[a-z_][a-z0-9_]*$")
    message(FATAL_ERROR "hone_add_model(${name}): the name becomes a function of C: write it with a-z, "
      "0-9 and _")
  endif()
  if(ARG_TUNE_MINUTES AND NOT ARG_RECORDS)
    message(FATAL_ERROR "hone_add_model(${name}): TUNE_MINUTES needs RECORDS, to keep what it finds")
  endif()
  get_filename_component(model "${model}" ABSOLUTE)
  set(options "")
  foreach(option NUMERICS THREADS)
    string(TOLOWER "${option}" flag)
    if(ARG_${option})
      list(APPEND options --${flag} ${ARG_${option}})
    endif()
  endforeach()
  foreach(shape ${ARG_SHAPES})
    list(APPEND options --shape ${shape})
  endforeach()
  set(records "")
  if(ARG_RECORDS)
    get_filename_component(records "${ARG_RECORDS}" ABSOLUTE)
  endif()
  set(watched "")
  if(EXISTS "${records}" AND NOT ARG_TUNE_MINUTES)
    set(watched "${records}")
  endif()

  set(folder "${CMAKE_CURRENT_BINARY_DIR}/${name}.model")
  set(library "${folder}/lib${name}.so")
  file(MAKE_DIRECTORY "${folder}")
  configure_file("${_hone_header}" "${folder}/${name}.h" @ONLY)
  add_custom_command(OUTPUT "${library}"
    COMMAND "${CMAKE_COMMAND}" "-DPROGRAM=${HONE_PROGRAM}" "-DMODEL=${model}" "-DOUTPUT=${library}"
      "-DRECORDS=${records}" "-DTRACKER=${ARG_TRACKER}" "-DMINUTES=${ARG_TUNE_MINUTES}"
      "-DOPTIONS=${options}" -P "${_hone_script}"
    DEPENDS "${model}" "${HONE_PROGRAM}" ${watched} ${ARG_DEPENDS}
    COMMENT "Compiling model ${name}" VERBATIM)
  add_custom_target(${name}_model DEPENDS "${library}")
  add_library(${name} SHARED IMPORTED GLOBAL)
  set_target_properties(${name} PROPERTIES
    IMPORTED_LOCATION "${library}" IMPORTED_NO_SONAME ON
    INTERFACE_INCLUDE_DIRECTORIES "${folder}"
    INTERFACE_LINK_LIBRARIES hone::runtime)
  add_dependencies(${name} ${name}_model)
endfunction()
