// Reads the file of a bbolt database, etcd's (go.etcd.io/bbolt page.go, bucket.go): there is no
// library for it but Go's own. Every offset is checked, whatever the file holds.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "lib/base/status.h"

namespace strata::tool {

// Whether `head`, the first bytes of a file, are those of such a database.
bool IsBolt(std::string_view head);

class Bolt {
 public:
  // Over all of the file's bytes, which must outlive this.
  static base::StatusOr<Bolt> Open(std::string_view file);

  // Calls `visit` with the keys and values of a bucket of the root, in order, until it returns an
  // error. NotFound if there is no such bucket.
  using Visit = std::function<base::Status(std::string_view key, std::string_view value)>;
  base::Status ForEach(std::string_view bucket, const Visit& visit) const;

 private:
  struct Element {
    std::string_view key, value;
    uint64_t page = 0;  // of a branch
  };

  explicit Bolt(std::string_view file) : file_(file) {}
  base::Status ReadMeta(uint64_t page, uint64_t* newest);
  // The page with all that overflows from it.
  base::StatusOr<std::string_view> PageAt(uint64_t page) const;
  base::Status WalkPage(std::string_view page, int depth, uint64_t* left, const Visit& visit,
                        bool buckets) const;
  base::Status WalkRoot(uint64_t page, const Visit& visit, bool buckets) const;

  std::string_view file_;
  uint64_t page_size_ = 0;
  uint64_t root_ = 0;
};

}  // namespace strata::tool
