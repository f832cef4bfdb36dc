# cmake -DGO=go -DMODULE=MODULE -DFILES=PATTERN -DOUTPUT=FILE -P crds.cmake, in this folder: a module's definitions,
# without what Helm would fill in.
execute_process(COMMAND ${GO} mod download -json ${MODULE} OUTPUT_VARIABLE DOWNLOADED COMMAND_ERROR_IS_FATAL ANY)
string(JSON FOLDER GET "${DOWNLOADED}" Dir)
file(GLOB FOUND ${FOLDER}/${FILES})
if(NOT FOUND)
  message(FATAL_ERROR "no definitions in ${FOLDER}/${FILES}")
endif()
# The end of a document first: a file's last line is Helm's.
execute_process(COMMAND sed -s "\$a---\n/{{/d" ${FOUND} OUTPUT_FILE ${OUTPUT} COMMAND_ERROR_IS_FATAL ANY)
