#include "storage/tool/documents.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace strata::tool {
namespace {

// Every document on a line of its own: line number, format, types, and its text or its error.
std::string Cut(std::string_view text) {
  DocumentReader reader(text);
  std::string out;
  Document d;
  while (reader.Next(d)) {
    std::string body = d.error.ok() ? d.text : "error: " + std::string(base::Message(d.error));
    for (size_t at = 0; (at = body.find('\n', at)) != std::string::npos;) body.replace(at, 1, "|");
    out += fmt::format("{} {} {}/{} <{}>\n", d.line, d.is_json ? "json" : "yaml", d.api_version,
                       d.kind, body);
  }
  return out;
}

struct Case {
  std::string_view name;
  std::string_view text;
  std::string_view want;
};

TEST(DocumentReader, CutsTexts) {
  const std::vector<Case> cases = {
      {"nothing", "", ""},
      {"blanks and comments only", "# a\n\n---\n \n---\n# b\n", ""},
      {"one document", "apiVersion: v1\nkind: Image\n",
       "1 yaml v1/Image <apiVersion: v1|kind: Image|>\n"},
      {"without the last line feed", "kind: Image", "1 yaml /Image <kind: Image>\n"},
      {"two documents, CRLF", "kind: A\r\n---\r\nkind: B\r\n",
       "1 yaml /A <kind: A\r|>\n3 yaml /B <kind: B\r|>\n"},
      {"a comment first", "# hello\n\nkind: A\n", "3 yaml /A <kind: A|>\n"},
      {"a byte order mark", "\xef\xbb\xbfkind: A\n", "1 yaml /A <kind: A|>\n"},
      {"content on the separator's line", "--- {\"kind\":\"A\"}\n--- # b\nkind: B\n...\n",
       "1 json /A <{\"kind\":\"A\"}>\n3 yaml /B <kind: B|>\n"},
      {"quoted and commented types", "kind: \"A\" # yes\napiVersion: 'v1'\n",
       "1 yaml v1/A <kind: \"A\" # yes|apiVersion: 'v1'|>\n"},
      {"nested kinds don't count", "metadata:\n  kind: B\nkind: A\n",
       "1 yaml /A <metadata:|  kind: B|kind: A|>\n"},
      {"a dashed line inside a text isn't a separator", "kind: A\ntext: |\n  ---\n  b\n----\n",
       "1 yaml /A <kind: A|text: ||  ---|  b|----|>\n"},
      {"a List", "apiVersion: v1\nkind: List\nitems:\n- kind: A\n  x: 1\n- kind: B\n",
       "4 yaml / <  kind: A|  x: 1|>\n6 yaml / <  kind: B|>\n"},
      {"a List with its kind last and indented items",
       "apiVersion: v1\nitems: # here\n\n  - kind: A\n    list:\n    - 1\n    - 2\n\n  # next\n  - "
       "kind: B\nkind: List\n",
       "4 yaml / <    kind: A|    list:|    - 1|    - 2||  # next|>\n10 yaml / <    kind: B|>\n"},
      {"a typed list", "apiVersion: v1\nitems:\n- metadata: {}\nkind: ImageStreamList\n",
       "3 yaml v1/ImageStream <  metadata: {}|>\n"},
      {"a dash alone on its line", "kind: List\nitems:\n-\n  kind: A\n",
       "3 yaml / < |  kind: A|>\n"},
      {"an empty List", "kind: List\nitems: []\n", "1 yaml /List <kind: List|items: []|>\n"},
      {"items of something else", "kind: Other\nitems:\n- a\n",
       "1 yaml /Other <kind: Other|items:|- a|>\n"},
      {"JSON", "\n{\"kind\": \"A\",\n \"apiVersion\":\"v1\"}\n",
       "2 json v1/A <{\"kind\": \"A\",| \"apiVersion\":\"v1\"}>\n"},
      {"JSON lines", "{\"kind\":\"A\"}\n{\"kind\":\"B\"}",
       "1 json /A <{\"kind\":\"A\"}>\n2 json /B <{\"kind\":\"B\"}>\n"},
      {"a JSON List with its kind last",
       "{\"items\": [\n {\"a\": [1, \"]}\\\"\"]},\n {}, 3 ],\n \"kind\": \"ImageList\", "
       "\"apiVersion\": \"v1\"}",
       "2 json v1/Image <{\"a\": [1, \"]}\\\"\"]}>\n3 json v1/Image <{}>\n3 json v1/Image <3 >\n"},
      {"an empty JSON List", "{\"kind\":\"List\",\"items\":[]}{\"kind\":\"A\"}",
       "1 json /A <{\"kind\":\"A\"}>\n"},
      {"items deeper down", "{\"kind\":\"A\",\"x\":{\"items\":[1,2]}}",
       "1 json /A <{\"kind\":\"A\",\"x\":{\"items\":[1,2]}}>\n"},
      {"brackets that don't match", "{\"a\":[1}\n}\n{\"kind\":\"B\"}\n",
       "1 json / <error: brackets of JSON don't match>\n3 json /B <{\"kind\":\"B\"}>\n"},
      {"JSON that ends early", "{\"kind\":\"List\",\"items\":[{\"a\":1},\n{\"b\":",
       "1 json / <{\"a\":1}>\n2 json /List <error: a JSON value has no end>\n"},
      {"a string that ends with its line", "{\n\"a\": \"b\n}\n{}\n",
       "2 json / <error: a JSON string has no end>\n4 json / <{}>\n"},
      {"text after JSON", "{}\n}\n{\"kind\":\"B\"}",
       "1 json / <{}>\n2 json / <error: unexpected text after a JSON value>\n3 json /B "
       "<{\"kind\":\"B\"}>\n"},
      {"flow style, whose lines are no keys", "{apiVersion: v1,\nkind: A, # {\nitems:\n[]\n}\n",
       "1 yaml / <{apiVersion: v1,|kind: A, # {|items:|[]|}|>\n"},
      {"a string over two lines", "{\"a\": \"b\n c\"}", "1 yaml / <{\"a\": \"b| c\"}>\n"},
      {"comments and YAML behind JSON", "{\"kind\":\"A\"} # c\n# d\nkind: B\n",
       "1 json /A <{\"kind\":\"A\"}>\n3 yaml /B <kind: B|>\n"},
      {"a List with aliases", "kind: List\nitems:\n- &a {b: c}\n- *a\n",
       "1 yaml /List <kind: List|items:|- &a {b: c}|- *a|>\n"},
      {"a List with stars and ampersands", "kind: List\nitems:\n- a: \"*b &c\"\n- d: *e\n",
       "3 yaml / <  a: \"*b &c\"|>\n4 yaml / <  d: *e|>\n"},
      {"JSON between YAML", "kind: A\n---\n{\"kind\":\"B\"}\n---\nkind: C\n",
       "1 yaml /A <kind: A|>\n3 json /B <{\"kind\":\"B\"}>\n5 yaml /C <kind: C|>\n"},
      {"a YAML List of JSON", "kind: List\nitems:\n- {\"kind\":\"A\"}\n",
       "3 yaml / <  {\"kind\":\"A\"}|>\n"},
  };
  for (const Case& c : cases) EXPECT_EQ(Cut(c.text), c.want) << c.name;
}

// Whatever the text is, the reader ends, and every piece lies inside it.
TEST(DocumentReader, EndsOnAnyPrefix) {
  const std::string text =
      "a: 1\n---\n{\"items\":[{\"x\":\"\\\"\"},[1]],\"kind\":\"List\"}\n--- # c\nkind: "
      "List\nitems:\n- a\n-\n  b: |\n    c\nz: {\n";
  for (size_t size = 0; size <= text.size(); ++size) {
    DocumentReader reader(std::string_view(text).substr(0, size));
    Document d;
    int count = 0;
    while (reader.Next(d)) {
      ASSERT_LE(d.text.size(), size);
      ASSERT_LT(++count, 100);
    }
  }
}

}  // namespace
}  // namespace strata::tool
