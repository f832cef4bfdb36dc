#include "server/start/flags.h"

#include <CLI/CLI.hpp>

#include "server/start/flag_groups.h"

namespace strata::start {
namespace {

void AddAuditFlags(CLI::App& app, Flags& flags) {
  CLI::App& group = *app.add_option_group("Auditing");
  AddFile(group, "--audit-policy-file", flags.audit_policy_file,
          "Which requests are logged: a Policy of audit.k8s.io/v1");
  AddFile(group, "--audit-log-path", flags.audit.path,
          "Where they are logged, a line of JSON for each event; -: standard output");
  group
      .add_option("--audit-log-maxsize", flags.audit.max_size_mb,
                  "Megabytes after which the file is turned over; 0: never")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  group.add_option("--audit-log-maxbackup", flags.audit.max_backups, "Old files that stay; 0: all")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  group
      .add_option("--audit-log-maxage", flags.audit.max_age_days,
                  "Days that old files stay; 0: for ever")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  group
      .add_option("--audit-log-batch-buffer-size", flags.audit.max_queued,
                  "Events that may wait for the disk; more are dropped, and counted")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  group
      .add_option("--audit-log-batch-buffer-bytes", flags.audit.max_queued_bytes,
                  "Bytes of events that may wait for the disk; more are dropped, and counted")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
}

}  // namespace

void AddFlags(CLI::App& app, Flags& flags) {
  // As with pflag, so that manifests can be added to.
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  // Read before the parser sees anything (arguments.h); here for --help.
  app.add_option("--config", "File of flags, YAML: their names without dashes, and values")
      ->type_name("FILE");
  AddServingFlags(app, flags);
  AddRecordFlags(app, flags);
  AddIdentityFlags(app, flags);
  AddAuditFlags(app, flags);
  CLI::App& group = *app.add_option_group("Log");
  group
      .add_option("-v,--v", flags.verbosity,
                  "Verbosity: 2 tells of refused credentials, 3 of each request")
      ->capture_default_str();
  group.add_option("--log-format,--logging-format", flags.log_format, "Form of the log")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  group
      .add_option("--log-buffer-bytes", flags.log_buffer_bytes,
                  "Bytes of lines that may wait for stderr; more are lost, counted, and said")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
}

base::Status Complete(Flags& flags) {
  STRATA_RETURN_IF_ERROR(CompleteRecords(flags));
  STRATA_RETURN_IF_ERROR(CompleteServing(flags));
  STRATA_RETURN_IF_ERROR(CompleteIdentity(flags));
  if (flags.audit_policy_file.empty() != flags.audit.path.empty()) {
    return base::InvalidArgumentError(
        "--audit-policy-file and --audit-log-path go together: what is logged, and where");
  }
  return base::OkStatus();
}

}  // namespace strata::start
