# The target tdds_ptxas_reports: what ptxas reports on each kernel for GPUs that run other code than this build's
# default, which the driver or ptxas derives from it. Without the CUDA backend these are all GPUs. It needs only nvcc.
set(nvcc ${CMAKE_CUDA_COMPILER})
if(NOT nvcc)
  set(nvcc ${TDDS_NVCC})
endif()
if(NOT nvcc)
  return()
endif()
set(codes -gencode=arch=compute_80,code=[sm_86,sm_89] -gencode=arch=compute_100,code=sm_120)
if(NOT TDDS_HAVE_CUDA)
  list(APPEND codes -gencode=arch=compute_80,code=sm_80 -gencode=arch=compute_90,code=sm_90 -gencode=arch=compute_100,code=sm_100)
endif()
set(folder ${CMAKE_CURRENT_BINARY_DIR}/cuda/other_gpus)
set(reports)
foreach(kernel ${op_kernels})
  get_filename_component(name ${kernel} NAME_WE)
  set(object ${folder}/${name}.cu.o)
  add_custom_command(
    OUTPUT ${object} BYPRODUCTS ${object}.ptxas DEPENDS ${kernel} DEPFILE ${object}.d VERBATIM
    COMMAND ${CMAKE_COMMAND} -E make_directory ${folder}
    COMMAND ${PROJECT_SOURCE_DIR}/cmake/keep_ptxas_report.sh ${TDDS_CCACHE} ${nvcc} -std=c++20 --expt-relaxed-constexpr
            -I${PROJECT_SOURCE_DIR} -fatbin -Xptxas -v ${codes} -MD -MF ${object}.d -MT ${object} -o ${object} ${kernel}
    COMMENT "Compiling gpu/${name}.cu for other GPUs, for the report of its resources")
  list(APPEND reports ${object})
endforeach()
add_custom_target(tdds_ptxas_reports DEPENDS ${reports})
