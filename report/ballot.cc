#include "report/ballot.h"

#include <fmt/format.h>

#include <algorithm>
#include <kainjow/mustache.hpp>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/sha256.h"
#include "base/text.h"
#include "report/page_files.h"

namespace docmill {
namespace {

using kainjow::mustache::data;

std::string ballot_text(const std::string& text) {
  if (text.size() <= kMaxBallotBytes) return printable_text(text);
  return printable_text(utf8_prefix(text, kMaxBallotBytes)) + "\n[... cut here for the page]";
}

// By chance, but the same whenever the page is made.
void shuffle_answers(BallotDocument& document) {
  const auto place = [&](const BallotAnswer& answer) {
    return sha256_of_parts({document.id, answer.model});
  };
  std::sort(document.answers.begin(), document.answers.end(),
            [&](const auto& a, const auto& b) { return place(a) < place(b); });
}

// Nothing ends a script element but "</", and JSON may write '<' as an escape.
std::string in_script(const nlohmann::json& value) {
  std::string text;
  for (const char c : value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace)) {
    text += c == '<' ? std::string("\\u003c") : std::string(1, c);
  }
  return text;
}

std::string ballot_policy() {
  const auto hash = [](std::string_view text) {
    return fmt::format("'sha256-{}'", to_base64(sha256(text)));
  };
  return fmt::format(
      "default-src 'none'; style-src {}; script-src {}; base-uri 'none'; form-action 'none'",
      hash(kPageCss), hash(kBallotJs));
}

}  // namespace

std::string ballot_page(const std::string& title, std::vector<BallotDocument> documents,
                        const std::string& figures) {
  data root;
  root.set("csp", ballot_policy());
  root.set("css", std::string(kPageCss));
  root.set("js", std::string(kBallotJs));
  root.set("title", printable_line(title));
  root.set("figures", printable_text(figures));
  if (documents.size() > kMaxBallotDocuments) {
    root.set("left_out",
             fmt::format("The first {} of {} documents.", kMaxBallotDocuments, documents.size()));
    documents.resize(kMaxBallotDocuments);
  }
  nlohmann::json key = nlohmann::json::array();
  data list(data::type::list);
  for (BallotDocument& document : documents) {
    shuffle_answers(document);
    data entry, answers(data::type::list);
    entry.set("number", std::to_string(key.size()));
    entry.set("id", printable_line(document.id));
    entry.set("text", ballot_text(document.text));
    nlohmann::json models = nlohmann::json::array();
    for (const BallotAnswer& answer : document.answers) {
      data one;
      one.set("place", std::to_string(models.size()));
      one.set("label", std::string(1, static_cast<char>('A' + models.size() % 26)));
      one.set("answer", ballot_text(answer.text));
      answers.push_back(one);
      models.push_back(answer.model);
    }
    entry.set("answers", answers);
    list.push_back(entry);
    key.push_back(std::move(models));
  }
  root.set("documents", list);
  root.set("key", in_script(key));
  kainjow::mustache::mustache html{std::string(kBallotHtml)};
  CHECK(html.is_valid());
  return html.render(root);
}

}  // namespace docmill
