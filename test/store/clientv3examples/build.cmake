# cmake -DGO=PATH -DOUTPUT=FILE -P build.cmake: the examples of etcd's client, of the version that test/go.mod names,
# as a test program. Their module isn't in go.mod, for nothing imports it; Go checks it against the checksum database.
set(HERE ${CMAKE_CURRENT_LIST_DIR})
execute_process(COMMAND ${GO} list -m -f "{{.Version}}" go.etcd.io/etcd/client/v3 WORKING_DIRECTORY ${HERE}
                OUTPUT_VARIABLE VERSION OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
get_filename_component(BUILD ${OUTPUT} DIRECTORY)
execute_process(COMMAND ${GO} mod download -json go.etcd.io/etcd/tests/v3@${VERSION} WORKING_DIRECTORY ${BUILD}
                OUTPUT_VARIABLE MODULE COMMAND_ERROR_IS_FATAL ANY)
string(JSON MODULE GET ${MODULE} Dir)
# Not those of users, of three members, of TLS files and of metrics that the client counts.
set(OVERLAY "{}")
set(REPLACE "{}")
foreach(NAME kv lease watch maintenance)
  set(FILE example_${NAME}_test.go)
  string(JSON REPLACE SET ${REPLACE} ${HERE}/${FILE} "\"${MODULE}/integration/clientv3/examples/${FILE}\"")
endforeach()
string(JSON OVERLAY SET ${OVERLAY} Replace ${REPLACE})
file(WRITE ${OUTPUT}.overlay.json ${OVERLAY})
execute_process(COMMAND ${GO} test -c -overlay ${OUTPUT}.overlay.json -o ${OUTPUT} . WORKING_DIRECTORY ${HERE}
                COMMAND_ERROR_IS_FATAL ANY)
