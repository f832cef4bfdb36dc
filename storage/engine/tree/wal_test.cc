#include "storage/engine/tree/wal.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "storage/engine/tree/file_bytes_test.h"
#include "storage/engine/tree/redo.h"
#include "test/support/every_bit.h"
#include "test/support/temp_dir.h"

namespace strata::engine::tree {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing_support::FlipBit;
using testing_support::ReadFile;
using testing_support::WriteAt;

// A log in a directory of its own, tracking since its beginning.
class WalFixture {
 public:
  WalFixture() {
    Open();
    Keep("pages");
  }

  void Open() {
    wal_.reset();
    auto opened = Wal::Open(path());
    ASSERT_TRUE(opened.ok()) << opened.status();
    wal_ = *std::move(opened);
  }
  void Keep(const std::string& pages) {
    ASSERT_TRUE(wal_->Keep({.from = wal_->end(), .pages = pages}).ok());
  }
  void Append(const std::string& record) {
    const auto status = wal_->Append(record);
    ASSERT_TRUE(status.ok()) << status;
  }
  // As one whose writer has been answered.
  void AppendSealed(const std::string& record) {
    Append(record);
    ASSERT_TRUE(wal_->Seal().ok());
  }
  // "last" near the ring's end, and behind it a record that fits only at its beginning.
  void GoAround() {
    const std::string large(Wal::kMaxRecordBytes, 'x');
    for (uint64_t at = 0; at + 2 * large.size() <= Wal::kRingBytes; at += large.size())
      Append(large);
    Keep("pages");
    Append("last");
    Append(large);
  }
  // The records that a new opening finds, which goes on with the log.
  std::vector<std::string> Reopen() {
    std::vector<std::string> records;
    const auto status = Reopen(records);
    EXPECT_TRUE(status.ok()) << status;
    return records;
  }
  base::Status Reopen(std::vector<std::string>& records) {
    wal_.reset();
    STRATA_ASSIGN_OR_RETURN(wal_, Wal::Open(path()));
    return wal_->Replay([&](std::string_view record) {
      records.emplace_back(record);
      return base::OkStatus();
    });
  }

  Wal* operator->() { return wal_.get(); }
  std::string path() const { return dir_.path() + "/wal"; }

