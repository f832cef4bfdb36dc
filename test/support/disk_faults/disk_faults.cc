// A disk that fails as disks do, between a program and some of its files (LD_PRELOAD):
//
//   DISK_FILES     their names, with commas between
//   DISK_SHADOW    a directory with copies of those that there are, which the caller makes: it gets
//                  only what was synced, and a name's making, renaming and removal with the sync of
//                  its directory
//   DISK_CUT_AT    the power fails at this step, which is a write, a sync, or what becomes of a
//                  name: of what wasn't synced each sector of 512 bytes is there or isn't, and the
//                  names are as some of these steps left them, as DISK_SEED decides; the program is
//                  killed
//   DISK_CUTS      a file that gets a line for each step, until the cut: what it was, and the file
//   DISK_FAIL      write:N:ERRNO or sync:N:ERRNO, the N-th of its kind fails; +N: and all that
//                  follow
//   DISK_LIES      syncs do nothing
//   DISK_SLOW      each sync takes so many milliseconds
//   DISK_COUNTS    a file that is told the number of writes and of syncs at each sync
//
// Or, without regard to what was synced, each call at a time:
//
//   DISK_DIR       calls on this directory and on what is below it are counted: opening, reading,
//                  writing, mapping, syncing, cutting, making, renaming, removing
//   DISK_STEPS     a file that gets a line for each: its name, and that of the file
//   DISK_FAIL      step:N:ERRNO, as above
//   DISK_READ_ONLY what would change something there fails, as on a file system that is read-only
//
// Writes to descriptors with O_DSYNC are synced by themselves, and nothing else with them.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <string>

#include "test/support/disk_faults/disk.h"
#include "test/support/disk_faults/steps.h"

