// strata-testdata: writes generated records into an etcd v3 API as fast as it takes them, or into
// files that `strata-storage load` reads.
#include <fmt/format.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <CLI/CLI.hpp>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "proto/etcd/rpc.grpc.pb.h"
#include "test/support/bad_records.h"
#include "test/support/records.h"

namespace strata::testing_support {
namespace {

struct Options {
  Shape shape;
  std::string server = "http://127.0.0.1:2379";
  std::string ca_file, cert_file, key_file;
  std::string prefix = "openshift.io";
  std::string directory;
  int jobs = 4;
  int bad = 0;
  int churn = 0;  // images a second
  bool names = false;
};

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Collects puts into transactions within etcd's limits, for one thread.
class Writer {
 public:
  explicit Writer(const std::shared_ptr<grpc::Channel>& channel)
      : stub_(etcdserverpb::KV::NewStub(channel)) {}

  bool Put(const Record& record) {
    constexpr int kMaxOps = 128;
    constexpr size_t kMaxBytes = 1 << 20;
    if (txn_.success_size() == kMaxOps || bytes_ + record.value.size() > kMaxBytes) {
      if (!Flush()) return false;
    }
    etcdserverpb::PutRequest& put = *txn_.add_success()->mutable_request_put();
    put.set_key(record.key);
    put.set_value(record.value);
    bytes_ += record.key.size() + record.value.size();
    return true;
  }

  bool Flush() {
    if (txn_.success_size() == 0) return true;
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    etcdserverpb::TxnResponse response;
    const grpc::Status status = stub_->Txn(&context, txn_, &response);
    if (!status.ok())
      std::fprintf(stderr, "strata-testdata: write: %s\n", status.error_message().c_str());
    txn_.Clear();
    bytes_ = 0;
    return status.ok();
  }

