# cmake -DGO=go -DOUTPUT=FILE -P crds.cmake, in this folder: cert-manager's definitions, without what Helm would fill in.
execute_process(COMMAND ${GO} mod download -json github.com/cert-manager/cert-manager
                OUTPUT_VARIABLE DOWNLOADED COMMAND_ERROR_IS_FATAL ANY)
string(JSON FOLDER GET "${DOWNLOADED}" Dir)
file(GLOB FILES ${FOLDER}/deploy/crds/crd-*.yaml)
if(NOT FILES)
  message(FATAL_ERROR "no definitions in ${FOLDER}/deploy/crds")
endif()
# The end of a document first: a file's last line is Helm's.
execute_process(COMMAND sed -s "\$a---\n/{{/d" ${FILES} OUTPUT_FILE ${OUTPUT} COMMAND_ERROR_IS_FATAL ANY)
