# Run by the build for hone_add_model(): tunes if it is to, and compiles PROGRAM's MODEL to OUTPUT.
# The exit codes are those of hone: 4 is a farm that does not answer, which stops no build.
set(unreachable 4)

# Without records of the project's own none are looked at: not those of whoever builds it.
set(ENV{HONE_DB} "${OUTPUT}.no-records.db")
set(database "")
if(NOT RECORDS STREQUAL "")
  set(database --db "${RECORDS}")
endif()

if(MINUTES)
  execute_process(COMMAND "${PROGRAM}" tune "${MODEL}" --db "${RECORDS}" --minutes ${MINUTES} ${OPTIONS}
    RESULT_VARIABLE code)
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "hone tune ended with ${code}; it says why above.\n  ${MODEL}")
  endif()
endif()

if(TRACKER)
  execute_process(COMMAND "${PROGRAM}" compile "${MODEL}" --tracker "${TRACKER}" -o "${OUTPUT}" ${OPTIONS}
    RESULT_VARIABLE code)
  if(code EQUAL 0)
    return()
  endif()
  if(NOT code EQUAL unreachable)
    message(FATAL_ERROR "hone compile ended with ${code}; it says why above.\n  ${MODEL}")
  endif()
  message(WARNING "the farm at ${TRACKER} does not answer;\n  ${MODEL}\n  is compiled without its records")
endif()

execute_process(COMMAND "${PROGRAM}" compile "${MODEL}" ${database} -o "${OUTPUT}" ${OPTIONS}
  OUTPUT_VARIABLE report RESULT_VARIABLE code)
if(NOT code EQUAL 0)
  message(FATAL_ERROR "hone compile ended with ${code}; it says why above.\n  ${MODEL}\n${report}")
endif()
file(WRITE "${OUTPUT}.txt" "${report}")  # what each kernel is expected to cost