 private:
  const std::unique_ptr<etcdserverpb::KV::Stub> stub_;
  etcdserverpb::TxnRequest txn_;
  size_t bytes_ = 0;
};

std::shared_ptr<grpc::Channel> Connect(const Options& options) {
  std::string target = options.server;
  std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials();
  if (target.starts_with("https://")) {
    credentials = grpc::SslCredentials(
        {ReadFile(options.ca_file), ReadFile(options.key_file), ReadFile(options.cert_file)});
  }
  if (const size_t scheme = target.find("://"); scheme != std::string::npos)
    target.erase(0, scheme + 3);
  return grpc::CreateChannel(target, credentials);
}

// Of every kind of badness, `options.bad` images that are bad among the good ones of a good stream,
// and as many streams that are bad. They have numbers behind the good streams. Prints which.
bool WriteBad(const Options& options, const RecordGenerator& generator, Writer& writer) {
  int64_t number = options.shape.streams;
  for (const Badness badness : kAllBadness) {
    for (int i = 0; i < options.bad; ++i) {
      const auto with_bad_image = generator.Generate(number++);
      for (size_t n = 0; n < with_bad_image.images.size(); ++n) {
        Record record = ToRecord(with_bad_image.images[n], options.prefix);
        if (n == 0) {
          record = MakeBad(record, badness, static_cast<uint64_t>(number));
          fmt::print("{} image {} of {}/{}\n", NameOf(badness), record.name,
                     with_bad_image.stream.metadata.ns, with_bad_image.stream.metadata.name);
        }
        if (!writer.Put(record)) return false;
      }
      if (!writer.Put(ToRecord(with_bad_image.stream, options.prefix))) return false;

      const Record stream =
          MakeBad(ToRecord(generator.Generate(number++).stream, options.prefix), badness);
      fmt::print("{} stream {}/{}\n", NameOf(badness), stream.ns, stream.name);
      if (!writer.Put(stream)) return false;
    }
  }
  return true;
}

int WriteToStore(const Options& options) {
  const RecordGenerator generator(options.shape);
  const auto begin = std::chrono::steady_clock::now();
  std::atomic<int64_t> next_stream{0}, records{0}, bytes{0};
  std::atomic<bool> failed{false};
  const auto work = [&] {
    Writer writer(Connect(options));
    constexpr int64_t kStretch = 16;
    while (!failed) {
      const int64_t first = next_stream.fetch_add(kStretch);
      if (first >= options.shape.streams) break;
      RecordSequence sequence(generator, first, std::min(first + kStretch, options.shape.streams),
                              options.prefix);
      for (Record record; sequence.Next(record);) {
        if (!writer.Put(record)) {
          failed = true;
          return;
        }
        ++records;
        bytes += static_cast<int64_t>(record.value.size());
      }
    }
    if (!writer.Flush()) failed = true;
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < options.jobs; ++i) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
  if (!failed && options.bad > 0) {
    Writer writer(Connect(options));
    if (!WriteBad(options, generator, writer) || !writer.Flush()) failed = true;
  }
  if (failed) return 1;
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  std::fprintf(stderr, "%ld records, %.1f MB, %.1f s\n", records.load(),
               static_cast<double>(bytes) / 1e6, seconds);
  return 0;
}

// Writes the images again and again, each in a transaction of its own, until it is killed. They
// come at even distances; what a slow store delays is caught up with.
int Churn(const Options& options) {
  const RecordGenerator generator(options.shape);
  Writer writer(Connect(options));
  const auto gap = std::chrono::nanoseconds(1'000'000'000 / options.churn);
  auto due = std::chrono::steady_clock::now();
  for (;;) {
    RecordSequence sequence(generator, 0, -1, options.prefix);
    for (Record record; sequence.Next(record);) {
      if (record.kind != RecordKind::kImage) continue;
      std::this_thread::sleep_until(due += gap);
      if (!writer.Put(record) || !writer.Flush()) return 1;
    }
  }
}

int PrintNames(const Options& options) {
  const RecordGenerator generator(options.shape);
  for (int64_t i = 0; i < options.shape.streams; ++i) {
    const StreamName name = generator.NameOf(i);
    fmt::print("{}/{}\n", name.ns, name.name);
  }
  return 0;
}

int WriteToFiles(const Options& options) {
  constexpr int64_t kStreamsPerFile = 500;
  const RecordGenerator generator(options.shape);
  std::error_code error;
  std::filesystem::create_directories(options.directory, error);
  for (int64_t first = 0; first < options.shape.streams; first += kStreamsPerFile) {
    const std::string path = fmt::format("{}/records-{:06}.json", options.directory, first);
    std::ofstream file(path, std::ios::binary);
    for (int64_t i = first; i < std::min(first + kStreamsPerFile, options.shape.streams); ++i) {
      const auto generated = generator.Generate(i);
      for (const Image& image : generated.images) file << ToJson(image) << '\n';
      file << ToJson(generated.stream) << '\n';
    }
    file.close();
    if (!file) {
      std::fprintf(stderr, "strata-testdata: %s: can't be written\n", path.c_str());
      return 1;
    }
  }
  return 0;
}

int Main(int argc, char** argv) {
  Options options;
  CLI::App app{
      "Writes generated image and image stream records into an etcd v3 API, or into files.",
      "strata-testdata"};
  const std::map<std::string, Shape> sets = {
      {"A", DataSetA()}, {"B", DataSetB()}, {"C", DataSetC()}, {"D", DataSetD()}};
  std::string set;
  app.add_option(
         "--data-set", set,
         "A: 1,000 streams of 5 images; B: 100,000 images in 10,000 streams; C: one stream of "
         "2,000 images; D: 1,000,000 images in 50,000 streams. Give it first; the other options "
         "change it.")
      ->check(CLI::IsMember({"A", "B", "C", "D"}))
      ->each([&](const std::string& name) { options.shape = sets.at(name); })
      ->trigger_on_parse();
  Shape& shape = options.shape;
  app.add_option("--streams", shape.streams)->check(CLI::PositiveNumber);
  app.add_option("--images-per-stream", shape.images_per_stream)->check(CLI::NonNegativeNumber);
  app.add_option("--min-layers", shape.min_layers)->check(CLI::Range(0, 100));
  app.add_option("--max-layers", shape.max_layers)->check(CLI::Range(0, 100));
  app.add_option("--seed", shape.seed);
  app.add_option("--multi-arch", shape.multi_arch, "share of streams of multi-arch images")
      ->check(CLI::Range(0.0, 1.0));
  app.add_option("--missing", shape.missing, "share of images without a record")
      ->check(CLI::Range(0.0, 1.0));
  app.add_option("--conflicts", shape.conflicts,
                 "share of images with another media type for a shared layer")
      ->check(CLI::Range(0.0, 1.0));
  app.add_option("--bad", options.bad,
                 "this many bad images and bad streams of every kind, which are printed")
      ->check(CLI::Range(0, 1000));
  app.add_option("--etcd-servers", options.server, "one URL")->capture_default_str();
  app.add_option("--etcd-cafile", options.ca_file);
  app.add_option("--etcd-certfile", options.cert_file);
  app.add_option("--etcd-keyfile", options.key_file);
  app.add_option("--etcd-prefix", options.prefix)->capture_default_str();
  app.add_option("--jobs", options.jobs, "transactions in flight")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app.add_option("--files", options.directory, "write JSON into this directory instead");
  app.add_flag("--names", options.names, "print the streams' names instead");
  app.add_option("--churn", options.churn,
                 "write so many images a second, over and over, each at a revision of its own")
      ->check(CLI::Range(1, 100'000));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (shape.min_layers > shape.max_layers) {
    std::fprintf(stderr, "strata-testdata: --min-layers is more than --max-layers\n");
    return 2;
  }
  if (options.churn > 0 && options.shape.images_per_stream == 0) {
    std::fprintf(stderr, "strata-testdata: --churn needs images\n");
    return 2;
  }
  if (options.names) return PrintNames(options);
  if (options.churn > 0) return Churn(options);
  return options.directory.empty() ? WriteToStore(options) : WriteToFiles(options);
}

}  // namespace
}  // namespace strata::testing_support

int main(int argc, char** argv) {
  return strata::testing_support::Main(argc, argv);
}
