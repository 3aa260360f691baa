# Makes TEMPLATE_SOURCE, a C++ source with the texts of plugins/template, so that the program can
# write them wherever it is.
set(template_folder ${PROJECT_SOURCE_DIR}/plugins/template)
set(entries)
foreach(stem IN ITEMS my_masker my_score_masker my_block_masker my_candidate_masker my_whole_masker)
  list(APPEND template_names ${stem}.cpp ${stem}.yaml)
endforeach()
foreach(name IN ITEMS ${template_names} CMakeLists.txt README.md)
  file(READ ${template_folder}/${name} text)
  string(APPEND entries "    {\"${name}\", R\"file(${text})file\"},\n")
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${template_folder}/${name})
endforeach()
set(TEMPLATE_SOURCE ${CMAKE_CURRENT_BINARY_DIR}/template_files.cpp)
file(CONFIGURE OUTPUT ${TEMPLATE_SOURCE} CONTENT
     "#include \"experiments/check/template_files.hpp\"

namespace maskerade::check {

std::span<const TemplateFile> template_files() noexcept {
  static constexpr TemplateFile kFiles[] = {
@entries@  };
  return kFiles;
}

}  // namespace maskerade::check
" @ONLY)
