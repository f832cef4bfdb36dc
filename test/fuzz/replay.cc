// Runs a fuzz target's entry point without libFuzzer, so that ordinary builds exercise it: every
// file of the given folders, and of each file its prefixes and a fixed set of single-byte changes,
// but of those that a fuzzer has learnt (keep.py), which come of such changes. Deterministic;
// seconds at most.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

void Run(const std::string& input) {
  // A copy of exactly the input's size, so that a sanitizer sees an over-read.
  const std::vector<uint8_t> bytes(input.begin(), input.end());
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
}

void RunWithMutations(const std::string& seed, std::chrono::steady_clock::time_point until) {
  Run(seed);
  const size_t step = std::max<size_t>(1, seed.size() / 400);
  for (size_t i = 0; i < seed.size() && std::chrono::steady_clock::now() < until; i += step) {
    Run(seed.substr(0, i));
    for (const char change : {'\0', '\x01', '\x7f', '\x80', '\xff'}) {
      std::string mutated = seed;
      mutated[i] = static_cast<char>(mutated[i] ^ change);
      Run(mutated);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::filesystem::path> seeds;
  for (int i = 1; i < argc; ++i) {
    if (!std::filesystem::is_directory(argv[i])) continue;
    for (const auto& entry : std::filesystem::directory_iterator(argv[i]))
      seeds.push_back(entry.path());
  }
  if (seeds.empty()) {
    std::fprintf(stderr, "no corpus: give at least one folder that holds seeds\n");
    return 1;
  }
  std::sort(seeds.begin(), seeds.end());
  Run("");
  const auto share = std::chrono::milliseconds(20'000) / static_cast<int>(seeds.size());
  for (const auto& path : seeds) {
    std::ifstream file(path, std::ios::binary);
    const std::string seed{std::istreambuf_iterator<char>(file), {}};
    if (path.filename().string().starts_with("learnt-")) {
      Run(seed);
    } else {
      RunWithMutations(seed, std::chrono::steady_clock::now() + share);
    }
  }
  std::printf("%zu seeds replayed\n", seeds.size());
  return 0;
}
