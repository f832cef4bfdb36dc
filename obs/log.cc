#include "obs/log.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <spdlog/async.h>
#include <spdlog/async_logger.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <unistd.h>

#include <cstring>

#include "base/bytes.h"

namespace strata::obs {
namespace {

constexpr size_t kQueuedLines = 8192;
constexpr size_t kFieldLimit = 1024;  // bytes of one field's value

std::string Quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : base::Printable(text, kFieldLimit)) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  return out + "\"";
}

std::string ValueText(const Field& field) {
  return std::visit(
      [](const auto& v) -> std::string {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, std::string_view>) return Quoted(v);
        return fmt::format("{}", v);
      },
      field.value);
}

std::string_view FileName(const std::source_location& location) {
  const std::string_view path = location.file_name();
  return path.substr(path.rfind('/') + 1);
}

}  // namespace

struct Logger::Queue {
  std::shared_ptr<spdlog::details::thread_pool> pool;
  std::shared_ptr<spdlog::async_logger> logger;
};

Logger::Logger(LogFormat format, int verbosity)
    : format_(format),
      verbosity_(verbosity),
      clock_(system_clock_),
      queue_(std::make_unique<Queue>()) {
  queue_->pool = std::make_shared<spdlog::details::thread_pool>(kQueuedLines, 1);
  auto sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  queue_->logger = std::make_shared<spdlog::async_logger>(
      "strata", std::move(sink), queue_->pool, spdlog::async_overflow_policy::overrun_oldest);
  queue_->logger->set_pattern("%v");
  queue_->logger->flush_on(spdlog::level::info);
}

Logger::Logger(LogFormat format, int verbosity, const base::Clock& clock, Sink sink)
    : format_(format), verbosity_(verbosity), clock_(clock), sink_(std::move(sink)) {}

Logger::~Logger() = default;

uint64_t Logger::dropped() const {
  return queue_ ? queue_->pool->overrun_counter() : 0;
}

// klog's header: severity, date, time, thread, file:line (klog.go formatHeader); or
// component-base's JSON keys.
void Logger::Write(char severity, int level, const Event& event, Fields fields) const {
  using std::chrono::microseconds;
  const auto now = clock_.WallNow();
  const int64_t us = std::chrono::duration_cast<microseconds>(now.time_since_epoch()).count();
  std::string line;
  if (format_ == LogFormat::kText) {
    const auto time = fmt::gmtime(std::chrono::system_clock::to_time_t(now));
    line = fmt::format("{}{:%m%d %H:%M:%S}.{:06} {:>7} {}:{}] {}", severity, time, us % 1'000'000,
                       getpid(), FileName(event.location), event.location.line(),
                       Quoted(event.message));
    for (const Field& field : fields)
      fmt::format_to(std::back_inserter(line), " {}={}", field.key, ValueText(field));
  } else {
    line =
        fmt::format(R"({{"ts":{}.{:06},"caller":"{}:{}","level":"{}","msg":{},"v":{})",
                    us / 1'000'000, us % 1'000'000, FileName(event.location), event.location.line(),
                    severity == 'I'   ? "info"
                    : severity == 'W' ? "warning"
                                      : "error",
                    Quoted(event.message), level);
    for (const Field& field : fields)
      fmt::format_to(std::back_inserter(line), R"(,"{}":{})", field.key, ValueText(field));
    line.push_back('}');
  }
  if (sink_) {
    sink_(line);
  } else {
    queue_->logger->info(line);
  }
}

Logger& NullLogger() {
  static const base::FakeClock clock;
  static Logger logger(LogFormat::kText, -1, clock, [](std::string_view) {});
  return logger;
}

}  // namespace strata::obs
