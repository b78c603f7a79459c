# The objects of the counted kernels (kernels/simt/CMakeLists.txt) define no function that other objects may define,
# too. The linker keeps one of several inline functions: other code would then run the one that is slowed down by
# counting, or a counted kernel one whose accesses are not seen.
#
#   NM, OBJECTS (separated by |)
string(REPLACE "|" ";" objects "${OBJECTS}")
execute_process(COMMAND ${NM} --demangle --defined-only ${objects} OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "[^\n]+ [TWVu] [^\n]+" shared "${symbols}")
list(LENGTH shared count)
if(count LESS 20)
  message(FATAL_ERROR "only ${count} functions were found in the objects of the counted kernels")
endif()
list(FILTER shared EXCLUDE REGEX "tdds::simt_counted::")
if(shared)
  list(JOIN shared "\n" text)
  message(FATAL_ERROR "the counted kernels share functions with other code; inline them, or move them to "
                      "namespace tdds::TDDS_GPU:\n${text}")
endif()
