# Finds cuDNN 9 in the CUDA toolkit, in the system's folders or in the layout of NVIDIA's Python wheels
# (site-packages/nvidia/cudnn/{include,lib}, where only names like libcudnn.so.9 exist).
#
#   TDDS_CUDNN_ROOT   hint: a folder with include/cudnn.h and lib/libcudnn.so.9, as is the environment variable CUDNN_PATH
#   cuDNN::cuDNN      the target: the thin libcudnn, which loads the other libraries from its folder
#   cuDNN_VERSION     as major.minor.patch
set(TDDS_CUDNN_ROOT "" CACHE PATH "Folder with cuDNN's include/ and lib/; empty: search")
set(_cudnn_hints ${TDDS_CUDNN_ROOT} $ENV{CUDNN_PATH} ${CUDAToolkit_INCLUDE_DIRS} ${CUDAToolkit_LIBRARY_DIR})
foreach(include_dir IN LISTS CUDAToolkit_INCLUDE_DIRS)  # .../nvidia/cu13/include -> .../nvidia/cudnn
  cmake_path(GET include_dir PARENT_PATH _toolkit)
  cmake_path(GET _toolkit PARENT_PATH _beside)
  list(APPEND _cudnn_hints ${_toolkit} ${_beside}/cudnn)
endforeach()

find_path(cuDNN_INCLUDE_DIR cudnn.h HINTS ${_cudnn_hints} PATH_SUFFIXES include)
# A full file name is a valid NAME and needed here, because the wheels have no libcudnn.so.
find_library(cuDNN_LIBRARY NAMES cudnn libcudnn.so.9 HINTS ${_cudnn_hints} PATH_SUFFIXES lib lib64
             lib/${CMAKE_LIBRARY_ARCHITECTURE})
if(cuDNN_INCLUDE_DIR AND EXISTS ${cuDNN_INCLUDE_DIR}/cudnn_version.h)
  file(STRINGS ${cuDNN_INCLUDE_DIR}/cudnn_version.h _lines REGEX "#define CUDNN_(MAJOR|MINOR|PATCHLEVEL) +[0-9]+")
  string(REGEX REPLACE ".*CUDNN_MAJOR +([0-9]+).*" "\\1" _major "${_lines}")
  string(REGEX REPLACE ".*CUDNN_MINOR +([0-9]+).*" "\\1" _minor "${_lines}")
  string(REGEX REPLACE ".*CUDNN_PATCHLEVEL +([0-9]+).*" "\\1" _patch "${_lines}")
  set(cuDNN_VERSION ${_major}.${_minor}.${_patch})
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(cuDNN REQUIRED_VARS cuDNN_LIBRARY cuDNN_INCLUDE_DIR VERSION_VAR cuDNN_VERSION)
mark_as_advanced(cuDNN_INCLUDE_DIR cuDNN_LIBRARY)
if(cuDNN_FOUND AND NOT TARGET cuDNN::cuDNN)
  add_library(cuDNN::cuDNN UNKNOWN IMPORTED)
  set_target_properties(cuDNN::cuDNN PROPERTIES IMPORTED_LOCATION ${cuDNN_LIBRARY}
                        INTERFACE_INCLUDE_DIRECTORIES ${cuDNN_INCLUDE_DIR})
endif()
