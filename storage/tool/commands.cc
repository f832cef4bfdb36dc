#include "storage/tool/commands.h"

#include <fmt/format.h>
#include <google/protobuf/stubs/logging.h>

#include <CLI/CLI.hpp>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/bytes.h"
#include "lib/base/clock.h"
#include "lib/obs/log.h"
#include "lib/obs/metrics.h"
#include "storage/command_line/etcd_flags.h"
#include "storage/tool/connection.h"
#include "storage/tool/console.h"
#include "storage/tool/dump.h"
#include "storage/tool/exit.h"
#include "storage/tool/load.h"
#include "storage/tool/raw.h"
#include "storage/tool/restore_commands.h"
#include "storage/tool/verify.h"

namespace strata::tool {
namespace {

command_line::EtcdFlags EtcdFlagsOf(ConnectOptions& options) {
  return {options.etcd, options.prefix, options.password_file};
}

std::shared_ptr<ConnectOptions> AddConnectFlags(CLI::App& command, bool makes_directory) {
  auto options = std::make_shared<ConnectOptions>();
  CLI::App& group = *command.add_option_group("Store");
  CLI::Option* servers = command_line::AddEtcdFlags(group, EtcdFlagsOf(*options));
  CLI::Option* directory =
      group
          .add_option(
              "--data-dir", options->data_dir,
              makes_directory
                  ? "Directory of an embedded store that isn't running; made if it isn't there"
                  : "Directory of an embedded store that isn't running")
          ->type_name("DIR")
          ->excludes(servers);
  options->look_only = !makes_directory;
  if (!makes_directory) directory->check(CLI::ExistingDirectory);
  return options;
}

// Opens the store, runs `work` with it, and says what went wrong.
int WithStore(ConnectOptions& options,
              const std::function<int(Connection&, const base::Clock&)>& work) {
  if (options.etcd.endpoints.empty() && options.data_dir.empty())
    return Fail("one of --etcd-servers and --data-dir is needed: where are the records?",
                kBadUsage);
  if (const base::Status usable = command_line::CompleteEtcdFlags(EtcdFlagsOf(options));
      !usable.ok()) {
    return Fail(base::Message(usable), kBadUsage);
  }
  // What gRPC would log is in the errors that it returns. Before its first use; people may ask for
  // more. The same of protobuf.
  setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);
  google::protobuf::SetLogHandler(nullptr);
  const base::SystemClock clock;
  obs::Metrics metrics;
  auto connection = Connection::Open(options, clock, obs::NullLogger(), metrics);
  if (!connection.ok()) {
    const bool usage = connection.status().code() == base::StatusCode::kInvalidArgument;
    return Fail(base::Message(connection.status()), usage ? kBadUsage : kFailed);
  }
  return work(**connection, clock);
}

std::string Skips(const std::map<std::string, int64_t>& skipped) {
  int64_t all = 0;
  std::string kinds;
  for (const auto& [kind, count] : skipped) {
    all += count;
    kinds += fmt::format("{}{} {}", kinds.empty() ? "" : ", ", count, kind);
  }
  return fmt::format("passed over {} document{} of other kinds: {}", all, all == 1 ? "" : "s",
                     kinds);
}

int LoadRaw(const LoadOptions& options, RecordStore& store, const base::Clock& clock) {
  Console console(clock);
  RawCounts counts;
  base::Status status;
  for (const std::string& input : options.inputs) {
    status = tool::LoadRaw(store, input, options.max_input_bytes, console, counts);
    if (!status.ok()) break;
  }
  console.Line(fmt::format("{} written, {} unchanged, {} bad", counts.written, counts.unchanged,
                           counts.bad));
  if (!status.ok()) return Fail(base::Message(status));
  return counts.bad == 0 ? 0 : kFailed;
}

int Load(const LoadOptions& options, RecordStore& store, const base::Clock& clock) {
  Console console(clock);
  Loader loader(store, options, clock, console);
  const base::Status status = loader.Run();
  const LoadCounts& counts = loader.counts();
  if (!counts.skipped.empty()) console.Line(Skips(counts.skipped));
  // Before an error, so that this stays the last line.
  console.Line(fmt::format("{} written, {} unchanged, {} bad", counts.written, counts.unchanged,
                           counts.bad));
  if (!status.ok()) return Fail(base::Message(status));
  if (counts.written + counts.unchanged + counts.bad == 0 && !counts.skipped.empty()) {
    return Fail(fmt::format("nothing was loaded: {} holds no Image and no ImageStream of {}",
                            fmt::join(options.inputs, ", "), records::kApiVersion));
  }
  return counts.bad == 0 ? 0 : kFailed;
}

void AddLoad(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("load", "Write Images and ImageStreams from YAML or JSON");
  command->footer(
      "Reads what `oc get is,images -A -o yaml`, a must-gather or plain manifests hold: YAML and "
      "JSON, many documents,\n"
      "Lists, gzipped or not; of directories all *.yaml, *.yml and *.json below them. Documents of "
      "other kinds are passed\n"
      "over. What the store has already isn't written again. Bad documents are reported with file "
      "and line, and the others\n"
      "loaded; the exit code is 1 then.\n\n"
      "  strata-storage load --data-dir=/var/lib/strata deploy/samples\n"
      "  oc get is,images -A -o yaml | strata-storage load --etcd-servers=http://127.0.0.1:2379 -");
  auto options = std::make_shared<LoadOptions>();
  command->add_option("FILE", options->inputs, "Files or directories; - is stdin")->required();
  command
      ->add_option("--namespace,-n", options->default_namespace,
                   "Namespace of streams that don't say theirs")
      ->type_name("NAME");
  command->add_option("--max-input-bytes", options->max_input_bytes, "Most of one file, unpacked")
      ->transform(CLI::AsSizeValue(false))
      ->type_name("BYTES");
  auto raw = std::make_shared<bool>(false);
  command->add_flag("--raw", *raw, "The files are what dump --raw writes: any keys, as they are");
  auto connect = AddConnectFlags(*command, true);
  command->callback([options, raw, connect, &exit_code] {
    exit_code = WithStore(*connect, [&](Connection& connection, const base::Clock& clock) {
      return *raw ? LoadRaw(*options, connection.store(), clock)
                  : Load(*options, connection.store(), clock);
    });
  });
}

// What the tool's users may call them.
const std::map<std::string, records::Kind>& Kinds() {
  static const auto kinds = [] {
    std::map<std::string, records::Kind> all;
    for (const records::KindNames& names : records::kKinds) {
      for (const std::string_view name : {names.singular, names.resource, names.short_name})
        if (!name.empty()) all.emplace(name, names.kind);
    }
    return all;
  }();
  return kinds;
}

struct DumpFlags {
  DumpOptions options;
  std::string kind;
  std::string format = "yaml";
  std::string file;
  bool gzip = false;
  bool raw = false;
  std::string key_prefix;
};

int Dump(const DumpFlags& flags, RecordStore& store, const base::Clock& clock) {
  DumpOptions options = flags.options;
  if (!flags.kind.empty()) options.kind = Kinds().at(flags.kind);
  options.format = flags.format == "json" ? Format::kJson : Format::kYaml;
  std::unique_ptr<OutputFile> file;  // null: stdout
  if (!flags.file.empty()) {
    auto made = OutputFile::Make(flags.file);
    if (!made.ok()) return Fail(fmt::format("--file: {}", base::Message(made.status())));
    file = *std::move(made);
  }
  Console console(clock);
  Output output(file != nullptr ? file->stream() : stdout, flags.gzip);
  DumpCounts counts;
  base::Status status = flags.raw ? DumpRaw(store, flags.key_prefix, output).status()
                                  : tool::Dump(store, options, output, console, counts);
  if (status.ok()) status = output.Finish();
  if (status.ok() && file != nullptr) status = file->Keep();
  if (counts.unreadable > 0) console.Line(fmt::format("{} unreadable records", counts.unreadable));
  if (!status.ok()) return Fail(base::Message(status));
  return counts.unreadable == 0 ? 0 : kFailed;
}

void AddDump(CLI::App& app, int& exit_code) {
  CLI::App* command =
      app.add_subcommand("dump", "Print Images and ImageStreams in the form that load reads");
  command->footer(
      "All records are of one revision. Unreadable ones are reported on stderr; the exit code is 1 "
      "then.");
  auto flags = std::make_shared<DumpFlags>();
  command->add_option("KIND", flags->kind, "images or imagestreams; else both")
      ->check(CLI::IsMember(Kinds()));
  command->add_option("--namespace,-n", flags->options.ns, "Only streams of this namespace")
      ->type_name("NAME");
  command->add_option("-o,--output", flags->format, "yaml: documents; json: one List")
      ->check(CLI::IsMember({"yaml", "json"}))
      ->capture_default_str();
  command->add_flag("--gzip", flags->gzip, "Compress");
  command->add_flag("--raw", flags->raw,
                    "All keys and their values, not only ours, as they are: a line of JSON for "
                    "each, in base64, and one that counts them");
  command->add_option("--key-prefix", flags->key_prefix, "With --raw: only keys that begin with it")
      ->type_name("PREFIX");
  command
      ->add_option("--file", flags->file,
                   "Where to; else stdout. It is there when it is whole, for its owner alone")
      ->type_name("FILE");
  auto connect = AddConnectFlags(*command, false);
  command->callback([flags, connect, &exit_code] {
    exit_code = WithStore(*connect, [&](Connection& connection, const base::Clock& clock) {
      return Dump(*flags, connection.store(), clock);
    });
  });
}

struct GetFlags {
  std::string what, name, ns;
  std::string format = "yaml";
};

// A key as it stands, or a record.
struct Wanted {
  std::string key;  // empty: `id`
  records::Id id;
};

// An error is one of usage.
base::StatusOr<Wanted> ReadWanted(const GetFlags& flags) {
  const auto wrong = [](std::string_view what) {
    return base::InvalidArgumentError(fmt::format("get: {}", what));
  };
  if (flags.what.starts_with('/')) {
    if (!flags.name.empty()) return wrong("give a key, or a kind and a name");
    return Wanted{flags.what, {}};
  }
  const auto kind = Kinds().find(flags.what);
  if (kind == Kinds().end()) {
    return wrong(
        fmt::format("{} is neither image, imagestream nor a key, which begins with /", flags.what));
  }
  records::Id id{kind->second, flags.ns, flags.name};
  if (const size_t slash = flags.name.find('/'); slash != std::string::npos) {
    id.ns = flags.name.substr(0, slash);
    id.name = flags.name.substr(slash + 1);
  }
  if (id.name.empty()) return wrong("give a name");
  if ((id.kind == records::Kind::kImageStream) == id.ns.empty()) {
    return wrong(id.ns.empty() ? "image streams are named NAMESPACE/NAME"
                               : "images have no namespace");
  }
  return Wanted{"", std::move(id)};
}

int Get(const Wanted& wanted, std::string_view output_format, RecordStore& store) {
  const bool raw = output_format == "raw";
  const Format format = output_format == "json" ? Format::kJson : Format::kYaml;
  base::StatusOr<std::string> text = std::string();
  if (!wanted.key.empty()) {
    text = raw ? RawValue(store, wanted.key) : PrintKey(store, wanted.key, format);
  } else {
    text = raw ? RawValue(store, wanted.id) : PrintRecord(store, wanted.id, format);
  }
  if (!text.ok()) return Fail(base::Message(text.status()));
  Output output(stdout, false);
  base::Status status = output.Write(*text);
  if (status.ok()) status = output.Finish();
  return status.ok() ? 0 : Fail(base::Message(status));
}

void AddGet(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("get", "Print one record");
  command->footer(
      "  strata-storage get imagestream demo/nodejs --data-dir=/var/lib/strata\n"
      "  strata-storage get /openshift.io/images/sha256:… -o raw "
      "--etcd-servers=http://127.0.0.1:2379");
  auto flags = std::make_shared<GetFlags>();
  command->add_option("KIND", flags->what, "image, imagestream (is), or a key of the store")
      ->required();
  command->add_option("NAME", flags->name, "NAME of an image, NAMESPACE/NAME of a stream");
  command->add_option("--namespace,-n", flags->ns, "Namespace of the stream")->type_name("NAME");
  command
      ->add_option("-o,--output", flags->format, "yaml, json, or raw: the bytes as they are stored")
      ->check(CLI::IsMember({"yaml", "json", "raw"}))
      ->capture_default_str();
  auto connect = AddConnectFlags(*command, false);
  command->callback([flags, connect, &exit_code] {
    const auto wanted = ReadWanted(*flags);
    if (!wanted.ok()) {
      exit_code = Fail(base::Message(wanted.status()), kBadUsage);
      return;
    }
    exit_code = WithStore(*connect, [&](Connection& connection, const base::Clock&) {
      return Get(*wanted, flags->format, connection.store());
    });
  });
}

void AddVerify(CLI::App& app, int& exit_code) {
  CLI::App* command =
      app.add_subcommand("verify", "Look for records that can't be read or name what isn't there");
  command->footer(
      "Reads everything, and counts it by namespace. Of a data directory all checksums are "
      "verified too.\n"
      "The exit code is 1 if records can't be read; what is named and missing is only told.");
  auto format = std::make_shared<std::string>("table");
  command->add_option("-o,--output", *format, "table or json")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  auto connect = AddConnectFlags(*command, false);
  command->callback([format, connect, &exit_code] {
    exit_code = WithStore(*connect, [&](Connection& connection, const base::Clock&) {
      if (const base::Status whole = connection.VerifyFile(); !whole.ok())
        return Fail(base::Message(whole));
      const auto found = Verify(connection.store());
      if (!found.ok()) return Fail(base::Message(found.status()));
      Output output(stdout, false);
      base::Status status = output.Write(*format == "json" ? AsJson(*found) : AsTable(*found));
      if (status.ok()) status = output.Finish();
      if (!status.ok()) return Fail(base::Message(status));
      return found->unreadable == 0 ? 0 : kFailed;
    });
  });
}

}  // namespace

void AddCommands(CLI::App& app, int& exit_code) {
  // As with pflag: of a flag that is given twice the last counts, and lists grow.
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  AddLoad(app, exit_code);
  AddDump(app, exit_code);
  AddGet(app, exit_code);
  AddVerify(app, exit_code);
  AddRestore(app, exit_code);
  AddRecover(app, exit_code);
  AddPrune(app, exit_code);
}

}  // namespace strata::tool
