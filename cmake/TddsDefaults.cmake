# Settings for every target of this project: language standard, warnings, sanitizers and build type.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
include(GNUInstallDirs)

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()

find_program(TDDS_CCACHE ccache)
if(TDDS_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${TDDS_CCACHE})
endif()

add_library(tdds_options INTERFACE)
target_compile_options(tdds_options INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wshadow;-Wnon-virtual-dtor;$<$<BOOL:${TDDS_WERROR}>:-Werror>>)
target_include_directories(tdds_options INTERFACE ${PROJECT_SOURCE_DIR})
if(TDDS_SANITIZE)
  target_compile_options(tdds_options INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${TDDS_SANITIZE};-fno-omit-frame-pointer;-fno-sanitize-recover=all>)
  target_link_options(tdds_options INTERFACE -fsanitize=${TDDS_SANITIZE})
endif()

# tdds_library(NAME SOURCE...): the static library of one top-level folder.
function(tdds_library name)
  add_library(tdds_${name} STATIC ${ARGN})
  add_library(tdds::${name} ALIAS tdds_${name})
  target_link_libraries(tdds_${name} PUBLIC tdds_options)
endfunction()
