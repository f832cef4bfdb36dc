#include "storage/tool/identity.h"

#include <sys/random.h>

#include <array>
#include <cstdlib>

#include "lib/base/bytes.h"

namespace strata::tool {

void KeepIdentity(const ObjectMeta* existing, std::string_view new_uid, int64_t now,
                  ObjectMeta& metadata) {
  if (metadata.uid().empty())
    metadata.set_uid(existing != nullptr ? existing->uid() : std::string(new_uid));
  const int64_t created = existing != nullptr ? existing->creation_timestamp().seconds() : now;
  if (metadata.creation_timestamp().seconds() == 0 && created != 0) {
    metadata.mutable_creation_timestamp()->set_seconds(created);
    metadata.mutable_creation_timestamp()->set_nanos(0);
  }
}

std::string NewUid() {
  std::array<char, 16> bytes{};
  // 16 bytes never come short (getrandom(2)).
  if (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) std::abort();
  bytes[6] = static_cast<char>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<char>((bytes[8] & 0x3f) | 0x80);
  std::string text = base::ToHex(std::string_view(bytes.data(), bytes.size()));
  for (const size_t at : {20, 16, 12, 8}) text.insert(at, 1, '-');
  return text;
}

}  // namespace strata::tool
