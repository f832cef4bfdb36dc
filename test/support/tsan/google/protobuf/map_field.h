// Stands before protobuf's own header under ThreadSanitizer, which changes the layout of its map
// fields there: Debian's library is built without it, and reading maps by reflection would crash.
#pragma once

#pragma push_macro("__SANITIZE_THREAD__")
#undef __SANITIZE_THREAD__
#include_next <google/protobuf/map_field.h>
#pragma pop_macro("__SANITIZE_THREAD__")
