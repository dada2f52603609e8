# Writes page_files.gen.cc: the templates, style and scripts of HTML pages as strings of the program.
# Run as: cmake -DNAMES=a;b -DFILES=a.html;b.css -DOUTPUT=file -P embed_page.cmake
set(body "#include \"report/page_files.h\"\n\nnamespace docmill {\n")
foreach(name file IN ZIP_LISTS NAMES FILES)
  file(READ "${file}" text)
  # A script's hash is of its bytes, and a reader ends a script at the first such tag.
  if(text MATCHES "\r" OR (NOT name MATCHES "Html$" AND text MATCHES "</(script|style)|<!--"))
    message(FATAL_ERROR "${file}: holds a carriage return, or what would end it inside of HTML")
  endif()
  string(APPEND body "const std::string_view ${name} = R\"docmill(${text})docmill\";\n")
endforeach()
string(APPEND body "}  // namespace docmill\n")
file(WRITE "${OUTPUT}" "${body}")