 private:
  testing_support::TempDir dir_;
  std::unique_ptr<Wal> wal_;
};

TEST(Wal, GivesTheRecordsSinceTheCheckpointAgain) {
  WalFixture wal;
  wal.Append("one");
  wal.Append(std::string(10'000, 'x'));
  EXPECT_THAT(wal.Reopen(), ElementsAre("one", std::string(10'000, 'x')));
  wal.Append("three");
  EXPECT_THAT(wal.Reopen(), ElementsAre("one", std::string(10'000, 'x'), "three"));
  wal.Keep("newer pages");
  wal.Append("four");
  EXPECT_THAT(wal.Reopen(), ElementsAre("four"));
  EXPECT_EQ(wal->opened().pages, "newer pages");
  wal.Keep("");
  EXPECT_THAT(wal.Reopen(), IsEmpty());
}

TEST(Wal, ForgetsWhatIsTakenBack) {
  WalFixture wal;
  wal.Append("one");
  wal.Append("refused");
  ASSERT_TRUE(wal->TakeBack().ok());
  EXPECT_THAT(wal.Reopen(), ElementsAre("one"));
  wal.Append("two");
  EXPECT_THAT(wal.Reopen(), ElementsAre("one", "two"));
  ASSERT_TRUE(wal->TakeBack().ok());
  EXPECT_THAT(wal.Reopen(), ElementsAre("one")) << "the last of those that were found, too";
}

TEST(Wal, GoesAroundItsRingWithoutTakingOldRecordsForNewOnes) {
  WalFixture wal;
  const std::string large(Wal::kMaxRecordBytes - 1000, 'x');
  std::vector<std::string> expected;
  for (int i = 0; i < 20; ++i) {
    while (!wal->Fits(large.size())) {
      wal.Keep("pages");
      expected.clear();
    }
    wal.Append(large + std::to_string(i));
    expected.push_back(large + std::to_string(i));
  }
  EXPECT_LE(std::filesystem::file_size(wal.path()), Wal::kRingBytes + (1 << 20));
  EXPECT_LE(wal->pending(), Wal::kRingBytes);
  EXPECT_EQ(wal.Reopen(), expected);
  wal.Keep("pages");
  // What follows is overwritten from here on, and everything behind is of the round before.
  wal.Append("small");
  EXPECT_THAT(wal.Reopen(), ElementsAre("small"));
}

TEST(Wal, TakesBackARecordAtTheRingsBeginning) {
  WalFixture wal;
  wal.GoAround();
  ASSERT_TRUE(wal->TakeBack().ok());
  EXPECT_THAT(wal.Reopen(), ElementsAre("last"));
  wal.Append("next");
  EXPECT_THAT(wal.Reopen(), ElementsAre("last", "next"));
}

// The power fails while a record is written: each byte of it is the last that the disk got.
TEST(Wal, EndsBeforeARecordThatWasCutOff) {
  WalFixture wal;
  wal.AppendSealed("kept");
  const std::string before = ReadFile(wal.path());
  wal.Append("cut off");
  const std::string after = ReadFile(wal.path());
  size_t first = 0, last = 0;
  for (size_t i = 0; i < after.size(); ++i) {
    if (before[i] == after[i]) continue;
    first = first == 0 ? i : first;
    last = i;
  }
  for (size_t cut = first; cut <= last; ++cut) {
    WriteAt(wal.path(), first, std::string_view(after).substr(first, cut - first));
    WriteAt(wal.path(), cut, std::string_view(before).substr(cut, last + 1 - cut));
    ASSERT_THAT(wal.Reopen(), ElementsAre("kept")) << cut;
  }
  wal.Append("next");
  EXPECT_THAT(wal.Reopen(), ElementsAre("kept", "next"));
}

TEST(Wal, IsNotOpenedIfARecordIsDamagedThatOthersFollow) {
  WalFixture wal;
  wal.Append("first record");
  wal.Append("second record");
  wal.Append("third record");
  const std::string whole = ReadFile(wal.path());
  const size_t begin = whole.find("first record") - 24;
  const size_t end = whole.find("third record") - 24;
  for (size_t at = begin; at < end; ++at) {
    if (whole[at] == '\0' && at % 8 > 3 && whole.substr(at, 4) == std::string(4, '\0')) continue;
    WriteAt(wal.path(), begin, std::string_view(whole).substr(begin, end - begin));
    FlipBit(wal.path(), at * 8 + at % 8);  // another one of each byte
    wal.Open();
    int found = 0;
    const auto status = wal->Replay([&](std::string_view) {
      ++found;
      return base::OkStatus();
    });
    // Padding isn't looked at.
    if (found == 3) continue;
    EXPECT_TRUE(absl::IsDataLoss(status)) << at << " " << status;
    EXPECT_THAT(base::Message(status), HasSubstr("is damaged: the record at"));
  }
}

// What was acknowledged is never taken for something that was cut off: whichever bit is wrong, all
// records are read, or none are, with an error.
TEST(Wal, LosesNoSealedRecordToAFlippedBit) {
  WalFixture wal;
  for (const size_t size : {20u, 700u, 5u, 41u}) wal.AppendSealed(std::string(size, 'r'));
  const std::vector<std::string> all = wal.Reopen();
  ASSERT_EQ(all.size(), 4u);
  const std::string whole = ReadFile(wal.path());
  const size_t end = whole.find_last_not_of('\0') + 16;
  // Whoever opens the log writes its newest checkpoint again.
  const auto restore = [&] { WriteAt(wal.path(), 0, std::string_view(whole).substr(0, end)); };
  const size_t step = testing_support::EveryBit() ? 1 : 37;
  int noticed = 0;
  for (size_t bit = Wal::kRingStart * 8; bit < end * 8; bit += step) {
    FlipBit(wal.path(), bit);
    std::vector<std::string> records;
    const auto status = wal.Reopen(records);
    if (!status.ok()) {
      ++noticed;
      EXPECT_TRUE(absl::IsDataLoss(status)) << bit << " " << status;
      EXPECT_THAT(base::Message(status), HasSubstr("is damaged: the record at")) << bit;
    } else {
      EXPECT_EQ(records, all) << bit;
    }
    restore();
  }
  EXPECT_GT(noticed, static_cast<int>(all[1].size() * 8 / step)) << "every bit of a record counts";
}

TEST(Wal, SealsARecordAtTheRingsEndAndBeginning) {
  WalFixture wal;
  wal.GoAround();
  ASSERT_TRUE(wal->Seal().ok());
  EXPECT_EQ(wal.Reopen().size(), 2u);
  FlipBit(wal.path(), (Wal::kRingStart + 100) * 8);
  std::vector<std::string> records;
  EXPECT_TRUE(absl::IsDataLoss(wal.Reopen(records)));
}

TEST(Wal, KeepsTheSealOfTheRecordBeforeOneThatIsTakenBack) {
  WalFixture wal;
  wal.AppendSealed("kept");
  wal.Append("refused");
  ASSERT_TRUE(wal->TakeBack().ok());
  EXPECT_THAT(wal.Reopen(), ElementsAre("kept"));
  FlipBit(wal.path(), ReadFile(wal.path()).find("kept") * 8);
  std::vector<std::string> records;
  EXPECT_TRUE(absl::IsDataLoss(wal.Reopen(records)));
}

TEST(Wal, IsNotOpenedIfTheRecordAtTheRingsBeginningIsDamagedThatOthersFollow) {
  WalFixture wal;
  wal.GoAround();
  wal.Append("behind it");
  FlipBit(wal.path(), (Wal::kRingStart + 100) * 8);
  wal.Open();
  EXPECT_TRUE(absl::IsDataLoss(wal->Replay([](std::string_view) { return base::OkStatus(); })));
}

TEST(Wal, ReadsACheckpointOfWhichOneCopyIsDamaged) {
  WalFixture wal;
  wal.Keep("the newest pages");
  wal.Append("record");
  const std::string whole = ReadFile(wal.path());
  const size_t first = whole.find("the newest pages");
  const size_t second = whole.find("the newest pages", first + 1);
  ASSERT_NE(second, std::string::npos);
  for (const size_t at : {first, second}) {
    FlipBit(wal.path(), at * 8);
    EXPECT_THAT(wal.Reopen(), ElementsAre("record")) << at;
    EXPECT_EQ(wal->opened().pages, "the newest pages") << at;
    WriteAt(wal.path(), 0, std::string_view(whole).substr(0, second + 100));
  }
}

// The power fails while a checkpoint is written.
TEST(Wal, GoesOnFromTheCheckpointBefore) {
  WalFixture wal;
  wal.Append("one");
  const std::string before = ReadFile(wal.path());
  wal.Keep("newer");
  const std::string after = ReadFile(wal.path());
  size_t first = 0;
  while (before[first] == after[first]) ++first;
  for (size_t cut = first; cut < first + 60; ++cut) {
    WriteAt(wal.path(), 0, before.substr(0, Wal::kRingStart));
    WriteAt(wal.path(), first, std::string_view(after).substr(first, cut - first));
    const auto records = wal.Reopen();
    ASSERT_EQ(records.size(), wal->opened().pages == "newer" ? 0u : 1u) << cut;
  }
}

TEST(Wal, RefusesWhatIsNoLog) {
  testing_support::TempDir dir;
  const std::string path = dir.path() + "/wal";
  for (const std::string& text :
       {std::string(), std::string("no log"), std::string(200'000, 'x')}) {
    const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    close(file);
    WriteAt(path, 0, text);
    const auto status = Wal::Open(path).status();
    EXPECT_TRUE(absl::IsDataLoss(status)) << status;
    EXPECT_THAT(base::Message(status), HasSubstr(path + " is no write-ahead log, or is damaged"));
  }
}

TEST(Redo, GivesTheOpsAgain) {
  std::string record;
  AppendRedo(record, {RedoOp::Kind::kPut, 1, "key", "value"});
  AppendRedo(record, {RedoOp::Kind::kPutBare, 0, "", std::string(70'000, 'v')});
  AppendRedo(record, {RedoOp::Kind::kDelete, 4, std::string(500, 'k'), ""});
  std::string again;
  const auto status = ForEachRedo(record, [&](const RedoOp& op) {
    AppendRedo(again, op);
    return base::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(again, record);
  for (size_t cut = 1; cut < 30; ++cut) {
    const auto cut_off = ForEachRedo(std::string_view(record).substr(0, record.size() - cut),
                                     [](const RedoOp&) { return base::OkStatus(); });
    EXPECT_TRUE(absl::IsDataLoss(cut_off)) << cut;
  }
}

}  // namespace
}  // namespace strata::engine::tree
