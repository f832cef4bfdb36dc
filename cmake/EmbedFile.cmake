# cmake -DINPUT=FILE -DOUTPUT=FILE.cc -DHEADER=PATH.h -DSYMBOL=NAME -P EmbedFile.cmake
# Writes a source that defines SYMBOL, a std::string_view declared in HEADER, as the bytes of INPUT.
file(READ ${INPUT} HEX_DIGITS HEX)
string(LENGTH "${HEX_DIGITS}" DIGITS)
math(EXPR SIZE "${DIGITS} / 2")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," BYTES "${HEX_DIGITS}")
file(WRITE ${OUTPUT} "#include \"${HEADER}\"\n
namespace { const unsigned char bytes[] = {${BYTES}}; }
const std::string_view ${SYMBOL}(reinterpret_cast<const char*>(bytes), ${SIZE});\n")
