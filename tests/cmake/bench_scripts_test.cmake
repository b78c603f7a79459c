# Runs the tests of the scripts that compare and draw benchmarks, and of those that bench_kernels starts.
#   cmake -D SOURCE_DIR=... -D BUILD_DIR=... -P bench_scripts_test.cmake
find_program(python3 python3)
if(NOT python3)
  message("there is no python3")  # by which ctest knows that the test is skipped
  return()
endif()
execute_process(COMMAND ${python3} -B ${SOURCE_DIR}/tests/bench/scripts_test.py COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${python3} -B ${SOURCE_DIR}/tests/bench/torch_ops_test.py ${BUILD_DIR}/bench/bench_kernels
                COMMAND_ERROR_IS_FATAL ANY)
