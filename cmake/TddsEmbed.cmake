# tdds_embed(SOURCES FUNCTION FILE...): embeds the FILEs in the program. Appends to the list SOURCES a source that defines
#   std::string_view tdds::FUNCTION(std::string_view name);
# which returns the bytes of the FILE with that name, or an empty view if there is no such file.
function(tdds_embed sources function)
  foreach(file ${ARGN})
    get_filename_component(name ${file} NAME)
    string(MAKE_C_IDENTIFIER "tdds_${function}_${name}" label)
    string(APPEND incbins "  .global ${label}_begin, ${label}_end\n${label}_begin:\n  .incbin \"${file}\"\n${label}_end:\n")
    string(APPEND labels "extern \"C\" const char ${label}_begin[], ${label}_end[];\n")
    string(APPEND cases "  if (name == \"${name}\") return {${label}_begin, ${label}_end};\n")
  endforeach()
  set(source ${PROJECT_BINARY_DIR}/generated/${function}.cpp)
  file(CONFIGURE OUTPUT ${source} @ONLY CONTENT [[
#include <string_view>
asm(R"(
  .pushsection .rodata
@incbins@  .byte 0
  .popsection
)");
@labels@
namespace tdds {
std::string_view @function@(std::string_view name);
std::string_view @function@(std::string_view name) {
@cases@  return {};
}
}  // namespace tdds
]])
  set_source_files_properties(${source} PROPERTIES OBJECT_DEPENDS "${ARGN}")
  set(${sources} ${${sources}} ${source} PARENT_SCOPE)
endfunction()
