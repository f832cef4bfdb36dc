// What a disk holds of some files, and what of that is there when the power fails (disk_faults.cc
// says how it is asked for).
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "test/support/disk_faults/steps.h"

namespace strata::disk_faults {

class Disk {
 public:
  Disk() : shadow_(Setting("DISK_SHADOW")) {
    std::istringstream names(Setting("DISK_FILES"));
    for (std::string name; std::getline(names, name, ',');) {
      ours_.insert(name);
      const int shadow = OpenShadow(name, 0);
      if (shadow >= 0 || shadow_.empty()) files_[name] = all_.emplace_back(new File{shadow, {}});
    }
    ParseFail(Setting("DISK_FAIL"));
    if (const std::string log = Setting("DISK_CUTS"); !log.empty())
      log_ = Real<int(const char*, int, ...)>("open")(
          log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  }

  void Opened(const std::string& path, int fd, int flags) {
    const std::lock_guard lock(mu_);
    if (fd < 0) return;
    if ((flags & O_DIRECTORY) != 0) directories_[fd] = path;
    const std::string name = NameOf(path);
    if (!ours_.contains(name)) return;
    File*& file = files_[name];
    // One that was there and is cut to nothing passes for another of its name.
    if (file == nullptr || (flags & O_TRUNC) != 0) Make(file, path);
    fds_[fd] = {name, file, (flags & O_DSYNC) != 0};
  }
  void Renamed(const std::string& from, const std::string& to) {
    const std::lock_guard lock(mu_);
    if (!ours_.contains(NameOf(from)) || !ours_.contains(NameOf(to))) return;
    names_.push_back({from, to});
    files_[NameOf(to)] = std::exchange(files_[NameOf(from)], nullptr);
    Step("rename", NameOf(from));
  }
  void Removed(const std::string& path) {
    const std::lock_guard lock(mu_);
    if (!ours_.contains(NameOf(path))) return;
    names_.push_back({path, ""});
    files_[NameOf(path)] = nullptr;
    Step("remove", NameOf(path));
  }
  void Closed(int fd) {
    const std::lock_guard lock(mu_);
    fds_.erase(fd);
    directories_.erase(fd);
  }

  // The error number that the write has to fail with; 0: none. -1: it isn't ours.
  int BeforeWrite(int fd, off_t offset, const std::string& bytes) {
    const std::lock_guard lock(mu_);
    const auto found = fds_.find(fd);
    if (found == fds_.end()) return -1;
    ++writes_;
    if (Fails(fail_write_, writes_)) return error_;
    auto& [name, file, syncing] = found->second;
    file->pending.push_back({offset, bytes});
    Step("write", name);
    if (syncing) {
      file->pending.pop_back();
      Keep(*file, {offset, bytes});
    }
    return 0;
  }

  void AwaitSync(int fd) {
    {
      const std::lock_guard lock(mu_);
      if (slow_ == 0 || fds_.find(fd) == fds_.end()) return;
    }
    usleep(slow_ * 1000);
  }

  int BeforeSync(int fd) {
    AwaitSync(fd);
    const std::lock_guard lock(mu_);
    if (const auto directory = directories_.find(fd); directory != directories_.end())
      SyncNames(directory->second);
    const auto found = fds_.find(fd);
    if (found == fds_.end()) return -1;
    ++syncs_;
    File& file = *found->second.file;
    if (Fails(fail_sync_, syncs_)) {
      file.pending.clear();  // as Linux does: nothing writes these pages any more
      return error_;
    }
    Step("sync", found->second.name);
    if (!lies_) {
      for (const Write& write : file.pending) Keep(file, write);
      file.pending.clear();
    }
    Count();
    return 0;
  }

 private:
  static constexpr size_t kSector = 512;

  struct Write {
    off_t offset;
    std::string bytes;
  };
  // For good: descriptors refer to it.
  struct File {
    int shadow = -1;
    std::vector<Write> pending;
  };
  struct Open {
    std::string name;
    File* file;
    bool syncing;  // O_DSYNC
  };
  // What becomes of a name, which the directory's sync makes durable. To nothing: it is removed.
  struct Renaming {
    std::string from, to;
  };

  static std::string NameOf(const std::string& path) { return path.substr(path.rfind('/') + 1); }

  int OpenShadow(const std::string& name, int flags) const {
    if (shadow_.empty()) return -1;
    return Real<int(const char*, int, ...)>("open")((shadow_ + "/" + name).c_str(),
                                                    O_RDWR | O_CLOEXEC | flags, 0600);
  }

  // Until its directory is synced it has in the shadow a name that nobody asks for.
  void Make(File*& file, const std::string& path) {
    const std::string unnamed = path + ".unnamed" + std::to_string(++made_);
    file = all_.emplace_back(new File{OpenShadow(NameOf(unnamed), O_CREAT | O_TRUNC), {}});
    names_.push_back({unnamed, path});
    Step("create", NameOf(path));
  }

  void Keep(const Renaming& renaming) const {
    if (shadow_.empty()) return;
    const std::string from = shadow_ + "/" + NameOf(renaming.from);
    const std::string to = shadow_ + "/" + NameOf(renaming.to);
    if (renaming.to.empty()) {
      Real<int(const char*)>("unlink")(from.c_str());
    } else {
      Real<int(const char*, const char*)>("rename")(from.c_str(), to.c_str());
    }
  }

  static void Keep(const File& file, const Write& write) {
    static auto* real = Real<ssize_t(int, const void*, size_t, off_t)>("pwrite");
    if (file.shadow >= 0)
      (void)!real(file.shadow, write.bytes.data(), write.bytes.size(), write.offset);
  }

  void SyncNames(const std::string& directory) {
    if (names_.empty()) return;
    Step("sync", NameOf(directory));
    if (lies_) return;
    std::erase_if(names_, [&](const Renaming& renaming) {
      if (renaming.from.substr(0, renaming.from.rfind('/')) != directory) return false;
      Keep(renaming);
      return true;
    });
  }

  bool Fails(long first, long now) const {
    return first > 0 && (lasting_ ? now >= first : now == first);
  }

  void Step(const char* what, const std::string& name) {
    if (log_ >= 0) dprintf(log_, "%s %s\n", what, name.c_str());
    if (++steps_ == cut_at_) Cut();
  }

  void Cut() {
    std::mt19937_64 random(strtoull(Setting("DISK_SEED").c_str(), nullptr, 10));
    for (const File* file : all_) {
      for (const Write& write : file->pending) {
        for (size_t at = 0; at < write.bytes.size();) {
          const size_t end =
              std::min(write.bytes.size(), at + kSector - (write.offset + at) % kSector);
          if (random() % 2 == 0)
            Keep(*file, {write.offset + static_cast<off_t>(at), write.bytes.substr(at, end - at)});
          at = end;
        }
      }
    }
    // A journal keeps their order.
    names_.resize(random() % (names_.size() + 1));
    for (const Renaming& renaming : names_) Keep(renaming);
    kill(getpid(), SIGKILL);
  }

  void Count() {
    const std::string name = Setting("DISK_COUNTS");
    if (name.empty()) return;
    if (FILE* file = fopen(name.c_str(), "w")) {
      fprintf(file, "%ld %ld\n", writes_, syncs_);
      fclose(file);
    }
  }

  void ParseFail(const std::string& text) {
    char kind[8];
    char number[16];
    if (sscanf(text.c_str(), "%5[a-z]:%15[+0-9]:%d", kind, number, &error_) != 3) return;
    lasting_ = number[0] == '+';
    (strcmp(kind, "write") == 0 ? fail_write_ : fail_sync_) = strtol(number, nullptr, 10);
  }

  const std::string shadow_;
  const long cut_at_ = strtol(Setting("DISK_CUT_AT").c_str(), nullptr, 10);
  const bool lies_ = !Setting("DISK_LIES").empty();
  const unsigned slow_ =
      static_cast<unsigned>(strtoul(Setting("DISK_SLOW").c_str(), nullptr, 10));  // ms
  int log_ = -1;
  std::mutex mu_;
  std::set<std::string> ours_;
  std::vector<File*> all_;              // also those that have no name any more
  std::map<std::string, File*> files_;  // null: there is none of this name
  std::vector<Renaming> names_;         // that aren't synced
  std::map<int, Open> fds_;
  std::map<int, std::string> directories_;
  bool lasting_ = false;
  long fail_write_ = 0, fail_sync_ = 0, writes_ = 0, syncs_ = 0, steps_ = 0;
  int made_ = 0, error_ = 0;
};

}  // namespace strata::disk_faults
