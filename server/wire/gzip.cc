#include "server/wire/gzip.h"

#include <libdeflate.h>

#include <new>

#include "lib/base/ascii.h"
#include "lib/base/owned.h"

namespace strata::wire {

bool AcceptsGzip(std::string_view accept_encoding) {
  while (!accept_encoding.empty()) {
    if (base::Trim(base::TakeUntil(',', accept_encoding), " \t") == "gzip") return true;
  }
  return false;
}

std::string Gzip(std::string_view bytes) {
  const base::Owned<libdeflate_compressor, libdeflate_free_compressor> compressor(
      libdeflate_alloc_compressor(1));
  if (compressor == nullptr) throw std::bad_alloc();
  std::string out(libdeflate_gzip_compress_bound(compressor.get(), bytes.size()), '\0');
  out.resize(libdeflate_gzip_compress(compressor.get(), bytes.data(), bytes.size(), out.data(),
                                      out.size()));
  out.shrink_to_fit();
  return out;
}

}  // namespace strata::wire
