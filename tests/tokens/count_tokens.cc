// Encodes texts for a comparison with other tokenizers: one JSON string a line in, one array of
// token ids a line out. With --time: the bytes a second of counting all of stdin.
//
//   count_tokens NAME FOLDER [--time] < TEXTS

#include <chrono>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "base/errors.h"
#include "llm/tokenizer.h"
#include "llm/tokenizers.h"

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  docmill::Tokenizers tokenizers({argv[2]});
  docmill::Tokenizer* tokenizer = nullptr;
  try {
    tokenizer = tokenizers.find(argv[1]);
  } catch (const docmill::UsageError& error) {
    std::cerr << error.what() << "\n";
    return 2;
  }
  if (tokenizer == nullptr) return 3;
  if (argc == 3) {
    for (std::string line; std::getline(std::cin, line);) {
      const auto ids = tokenizer->encode(nlohmann::json::parse(line).get<std::string>());
      std::cout << nlohmann::json(ids).dump() << "\n";
    }
    return 0;
  }
  const std::string all((std::istreambuf_iterator<char>(std::cin)), {});
  const auto start = std::chrono::steady_clock::now();
  const auto tokens = tokenizer->count(all);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  std::cout << tokens << " tokens of " << all.size() << " bytes, "
            << static_cast<double>(all.size()) / took.count() / 1e6 << " MB/s\n";
}
