#include "storage/replica/store_history.h"

namespace strata::replica {

StoreHistory::StoreHistory(const engine::Store& store, const records::Keys& keys)
    : store_(store),
      reading_([&store](const auto look) { return store.Look(look); }, keys, records::Decode) {}

}  // namespace strata::replica
