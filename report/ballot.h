#pragma once

// A page on which a person votes which answer is the best, without knowing whose it is: answers of
// a document stand side by side in an order that differs from document to document, and the names
// come out when the voter asks for them. One file; works offline; votes never leave it.

#include <string>
#include <vector>

namespace docmill {

struct BallotAnswer {
  std::string model;
  std::string text;
};

struct BallotDocument {
  std::string id;
  std::string text;
  std::vector<BallotAnswer> answers;
};

// More than anybody reads; a page says when it has left some out or cut a text short.
inline constexpr std::size_t kMaxBallotDocuments = 200;
inline constexpr std::size_t kMaxBallotBytes = 20'000;  // of each text

// `figures` is shown with the names.
std::string ballot_page(const std::string& title, std::vector<BallotDocument> documents,
                        const std::string& figures);

}  // namespace docmill
