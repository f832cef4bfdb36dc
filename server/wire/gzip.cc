#include "server/wire/gzip.h"

#include <libdeflate.h>

#include <memory>
#include <new>

namespace strata::wire {

bool AcceptsGzip(std::string_view accept_encoding) {
  while (!accept_encoding.empty()) {
    const size_t comma = accept_encoding.find(',');
    std::string_view token = accept_encoding.substr(0, comma);
    const size_t first = token.find_first_not_of(" \t");
    if (first != std::string_view::npos) {
      token = token.substr(first, token.find_last_not_of(" \t") - first + 1);
      if (token == "gzip") return true;
    }
    if (comma == std::string_view::npos) break;
    accept_encoding.remove_prefix(comma + 1);
  }
  return false;
}

std::string Gzip(std::string_view bytes) {
  const std::unique_ptr<libdeflate_compressor, decltype(&libdeflate_free_compressor)> compressor(
      libdeflate_alloc_compressor(1), &libdeflate_free_compressor);
  if (compressor == nullptr) throw std::bad_alloc();
  std::string out(libdeflate_gzip_compress_bound(compressor.get(), bytes.size()), '\0');
  out.resize(libdeflate_gzip_compress(compressor.get(), bytes.data(), bytes.size(), out.data(),
                                      out.size()));
  out.shrink_to_fit();
  return out;
}

}  // namespace strata::wire