namespace {

using strata::disk_faults::Disk;
using strata::disk_faults::Real;
using strata::disk_faults::Steps;

Steps& TheSteps() {
  static Steps& steps = *new Steps;
  return steps;
}

Disk& TheDisk() {
  static Disk& disk = *new Disk;
  return disk;
}

int Open(const char* name, const char* path, int flags, int mode) {
  const bool makes = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
  if ((flags & O_ACCMODE) != O_RDONLY && TheSteps().RefusesChanges(path)) return -1;
  if (TheSteps().Fails(makes ? "create" : "open", path)) return -1;
  auto* real = Real<int(const char*, int, ...)>(name);
  const int fd = real(path, flags, mode);
  TheDisk().Opened(path, fd, flags);
  TheSteps().Opened(path, fd);
  return fd;
}

ssize_t Pwrite(const char* name, int fd, const void* bytes, size_t size, off_t offset) {
  if (TheSteps().Fails("write", fd)) return -1;
  const int error =
      TheDisk().BeforeWrite(fd, offset, std::string(static_cast<const char*>(bytes), size));
  if (error > 0) {
    errno = error;
    return -1;
  }
  return Real<ssize_t(int, const void*, size_t, off_t)>(name)(fd, bytes, size, offset);
}

ssize_t Pwritev(const char* name, int fd, const iovec* parts, int count, off_t offset) {
  if (TheSteps().Fails("write", fd)) return -1;
  std::string all;
  for (int i = 0; i < count; ++i)
    all.append(static_cast<const char*>(parts[i].iov_base), parts[i].iov_len);
  const int error = TheDisk().BeforeWrite(fd, offset, all);
  if (error > 0) {
    errno = error;
    return -1;
  }
  return Real<ssize_t(int, const iovec*, int, off_t)>(name)(fd, parts, count, offset);
}

ssize_t Pread(const char* name, int fd, void* bytes, size_t size, off_t offset) {
  if (TheSteps().Fails("read", fd)) return -1;
  return Real<ssize_t(int, void*, size_t, off_t)>(name)(fd, bytes, size, offset);
}

int Truncate(const char* name, int fd, off_t size) {
  if (TheSteps().Fails("truncate", fd)) return -1;
  return Real<int(int, off_t)>(name)(fd, size);
}

// Tells by what it returns.
int Fallocate(const char* name, int fd, off_t offset, off_t size) {
  if (TheSteps().Fails("allocate", fd)) return errno;
  return Real<int(int, off_t, off_t)>(name)(fd, offset, size);
}

void* Map(const char* name, void* at, size_t size, int protection, int flags, int fd, off_t begin) {
  if (fd >= 0 && TheSteps().Fails("map", fd)) return MAP_FAILED;
  return Real<void*(void*, size_t, int, int, int, off_t)>(name)(at, size, protection, flags, fd,
                                                                begin);
}

int Sync(const char* name, int fd) {
  if (TheSteps().Fails("sync", fd)) return -1;
  const int error = TheDisk().BeforeSync(fd);
  if (error > 0) {
    errno = error;
    return -1;
  }
  return Real<int(int)>(name)(fd);
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  va_list list;
  va_start(list, flags);
  const int mode = va_arg(list, int);
  va_end(list);
  return Open("open", path, flags, mode);
}
int open64(const char* path, int flags, ...) {
  va_list list;
  va_start(list, flags);
  const int mode = va_arg(list, int);
  va_end(list);
  return Open("open64", path, flags, mode);
}
int rename(const char* from, const char* to) {
  if (TheSteps().Fails("rename", from) || TheSteps().RefusesChanges(from)) return -1;
  const int code = Real<int(const char*, const char*)>("rename")(from, to);
  if (code == 0) TheDisk().Renamed(from, to);
  return code;
}
int unlink(const char* path) {
  if (TheSteps().Fails("remove", path) || TheSteps().RefusesChanges(path)) return -1;
  const int code = Real<int(const char*)>("unlink")(path);
  if (code == 0) TheDisk().Removed(path);
  return code;
}
int mkdir(const char* path, mode_t mode) {
  if (TheSteps().Fails("make", path)) return -1;
  // That it is there is said first.
  if (access(path, F_OK) != 0 && TheSteps().RefusesChanges(path)) return -1;
  return Real<int(const char*, mode_t)>("mkdir")(path, mode);
}
int close(int fd) {
  TheDisk().Closed(fd);
  TheSteps().Closed(fd);
  return Real<int(int)>("close")(fd);
}
ssize_t pread(int fd, void* bytes, size_t size, off_t offset) {
  return Pread("pread", fd, bytes, size, offset);
}
ssize_t pread64(int fd, void* bytes, size_t size, off_t offset) {
  return Pread("pread64", fd, bytes, size, offset);
}
ssize_t read(int fd, void* bytes, size_t size) {
  if (TheSteps().Fails("read", fd)) return -1;
  return Real<ssize_t(int, void*, size_t)>("read")(fd, bytes, size);
}
int ftruncate(int fd, off_t size) {
  return Truncate("ftruncate", fd, size);
}
int ftruncate64(int fd, off_t size) {
  return Truncate("ftruncate64", fd, size);
}
int posix_fallocate(int fd, off_t offset, off_t size) {
  return Fallocate("posix_fallocate", fd, offset, size);
}
int posix_fallocate64(int fd, off_t offset, off_t size) {
  return Fallocate("posix_fallocate64", fd, offset, size);
}
void* mmap(void* at, size_t size, int protection, int flags, int fd, off_t begin) {
  return Map("mmap", at, size, protection, flags, fd, begin);
}
void* mmap64(void* at, size_t size, int protection, int flags, int fd, off_t begin) {
  return Map("mmap64", at, size, protection, flags, fd, begin);
}
ssize_t pwrite(int fd, const void* bytes, size_t size, off_t offset) {
  return Pwrite("pwrite", fd, bytes, size, offset);
}
ssize_t pwrite64(int fd, const void* bytes, size_t size, off_t offset) {
  return Pwrite("pwrite64", fd, bytes, size, offset);
}
ssize_t pwritev(int fd, const iovec* parts, int count, off_t offset) {
  return Pwritev("pwritev", fd, parts, count, offset);
}
ssize_t pwritev64(int fd, const iovec* parts, int count, off_t offset) {
  return Pwritev("pwritev64", fd, parts, count, offset);
}
ssize_t write(int fd, const void* bytes, size_t size) {
  if (TheSteps().Fails("write", fd)) return -1;
  auto* real = Real<ssize_t(int, const void*, size_t)>("write");
  const off_t offset = lseek(fd, 0, SEEK_CUR);
  if (offset < 0) return real(fd, bytes, size);
  const int error =
      TheDisk().BeforeWrite(fd, offset, std::string(static_cast<const char*>(bytes), size));
  if (error > 0) {
    errno = error;
    return -1;
  }
  return real(fd, bytes, size);
}
ssize_t writev(int fd, const iovec* parts, int count) {
  if (TheSteps().Fails("write", fd)) return -1;
  auto* real = Real<ssize_t(int, const iovec*, int)>("writev");
  const off_t offset = lseek(fd, 0, SEEK_CUR);
  if (offset < 0) return real(fd, parts, count);
  std::string all;
  for (int i = 0; i < count; ++i)
    all.append(static_cast<const char*>(parts[i].iov_base), parts[i].iov_len);
  const int error = TheDisk().BeforeWrite(fd, offset, all);
  if (error > 0) {
    errno = error;
    return -1;
  }
  return real(fd, parts, count);
}
int fsync(int fd) {
  return Sync("fsync", fd);
}
int fdatasync(int fd) {
  return Sync("fdatasync", fd);
}

}  // extern "C"
