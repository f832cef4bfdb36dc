#include "storage/tool/restore_commands.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include <memory>
#include <string>

#include "lib/base/bytes.h"
#include "lib/base/clock.h"
#include "storage/tool/exit.h"
#include "storage/tool/prune.h"
#include "storage/tool/recover.h"
#include "storage/tool/restore.h"

namespace strata::tool {
namespace {

// What etcdutl has too.
constexpr const char* kBothOrNeither =
    "--mark-compacted is required if --bump-revision > 0, and disallowed otherwise: give both or "
    "neither";

void AddBump(CLI::App& command, base::Revision& bump, bool& mark_compacted) {
  command
      .add_option("--bump-revision", bump, "How much to increase the latest revision after restore")
      ->check(CLI::NonNegativeNumber)
      ->type_name("N");
  command.add_flag("--mark-compacted", mark_compacted,
                   "Mark the latest revision after restore as compacted (required if "
                   "--bump-revision > 0, disallowed otherwise)");
}

struct RecoverFlags {
  std::string damaged, directory;
  RecoverOptions options;
  bool mark_compacted = false;
};

int RunRecover(const RecoverFlags& flags) {
  if (flags.mark_compacted != (flags.options.bump_revision > 0))
    return Fail(fmt::format("recover: {}", kBothOrNeither), kBadUsage);
  const auto recovered =
      Recover(flags.damaged, flags.directory, flags.options, base::SystemClock(),
              [](std::string_view line) { fmt::print("{}\n", base::Printable(line, 2000)); });
  if (!recovered.ok()) return Fail(fmt::format("recover: {}", base::Message(recovered.status())));
  fmt::print("{}: {} unreadable, {} lost, revision {}\n",
             flags.options.dry_run
                 ? "nothing was made"
                 : fmt::format("recovered {} changes into {}", recovered->changes, flags.directory),
             recovered->unreadable, recovered->lost, recovered->revision);
  return 0;
}

}  // namespace

void AddRestore(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand(
      "restore", "Make a data directory of a snapshot that a store, or an etcd, has sent");
  command->footer(
      "  etcdctl --endpoints=http://127.0.0.1:2379 snapshot save strata.db\n"
      "  strata-storage restore strata.db --data-dir=/var/lib/strata/restored\n"
      "Of an etcd's snapshot the whole history comes along, with its revisions and leases.\n"
      "For a kube-apiserver's store, whose clients would go on with what they saw after the "
      "snapshot:\n"
      "  strata-storage restore strata.db --data-dir=DIR --bump-revision=1000000000 "
      "--mark-compacted");
  struct Flags {
    std::string file, directory;
    RestoreOptions options;
    bool mark_compacted = false;
  };
  auto flags = std::make_shared<Flags>();
  command->add_option("FILE", flags->file, "The snapshot")->required();
  command
      ->add_option("--data-dir", flags->directory,
                   "Directory to make; it may not be there, or be empty")
      ->required()
      ->type_name("DIR");
  AddBump(*command, flags->options.bump_revision, flags->mark_compacted);
  command->callback([flags, &exit_code] {
    if (flags->mark_compacted != (flags->options.bump_revision > 0)) {
      exit_code = Fail(fmt::format("restore: {}", kBothOrNeither), kBadUsage);
      return;
    }
    const auto restored =
        Restore(flags->file, flags->directory, flags->options, base::SystemClock());
    if (!restored.ok()) {
      exit_code = Fail(fmt::format("restore: {}", base::Message(restored.status())));
      return;
    }
    fmt::print(stderr, "restored revision {}, {} bytes, into {}\n", restored->revision,
               restored->bytes, flags->directory);
  });
}

void AddRecover(CLI::App& app, int& exit_code) {
  CLI::App* command =
      app.add_subcommand("recover", "Make a data directory of what can be read of a damaged one");
  command->footer(
      "  strata-storage recover /var/lib/strata/store --data-dir=/var/lib/strata/recovered "
      "--dry-run\n"
      "Says what is given up, a line for each page, record of the log, and change; the damaged "
      "directory stays as it is.\n"
      "A snapshot that is new enough is better: see restore, also for --bump-revision.");
  auto flags = std::make_shared<RecoverFlags>();
  command->add_option("DIR", flags->damaged, "The damaged directory, whose store isn't running")
      ->required()
      ->check(CLI::ExistingDirectory);
  command
      ->add_option("--data-dir", flags->directory,
                   "Directory to make; it may not be there, or be empty")
      ->required()
      ->type_name("DIR");
  command->add_flag("--dry-run", flags->options.dry_run,
                    "Only say what would be given up; needs the room all the same");
  AddBump(*command, flags->options.bump_revision, flags->mark_compacted);
  command->callback([flags, &exit_code] { exit_code = RunRecover(*flags); });
}

void AddPrune(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("prune", "Remove the oldest snapshots of a directory");
  command->footer(
      "  strata-storage prune /backup --prefix=strata-backup- --keep=28\n"
      "Fewer are kept where the next one, half as large again, wouldn't have room; the newest "
      "stays. What a cut off\n"
      "`etcdctl snapshot save` left, *.db.part, is removed once it is an hour old.");
  auto options = std::make_shared<PruneOptions>();
  command->add_option("DIR", options->directory, "Where the snapshots are, *.db")
      ->required()
      ->type_name("DIR");
  command
      ->add_option("--prefix", options->prefix,
                   "What their names begin with; whatever is called otherwise stays")
      ->required()
      ->type_name("PREFIX");
  command->add_option("--keep", options->keep, "How many to keep, the newest ones")
      ->required()
      ->check(CLI::Range(size_t{1}, size_t{1} << 20))
      ->type_name("N");
  command->callback([options, &exit_code] {
    const auto pruned = Prune(*options);
    if (!pruned.ok()) {
      exit_code = Fail(fmt::format("prune: {}", base::Message(pruned.status())));
      return;
    }
    for (const std::string& name : pruned->removed)
      fmt::print("removed {}\n", base::Printable(name, 300));
    for (const std::string& name : pruned->kept)
      fmt::print("kept {}\n", base::Printable(name, 300));
  });
}

}  // namespace strata::tool
