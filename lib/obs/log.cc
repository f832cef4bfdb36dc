#include "lib/obs/log.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include "lib/base/bytes.h"
#include "lib/obs/line_writer.h"

namespace strata::obs {
namespace {

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

// Standard error.
class Logger::Output final : public LineWriter::Sink {
 public:
  Output(const Logger& logger, size_t max_bytes, Metrics& metrics)
      : logger_(logger),
        writer_({.max_bytes = max_bytes}, *this,
                metrics.AddGauge("strata_log_waiting_bytes",
                                 "Bytes of lines of the log that aren't written yet."),
                metrics.AddCounter(
                    "strata_log_lost_lines_total",
                    "Lines of the log that are lost: there was no room, or stderr failed.")) {}

  void Push(std::string line) {
    line.push_back('\n');
    writer_.Push(line);
  }

 private:
  size_t Write(std::string_view lines) override { return stderr_.Write(lines).lost_lines; }
  bool TellLost(uint64_t lines) override {
    return Write(logger_.Line('W', 0,
                              "Lines of the log were lost: stderr took too little, or failed",
                              {{"lines", lines}}) +
                 "\n") == 0;
  }

  const Logger& logger_;
  LineFile stderr_{STDERR_FILENO};
  LineWriter writer_;
};

Logger::Logger(const Options& options, Metrics& metrics)
    : format_(options.format),
      verbosity_(options.verbosity),
      clock_(system_clock_),
      output_(std::make_unique<Output>(*this, options.buffer_bytes, metrics)) {}

Logger::Logger(LogFormat format, int verbosity, const base::Clock& clock, Sink sink)
    : format_(format), verbosity_(verbosity), clock_(clock), sink_(std::move(sink)) {}

Logger::~Logger() = default;

void Logger::Write(char severity, int level, const Event& event, Fields fields) const {
  std::string line = Line(severity, level, event, fields);
  if (sink_) {
    sink_(line);
  } else {
    output_->Push(std::move(line));
  }
}

// klog's header: severity, date, time, thread, file:line (klog.go formatHeader); or
// component-base's JSON keys.
std::string Logger::Line(char severity, int level, const Event& event, Fields fields) const {
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
  return line;
}

Logger& NullLogger() {
  static const base::FakeClock clock;
  static Logger logger(LogFormat::kText, -1, clock, [](std::string_view) {});
  return logger;
}

}  // namespace strata::obs
