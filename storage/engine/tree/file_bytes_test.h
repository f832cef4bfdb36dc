// The bytes of a file, for tests that look at them or damage them.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <string_view>

namespace strata::testing_support {

inline std::string ReadFile(const std::string& path) {
  std::string bytes(std::filesystem::file_size(path), '\0');
  const int file = open(path.c_str(), O_RDONLY);
  EXPECT_EQ(pread(file, bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  close(file);
  return bytes;
}

inline void WriteAt(const std::string& path, size_t at, std::string_view bytes) {
  const int file = open(path.c_str(), O_WRONLY);
  ASSERT_EQ(pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(at)),
            static_cast<ssize_t>(bytes.size()));
  close(file);
}

// Bits are counted from the file's beginning, a byte's lowest first.
inline void FlipBit(const std::string& path, size_t bit) {
  const int file = open(path.c_str(), O_RDWR);
  const auto at = static_cast<off_t>(bit / 8);
  char byte;
  ASSERT_EQ(pread(file, &byte, 1, at), 1);
  byte = static_cast<char>(byte ^ 1 << bit % 8);
  ASSERT_EQ(pwrite(file, &byte, 1, at), 1);
  close(file);
}

}  // namespace strata::testing_support
