#include "tasks/cutting.h"

#include <unicode/ubrk.h>
#include <unicode/utext.h>

#include <algorithm>
#include <memory>

#include "base/check.h"
#include "base/text.h"
#include "tasks/structure.h"

namespace docmill {
namespace {

// A stretch of the text between two places where it may be cut, without the white space around it.
struct Part {
  std::size_t begin = 0;
  std::size_t end = 0;
  std::int64_t tokens = 0;
  bool is_heading = false;
};

// A piece that is this full ends before a heading rather than with it.
constexpr double kFullEnough = 0.5;

Part without_space(std::string_view text, std::size_t begin, std::size_t end) {
  const auto is_space = [&](std::size_t at) {
    return text[at] == ' ' || text[at] == '\n' || text[at] == '\r' || text[at] == '\t';
  };
  while (begin < end && is_space(begin)) ++begin;
  while (end > begin && is_space(end - 1)) --end;
  return {begin, end, 0, false};
}

void add_part(std::string_view text, std::size_t begin, std::size_t end, std::vector<Part>& parts) {
  Part part = without_space(text, begin, end);
  if (part.begin == part.end) return;
  part.is_heading = is_heading(text.substr(part.begin, part.end - part.begin));
  parts.push_back(part);
}

// Paragraphs end with a blank line, and headings and fenced blocks are paragraphs of their own.
std::vector<Part> paragraphs(std::string_view text) {
  std::vector<Part> parts;
  std::size_t begin = 0;
  bool in_fence = false;
  for (std::size_t line = 0; line < text.size();) {
    const std::size_t end = std::min(text.find('\n', line), text.size());
    const std::string_view content = text.substr(line, end - line);
    const std::size_t next = std::min(end + 1, text.size());
    if (is_fence(content)) {
      in_fence = !in_fence;
      if (in_fence) {
        add_part(text, begin, line, parts);
        begin = line;
      } else {
        add_part(text, begin, next, parts);
        begin = next;
      }
    } else if (!in_fence && (is_blank(content) || is_heading(content))) {
      add_part(text, begin, line, parts);
      begin = line;
    }
    line = next;
  }
  add_part(text, begin, text.size(), parts);
  return parts;
}

// At the boundaries that ICU finds.
std::vector<Part> broken(std::string_view text, const Part& whole, UBreakIteratorType type) {
  UErrorCode status = U_ZERO_ERROR;
  const std::string_view inside = text.substr(whole.begin, whole.end - whole.begin);
  const std::unique_ptr<UText, UText* (*)(UText*)> source(
      utext_openUTF8(nullptr, inside.data(), static_cast<std::int64_t>(inside.size()), &status),
      &utext_close);
  const std::unique_ptr<UBreakIterator, void (*)(UBreakIterator*)> breaks(
      ubrk_open(type, "en", nullptr, 0, &status), &ubrk_close);
  CHECK(U_SUCCESS(status));
  ubrk_setUText(breaks.get(), source.get(), &status);
  CHECK(U_SUCCESS(status));
  std::vector<Part> parts;
  std::size_t begin = whole.begin;
  for (std::int32_t at = ubrk_next(breaks.get()); at != UBRK_DONE; at = ubrk_next(breaks.get())) {
    const std::size_t end = whole.begin + static_cast<std::size_t>(at);
    add_part(text, begin, end, parts);
    begin = end;
  }
  return parts;
}

// By length alone: of a word that has no end.
std::vector<Part> chopped(std::string_view text, const Part& whole, std::int64_t most_tokens) {
  const std::size_t bytes = whole.end - whole.begin;
  const double share = static_cast<double>(most_tokens) / static_cast<double>(whole.tokens);
  const auto at_once =
      std::max<std::size_t>(8, static_cast<std::size_t>(0.8 * share * static_cast<double>(bytes)));
  std::vector<Part> parts;
  for (std::size_t begin = whole.begin; begin < whole.end;) {
    const std::size_t length = utf8_prefix(text.substr(begin, whole.end - begin), at_once).size();
    parts.push_back({begin, begin + length, 0, false});
    begin += length;
  }
  return parts;
}

class Cutting {
 public:
  Cutting(std::string_view text, std::int64_t most_tokens, std::int64_t overlap_tokens,
          const CountTokens& count)
      : text_(text),
        most_tokens_(std::max<std::int64_t>(most_tokens - overlap_tokens, 1)),
        overlap_tokens_(overlap_tokens),
        count_(count) {}

  std::vector<NewPiece> pieces() {
    for (Part& part : paragraphs(text_)) add(part, UBRK_SENTENCE);
    close();
    return std::move(pieces_);
  }

 private:
  // Into the piece at hand, or into the next; broken up if it is too large for any.
  void add(Part& part, UBreakIteratorType break_by) {
    part.tokens = count_(text_.substr(part.begin, part.end - part.begin));
    if (part.tokens > most_tokens_) {
      std::vector<Part> smaller = broken(text_, part, break_by);
      if (smaller.size() == 1 && break_by == UBRK_SENTENCE) return add(part, UBRK_WORD);
      if (smaller.size() == 1) smaller = chopped(text_, part, most_tokens_);
      if (smaller.size() > 1) {
        for (Part& one : smaller) add(one, UBRK_WORD);
        return;
      }
    }
    const bool ends_well = part.is_heading && static_cast<double>(tokens_) >
                                                  kFullEnough * static_cast<double>(most_tokens_);
    if (!parts_.empty() && (tokens_ + part.tokens > most_tokens_ || ends_well)) close();
    parts_.push_back(part);
    tokens_ += part.tokens;
  }

  void close() {
    if (parts_.empty()) return;
    std::size_t begin = parts_.front().begin;
    const std::size_t end = parts_.back().end;
    if (overlap_tokens_ > 0) {
      if (overlap_begin_ < last_end_) begin = overlap_begin_;
      overlap_begin_ = tail_begin();
    } else if (!pieces_.empty()) {
      pieces_.back().gap = std::string(text_.substr(last_end_, begin - last_end_));
    }
    pieces_.push_back(
        {std::string(text_.substr(begin, end - begin)), "", static_cast<std::int64_t>(begin)});
    last_end_ = end;
    parts_.clear();
    tokens_ = 0;
  }

  // Where the last sentences of the piece at hand begin that the next one begins with.
  std::size_t tail_begin() {
    std::size_t begin = parts_.back().end;
    std::int64_t left = overlap_tokens_;
    for (auto part = parts_.rbegin(); part != parts_.rend(); ++part) {
      std::vector<Part> sentences = broken(text_, *part, UBRK_SENTENCE);
      while (!sentences.empty()) {
        const Part& last = sentences.back();
        left -= count_(text_.substr(last.begin, last.end - last.begin));
        if (left < 0) return begin;
        begin = last.begin;
        sentences.pop_back();
      }
    }
    return begin;
  }

  const std::string_view text_;
  const std::int64_t most_tokens_;
  const std::int64_t overlap_tokens_;
  const CountTokens& count_;
  std::vector<NewPiece> pieces_;
  std::vector<Part> parts_;  // of the piece at hand
  std::int64_t tokens_ = 0;
  std::size_t last_end_ = 0, overlap_begin_ = 0;
};

}  // namespace

std::vector<NewPiece> cut_text(std::string_view text, std::int64_t most_tokens,
                               std::int64_t overlap_tokens, const CountTokens& count) {
  return Cutting(text, most_tokens, overlap_tokens, count).pieces();
}

}  // namespace docmill
