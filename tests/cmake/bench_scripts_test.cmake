# Runs the tests of the scripts that compare and draw benchmarks.
#   cmake -D SOURCE_DIR=... -P bench_scripts_test.cmake
find_program(python3 python3)
if(NOT python3)
  message("there is no python3")  # by which ctest knows that the test is skipped
  return()
endif()
execute_process(COMMAND ${python3} -B ${SOURCE_DIR}/tests/bench/scripts_test.py COMMAND_ERROR_IS_FATAL ANY)
