#include "storage/tool/dump.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

#include "lib/codec/encode_json.h"
#include "proto/image/image_v1.pb.h"
#include "storage/records/keys.h"
#include "storage/records/record.h"
#include "storage/tool/yaml_text.h"

namespace strata::tool {
namespace {

namespace image_v1 = ::github::com::openshift::api::image::v1;

struct KeyRange {
  std::string begin, end;
};

std::vector<KeyRange> Ranges(const DumpOptions& options, const records::Keys& keys) {
  std::vector<KeyRange> ranges;
  for (const records::Kind kind : {records::Kind::kImage, records::Kind::kImageStream}) {
    const bool wanted = !options.kind || *options.kind == kind;
    const bool elsewhere = kind == records::Kind::kImage && !options.ns.empty();
    if (wanted && !elsewhere)
      ranges.push_back({keys.BeginOf(kind, options.ns), keys.EndOf(kind, options.ns)});
  }
  return ranges;
}

template <typename Message>
base::StatusOr<std::string> ToJson(const std::string& object, std::string_view kind,
                                   base::Revision revision) {
  Message message;
  if (!message.ParseFromString(object)) return base::DataLossError("the record doesn't parse");
  message.mutable_metadata()->clear_resource_version();
  if (revision != 0) message.mutable_metadata()->set_resource_version(std::to_string(revision));
  return codec::EncodeJson(message, {.kind = kind, .api_version = records::kApiVersion});
}

// `revision`: what to print as resourceVersion; 0: none.
base::StatusOr<std::string> ToJson(const records::Change& record, base::Revision revision) {
  if (record.state == records::Change::State::kUnreadable)
    return base::DataLossError(record.reason);
  const std::string_view kind = records::NamesOf(record.id.kind).name;
  return record.id.kind == records::Kind::kImage
             ? ToJson<image_v1::Image>(record.object, kind, revision)
             : ToJson<image_v1::ImageStream>(record.object, kind, revision);
}

base::Status NotARecord(std::string_view key) {
  return base::InvalidArgumentError(
      fmt::format("{}: is the key of neither an image nor an image stream", key));
}

// Prints records as the format wants them put together.
class Printer {
 public:
  Printer(Format format, Output& output) : format_(format), output_(output) {}

  base::Status Begin() {
    if (format_ == Format::kYaml) return base::OkStatus();
    return output_.Write("{\"kind\":\"List\",\"apiVersion\":\"v1\",\"metadata\":{},\"items\":[");
  }
  base::Status Print(std::string_view json) {
    std::string text;
    if (format_ == Format::kYaml) {
      text = "---\n";
      AppendYaml(json, text);
    } else {
      text = first_ ? "\n" : ",\n";
      text += json;
    }
    first_ = false;
    return output_.Write(text);
  }
  base::Status End() {
    if (format_ == Format::kYaml) return base::OkStatus();
    return output_.Write(first_ ? "]}\n" : "\n]}\n");
  }

 private:
  const Format format_;
  Output& output_;
  bool first_ = true;
};

base::StatusOr<client::KeyValue> Find(RecordStore& store, const std::string& key) {
  STRATA_ASSIGN_OR_RETURN(auto stored, store.Read({key}));
  if (stored[0].mod_revision == 0)
    return base::NotFoundError(fmt::format("{}: no such record", key));
  return std::move(stored[0]);
}

std::string Formatted(std::string json, Format format) {
  if (format == Format::kJson) return std::move(json) + "\n";
  std::string yaml;
  AppendYaml(json, yaml);
  return yaml;
}

base::StatusOr<std::string> Print(RecordStore& store, const std::string& key, const records::Id& id,
                                  Format format) {
  STRATA_ASSIGN_OR_RETURN(const client::KeyValue stored, Find(store, key));
  auto json = ToJson(records::Decode(id, stored.value, stored.mod_revision), stored.mod_revision);
  if (!json.ok()) return base::Annotate(json.status(), key);
  return Formatted(*std::move(json), format);
}

}  // namespace

base::Status Dump(RecordStore& store, const DumpOptions& options, Output& output, Console& console,
                  DumpCounts& counts) {
  Printer printer(options.format, output);
  STRATA_RETURN_IF_ERROR(printer.Begin());
  base::Revision revision = 0;
  for (const KeyRange& range : Ranges(options, store.keys())) {
    std::string begin = range.begin;
    while (true) {
      STRATA_ASSIGN_OR_RETURN(const RecordStore::Page page,
                              store.List(begin, range.end, options.page, revision));
      revision = page.revision;
      for (const client::KeyValue& entry : page.entries) {
        const auto id = store.keys().Parse(entry.key);
        const auto json = id ? ToJson(records::Decode(*id, entry.value, entry.mod_revision), 0)
                             : base::StatusOr<std::string>(NotARecord(entry.key));
        if (!json.ok()) {
          ++counts.unreadable;
          console.Line(id ? fmt::format("{}: {}", entry.key, base::Message(json.status()))
                          : std::string(base::Message(json.status())));
          continue;
        }
        STRATA_RETURN_IF_ERROR(printer.Print(*json));
        ++counts.written;
        if (console.WantsProgress()) console.Progress(fmt::format("{} records", counts.written));
      }
      if (!page.more || page.entries.empty()) break;
      begin = page.entries.back().key + '\0';
    }
  }
  return printer.End();
}

base::StatusOr<std::string> PrintRecord(RecordStore& store, const records::Id& id, Format format) {
  return Print(store, store.keys().KeyOf(id), id, format);
}

base::StatusOr<std::string> PrintKey(RecordStore& store, const std::string& key, Format format) {
  const auto id = store.keys().Parse(key);
  if (!id) return NotARecord(key);
  return Print(store, key, *id, format);
}

base::StatusOr<std::string> RawValue(RecordStore& store, const std::string& key) {
  STRATA_ASSIGN_OR_RETURN(client::KeyValue stored, Find(store, key));
  return std::move(stored.value);
}

base::StatusOr<std::string> RawValue(RecordStore& store, const records::Id& id) {
  return RawValue(store, store.keys().KeyOf(id));
}

}  // namespace strata::tool
