// Any key of a backend, and any prefix: what is taken for a record's has one key alone, which
// stands in the ranges of its kind and namespace.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "storage/records/keys.h"
#include "test/fuzz/input.h"

namespace {

using namespace strata::records;

bool Within(std::string_view key, const std::string& begin, const std::string& end) {
  return begin <= key && key < end;
}

void Check(const Keys& keys, std::string_view key) {
  const std::optional<Id> id = keys.Parse(key);
  if (!id) return;
  if (id->name.empty() || id->ns.empty() != (id->kind == Kind::kImage)) std::abort();
  if (keys.KeyOf(*id) != key || !Within(key, keys.begin(), keys.end())) std::abort();
  if (!Within(key, keys.begin_of_all(), keys.end_of_all())) std::abort();
  if (!Within(key, keys.BeginOf(id->kind), keys.EndOf(id->kind))) std::abort();
  if (!Within(key, keys.BeginOf(id->kind, id->ns), keys.EndOf(id->kind, id->ns))) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  strata::fuzz::Input input(data, size);
  const Keys keys(input.Text());
  const std::string rest(input.Rest());
  Check(keys, rest);
  for (const Kind kind : {Kind::kImage, Kind::kImageStream}) Check(keys, keys.BeginOf(kind) + rest);
  return 0;
}
