#include "obs/log.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/bytes.h"
#include "obs/line_writer.h"

namespace strata::obs {
namespace {

constexpr size_t kQueueBytes = 8 << 20;  // of lines that wait for stderr
constexpr size_t kFieldLimit = 1024;     // bytes of one field's value

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

size_t WriteToStderr(std::string_view lines) {
  while (!lines.empty()) {
    const ssize_t written = write(STDERR_FILENO, lines.data(), lines.size());
    if (written > 0) {
      lines.remove_prefix(static_cast<size_t>(written));
    } else if (errno == EAGAIN) {
      // Somebody else has made the pipe one that doesn't block.
      pollfd writable{STDERR_FILENO, POLLOUT, 0};
      poll(&writable, 1, -1);
    } else if (errno != EINTR) {
      break;
    }
  }
  return static_cast<size_t>(std::count(lines.begin(), lines.end(), '\n'));
}

std::string_view FileName(const std::source_location& location) {
  const std::string_view path = location.file_name();
  return path.substr(path.rfind('/') + 1);
}

}  // namespace

struct Logger::Queue {
  LineWriter writer{{.max_bytes = kQueueBytes}, &WriteToStderr};
};

Logger::Logger(LogFormat format, int verbosity)
    : format_(format),
      verbosity_(verbosity),
      clock_(system_clock_),
      queue_(std::make_unique<Queue>()) {}

Logger::Logger(LogFormat format, int verbosity, const base::Clock& clock, Sink sink)
    : format_(format), verbosity_(verbosity), clock_(clock), sink_(std::move(sink)) {}

Logger::~Logger() = default;

uint64_t Logger::dropped() const {
  if (queue_ == nullptr) return 0;
  const LineWriter::Stats stats = queue_->writer.stats()();
  return stats.dropped + stats.failed;
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
    line.push_back('\n');
    queue_->writer.Push(line);
  }
}

Logger& NullLogger() {
  static const base::FakeClock clock;
  static Logger logger(LogFormat::kText, -1, clock, [](std::string_view) {});
  return logger;
}

}  // namespace strata::obs
