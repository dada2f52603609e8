// Two readers and two writers of JSON have to agree: the quick ones are only quicker.

#include "llm/json_text.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <random>

#include "llm/json_view.h"
#include "tests/catch.h"

using namespace docmill;
using nlohmann::json;

namespace {

// As nlohmann::json alone would say, of what is not too deep.
std::optional<json> slow_parse(const std::string& text) {
  json value = json::parse(text, nullptr, false);
  if (value.is_discarded()) return std::nullopt;
  return value;
}

std::string nested(int depth) {
  return std::string(static_cast<std::size_t>(depth), '[') +
         std::string(static_cast<std::size_t>(depth), ']');
}

void check_quoted(const std::string& text) {
  std::string out = "before ";
  append_quoted(out, text);
  CHECK(out == "before " + to_text(json(text)));
}

}  // namespace

TEST_CASE("a small reply is read as nlohmann::json reads it") {
  for (const std::string text :
       {R"({"a": 1, "b": [true, false, null, "x\n\u00e9\ud83d\ude00"], "c": {"d": -2.5e3}})",
        R"({"a": 1, "a": 2})",
        "0",
        "-0",
        "-0.0",
        "1.0",
        "18446744073709551615",
        "18446744073709551616",
        "-9223372036854775808",
        "-9223372036854775809",
        "1e400",
        "1e-400",
        "0.1",
        "123456789.123456789",
        R"("\ud800")",
        R"("\udc00 x")",
        "\"\xff\"",
        "\"\x01\"",
        "\xef\xbb\xbf{}",
        "{} x",
        "[1,]",
        "{\"a\":}",
        "",
        " ",
        "nul",
        "\"open",
        "[1 2]",
        "01",
        "\t[ ]\n",
        R"({"": ""})",
        R"("\q")",
        "NaN",
        "// no\n1"}) {
    INFO(text);
    const auto quick = parse_json(text);
    const auto slow = slow_parse(text);
    const auto view = view_json(text);
    CHECK(quick.has_value() == slow.has_value());
    CHECK(view.has_value() == slow.has_value());
    if (!quick || !slow || !view) continue;
    CHECK(json::parse(to_text(*view)) == *slow);
    CHECK(quick->dump() == slow->dump());
    CHECK(quick->is_number_float() == slow->is_number_float());
  }
}

TEST_CASE("JSON as deep as allowed is read, and no deeper") {
  CHECK(parse_json(nested(kMaxJsonDepth)));
  CHECK_FALSE(parse_json(nested(kMaxJsonDepth + 1)));
  CHECK(view_json(nested(kMaxJsonDepth)));
  CHECK_FALSE(view_json(nested(kMaxJsonDepth + 1)));
  CHECK_FALSE(parse_json("[1, 2, 3]", 3));
  CHECK(parse_json("[1, 2, 3]", 4));
}

TEST_CASE("a long text is read, too") {
  const json long_text = std::string(1 << 20, 'x');
  CHECK(parse_json(long_text.dump()) == long_text);
  CHECK(std::string_view(view_json(long_text.dump()).value()) == long_text.get<std::string>());
}

TEST_CASE("members are found in place: the last of a key, and only of the type that is asked for") {
  const auto view = view_json(
      R"({"model":"a","model":"b","usage":null,"none":[],"some":[7],"o":{"model":"c"},"n":1})");
  REQUIRE(view);
  CHECK(word_at(*view, "model") == "b");
  CHECK(word_at(*view, "n").empty());
  CHECK(member(*view, "usage")->is_null());
  CHECK_FALSE(member(*view, "mode"));
  CHECK_FALSE(object_at(*view, "usage"));
  CHECK(word_at(object_at(*view, "o").value(), "model") == "c");
  CHECK_FALSE(filled_array_at(*view, "none"));
  CHECK_FALSE(filled_array_at(*view, "o"));
  CHECK(filled_array_at(*view, "some"));
  CHECK_FALSE(member(*member(*view, "n"), "x"));
  // What one reader refuses and the other takes is viewed, and a value parsed meanwhile is its own.
  const auto large = view_json(R"({"cost":123456789012345678901234567890})");
  REQUIRE(large);
  CHECK(parse_json("[1]") == json{1});
  CHECK(double{*member(*large, "cost")} == 123456789012345678901234567890.0);
}

TEST_CASE("a quoted text has the bytes that nlohmann::json writes") {
  for (int c = 0; c < 256; ++c) {
    for (const char* around : {"", "1234567", "12345678", "a long text without anything"}) {
      check_quoted(fmt::format("{}{}{}", around, static_cast<char>(c), around));
    }
  }
  std::mt19937 random(7);
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    const std::size_t length = random() % 60;
    while (text.size() < length) {
      switch (random() % 5) {
        case 0:
          text += static_cast<char>(random() % 256);
          break;
        case 1:
          text += "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80";
          break;
        case 2:
          text += "\"\\\n";
          break;
        default:
          text += "plain words";
      }
    }
    check_quoted(text);
  }
}
