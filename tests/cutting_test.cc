// Cutting: nothing is lost, pieces fit, and they end where a reader would end them.

#include "tasks/cutting.h"

#include <random>

#include "base/text.h"
#include "llm/request.h"
#include "tests/catch.h"

namespace docmill {
namespace {

std::int64_t by_bytes(std::string_view text) {
  return static_cast<std::int64_t>(text.size());
}

std::int64_t solid_bytes(std::string_view text) {
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return c != ' ' && c != '\n' && c != '\r' && c != '\t'; });
}

// With an overlap each piece begins within the one before, and all of the text is in one.
void check_overlap(const std::string& text, std::int64_t most) {
  std::size_t end = 0;
  for (const NewPiece& piece : cut_text(text, most, most / 4, by_bytes)) {
    const auto begin = static_cast<std::size_t>(piece.begin);
    REQUIRE(text.compare(begin, piece.text.size(), piece.text) == 0);
    if (begin > end) REQUIRE(is_blank(std::string_view(text).substr(end, begin - end)));
    REQUIRE(begin + piece.text.size() > end);
    REQUIRE(solid_bytes(piece.text) <= most);
    REQUIRE(is_valid_utf8(piece.text));
    end = begin + piece.text.size();
  }
  REQUIRE(end == text.size());
}

std::string put_together(const std::vector<NewPiece>& pieces) {
  std::string text;
  for (const NewPiece& piece : pieces) text += piece.text + piece.gap;
  return text;
}

std::vector<std::string> texts(const std::vector<NewPiece>& pieces) {
  std::vector<std::string> all;
  for (const NewPiece& piece : pieces) all.push_back(piece.text);
  return all;
}

using Words = std::vector<std::string>;

}  // namespace

TEST_CASE("a text is cut between paragraphs", "[cutting]") {
  const std::string text = "One one.\n\nTwo two.\n\n\nThree three.";
  CHECK(texts(cut_text(text, 20, 0, by_bytes)) == Words{"One one.\n\nTwo two.", "Three three."});
  CHECK(put_together(cut_text(text, 20, 0, by_bytes)) == text);
  CHECK(cut_text(text, 1000, 0, by_bytes).size() == 1);
}

TEST_CASE("a heading stays with what it stands above", "[cutting]") {
  const std::string text = "# A\n\nText of a here.\n\n# B\n\nText of b.";
  CHECK(texts(cut_text(text, 30, 0, by_bytes)) ==
        Words{"# A\n\nText of a here.", "# B\n\nText of b."});
}

TEST_CASE("a fenced block is not cut where it fits", "[cutting]") {
  const std::string text = "Before it.\n\n```\na = 1\n\nb = 2\n```\n\nAfter it.";
  for (const std::string& piece : texts(cut_text(text, 25, 0, by_bytes))) {
    const std::size_t first = piece.find("```");
    if (first != std::string::npos) CHECK(piece.find("```", first + 3) != std::string::npos);
  }
}

TEST_CASE("a long paragraph is cut between sentences, a long sentence between words", "[cutting]") {
  CHECK(texts(cut_text("Dr. No came in. He sat down. He left.", 16, 0, by_bytes))[1] ==
        "He sat down.");
  CHECK(texts(cut_text("one two three four", 9, 0, by_bytes)) == Words{"one two", "three four"});
  // Sentences of a script without spaces.
  CHECK(texts(cut_text("天地玄黃。宇宙洪荒。", 15, 0, by_bytes)) ==
        Words{"天地玄黃。", "宇宙洪荒。"});
  // A word without an end, whole characters each.
  for (const std::string& piece :
       texts(cut_text(std::string(1000, 'x') + "ééé", 100, 0, by_bytes))) {
    CHECK(piece.size() <= 100);
    CHECK(is_valid_utf8(piece));
  }
}

TEST_CASE("whatever the text, nothing of it is lost and every piece fits", "[cutting]") {
  std::mt19937_64 random(7);
  const Words parts = {"word ",
                       "a. ",
                       "\n",
                       "\n\n",
                       "# Heading\n",
                       "```\n",
                       "  ",
                       "字",
                       "。",
                       "é",
                       "\r\n",
                       "~~~\n",
                       "\t",
                       "🌍",
                       "1.5 ",
                       "x.y ",
                       "- i\n",
                       "| a |\n",
                       "longerwordlongerword"};
  for (int round = 0; round < 500; ++round) {
    std::string text = "x";
    for (std::size_t i = random() % 300; i > 0; --i) text += parts[random() % parts.size()];
    text = std::string(trimmed(text));
    const std::int64_t most = 12 + static_cast<std::int64_t>(random() % 200);
    const auto pieces = cut_text(text, most, 0, by_bytes);
    REQUIRE(put_together(pieces) == text);
    check_overlap(text, most);
    for (const NewPiece& piece : pieces) {
      REQUIRE(solid_bytes(piece.text) <= most);  // gaps within a piece are not counted
      REQUIRE(is_valid_utf8(piece.text));
      REQUIRE_FALSE(is_blank(piece.text));
    }
  }
}

TEST_CASE("pieces may begin with the last sentences of the one before", "[cutting]") {
  const std::string text = "One one. Two two.\n\nThree three. Four four. Five five.\n\nSix.";
  CHECK(texts(cut_text(text, 42, 12, by_bytes)) ==
        Words{"One one. Two two.\n\nThree three.", "Three three. Four four. Five five.\n\nSix."});
  CHECK(texts(cut_text(text, 40, 10, by_bytes)) ==  // the sentence before is too long
        Words{"One one. Two two.\n\nThree three.", "Four four. Five five.\n\nSix."});
}

TEST_CASE("a book is cut in time that grows with its length", "[cutting]") {
  std::string text;
  for (int i = 0; i < 60'000; ++i) text += "A sentence of some words. ";  // one paragraph
  std::size_t counted = 0;
  const auto pieces = cut_text(text, 1000, 0, [&](std::string_view part) {
    counted += part.size();
    return estimated_tokens(part);
  });
  CHECK(pieces.size() > 300);
  CHECK(counted < 3 * text.size());
}

}  // namespace docmill
