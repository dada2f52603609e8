// Files as people have them: converted, misnamed, broken, in old encodings, in patterns.

#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <map>

#include "base/errors.h"
#include "base/process.h"
#include "documents/read.h"
#include "tests/catch.h"
#include "tests/world.h"

namespace docmill {
namespace {

namespace fs = std::filesystem;

class DocumentsTest {
 protected:
  fs::path write(const std::string& name, const std::string& content) {
    const fs::path path = docs / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }
  // Through pandoc, from Markdown.
  void write_as(const std::string& name, const std::string& format, const std::string& markdown) {
    const fs::path source = scratch.path / "source.md";
    std::ofstream(source) << markdown;
    Command command;
    command.argv = {"/usr/bin/pandoc",
                    "-f",
                    "markdown",
                    "-t",
                    format,
                    "-s",
                    "--metadata",
                    "title=T",
                    "-o",
                    (docs / name).string(),
                    source.string()};
    command.env = {{"PATH", "/usr/bin:/bin"}};
    command.cwd = scratch.path;
    Process pandoc(command);
    REQUIRE(pandoc.wait(60'000)->code == 0);
  }
  std::map<std::string, Document> read(const ReadOptions& options = {}) {
    return read_inputs({docs.string()}, options);
  }
  std::map<std::string, Document> read_inputs(const std::vector<std::string>& inputs,
                                              const ReadOptions& options = {}) {
    std::map<std::string, Document> documents;
    read_documents(inputs, options,
                   [&](Document document) { documents[document.id] = std::move(document); });
    return documents;
  }
  bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  }

  // In the order in which they come.
  std::vector<std::string> order() {
    std::vector<std::string> ids;
    read_documents({docs.string()}, {}, [&](const Document& document) {
      ids.push_back(document.id.substr(document.id.find('/') + 1));
    });
    return ids;
  }

  Scratch scratch;
  const fs::path docs = scratch.path / "docs";
  DocumentsTest() { fs::create_directory(docs); }
};

// A PDF of so many pages; an empty text leaves its page blank.
std::string pdf(const std::vector<std::string>& pages) {
  std::string out = "%PDF-1.4\n";
  std::vector<std::size_t> offsets;
  const auto object = [&](const std::string& body) {
    offsets.push_back(out.size());
    out += std::to_string(offsets.size()) + " 0 obj\n" + body + "\nendobj\n";
  };
  std::string kids;
  for (std::size_t i = 0; i < pages.size(); ++i) kids += std::to_string(4 + 2 * i) + " 0 R ";
  object("<< /Type /Catalog /Pages 2 0 R >>");
  object("<< /Type /Pages /Count " + std::to_string(pages.size()) + " /Kids [" + kids + "] >>");
  object("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>");
  for (std::size_t i = 0; i < pages.size(); ++i) {
    object(
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 300] /Resources << /Font << /F 3 0 R >> "
        ">> /Contents " +
        std::to_string(5 + 2 * i) + " 0 R >>");
    const std::string stream =
        pages[i].empty() ? "" : "BT /F 12 Tf 20 200 Td (" + pages[i] + ") Tj ET";
    object("<< /Length " + std::to_string(stream.size()) + " >>\nstream\n" + stream +
           "\nendstream");
  }
  const std::size_t xref = out.size();
  out += "xref\n0 " + std::to_string(offsets.size() + 1) + "\n0000000000 65535 f \n";
  for (const std::size_t offset : offsets) {
    std::string digits = std::to_string(offset);
    out += std::string(10 - digits.size(), '0') + digits + " 00000 n \n";
  }
  return out + "trailer\n<< /Size " + std::to_string(offsets.size() + 1) +
         " /Root 1 0 R >>\nstartxref\n" + std::to_string(xref) + "\n%%EOF\n";
}

const std::string kMarkdown = "# The lease\n\nBetween *us* and **you**.\n\n- one\n- two\n";

}  // namespace

TEST_CASE_METHOD(DocumentsTest, "office files and web pages come as Markdown", "[documents]") {
  for (const char* format : {"docx", "odt", "epub", "rtf", "html"}) {
    write_as(std::string("a.") + format, format, kMarkdown);
  }
  const auto documents = read();
  REQUIRE(documents.size() == 5);
  for (const auto& [id, document] : documents) {
    CAPTURE(id, document.error, document.text);
    CHECK(document.error.empty());
    CHECK(has(document.text, "The lease"));
    CHECK(has(document.text, "**you**"));
    CHECK(has(document.text, "one"));
  }
  CHECK(has(documents.at("docs/a.docx").text, "# The lease"));
  CHECK(has(documents.at("docs/a.html").text, "# The lease"));
}

TEST_CASE_METHOD(DocumentsTest, "scripts and styles of a page are no text", "[documents]") {
  write("page.html",
        "<html><head><style>b{}</style></head><body><script>steal()</script><h1>Hi</h1>"
        "<p onclick=\"x()\">There &amp; then</p></body></html>");
  const Document document = read().at("docs/page.html");
  CHECK(has(document.text, "There & then"));
  CHECK_FALSE(has(document.text, "steal"));
  CHECK_FALSE(has(document.text, "onclick"));
}

TEST_CASE_METHOD(DocumentsTest, "a PDF's pages without text are named, or left out on demand",
                 "[documents]") {
  write("whole.pdf", pdf({"First page", "Second page"}));
  write("partly.pdf", pdf({"First page", "", "Third page"}));
  write("scanned.pdf", pdf({"", ""}));
  write("cut.pdf", pdf({"First page"}).substr(0, 60));
  auto documents = read();
  CHECK(documents.at("docs/whole.pdf").text == "First page\n\nSecond page");
  CHECK(has(documents.at("docs/partly.pdf").error, "1 of its 3 pages have no text"));
  CHECK(has(documents.at("docs/scanned.pdf").error, "scanned?"));
  CHECK(has(documents.at("docs/cut.pdf").error, "pdftotext cannot read it"));
  ReadOptions options;
  options.allow_blank_pages = true;
  documents = read(options);
  CHECK(documents.at("docs/partly.pdf").text == "First page\n\nThird page");
  CHECK(has(documents.at("docs/scanned.pdf").error, "scanned?"));
}

TEST_CASE_METHOD(DocumentsTest, "files are converted side by side and come in their order",
                 "[documents]") {
  std::vector<std::string> wanted;
  for (int i = 10; i < 90; ++i) {  // more than may wait
    const bool is_pdf = i % 7 != 0;
    const std::string name = std::to_string(i) + (is_pdf ? ".pdf" : ".txt");
    write(name, is_pdf ? pdf({"Page of " + name}) : "Text of " + name);
    wanted.push_back(name);
  }
  CHECK(order() == wanted);
  for (const auto& [id, document] : read()) {
    INFO(id << ": " << document.error);
    CHECK(has(document.text, " of " + id.substr(id.find('/') + 1)));
  }
}

TEST_CASE_METHOD(DocumentsTest, "misnamed files are what their bytes say, or named",
                 "[documents]") {
  write("a.txt", pdf({"A PDF in truth"}));
  write("b.pdf", "Only text, in truth.");
  write_as("c.docx", "odt", kMarkdown);
  write("d.docx", "<html><body><p>A page, in truth</p></body></html>");
  write("notes.md", "<html> is how a page begins.");
  write("picture.txt", "\x89PNG\r\n\x1a\n and so on");
  write("old.doc", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 and so on");
  write("things.zip", std::string("PK\x03\x04\x14\0\0\0", 8) + "a.txt");
  write("empty.pdf", "");
  const auto documents = read();
  CHECK(documents.at("docs/a.txt").text == "A PDF in truth");
  CHECK(documents.at("docs/b.pdf").text == "Only text, in truth.");
  CHECK(has(documents.at("docs/c.docx").text, "The lease"));
  CHECK(has(documents.at("docs/d.docx").text, "A page, in truth"));
  CHECK(documents.at("docs/notes.md").text == "<html> is how a page begins.");
  CHECK(has(documents.at("docs/picture.txt").error, "picture"));
  CHECK(has(documents.at("docs/old.doc").error, "libreoffice"));
  CHECK(has(documents.at("docs/things.zip").error, "archive"));
  CHECK_FALSE(documents.at("docs/empty.pdf").error.empty());
}

TEST_CASE_METHOD(DocumentsTest, "old encodings are guessed from enough text, else asked for",
                 "[documents]") {
  const std::string latin =
      "Les \xe9l\xe8ves de l'\xe9"
      "cole ont \xe9t\xe9 tr\xe8s s\xe9rieux pendant toute l'ann\xe9"
      "e, "
      "m\xeame si le d\xe9"
      "but fut difficile. Le ma\xeetre a r\xe9p\xe9t\xe9 les r\xe8gles, et "
      "chacun a fait un effort pour progresser. \xc0 No\xebl, les r\xe9sultats \xe9taient "
      "d\xe9j\xe0 meilleurs que pr\xe9vu, gr\xe2"
      "ce \xe0 eux.";
  write("long.txt", latin);
  write("short.txt", "caf\xe9");
  write("wide.txt", std::string("h\0i\0", 4));
  auto documents = read();
  CHECK(has(documents.at("docs/long.txt").text, "élèves de l'école"));
  CHECK(has(documents.at("docs/short.txt").error, "--encoding"));
  ReadOptions options;
  options.encoding = "windows-1252";
  CHECK(read(options).at("docs/short.txt").text == "café");
  options.encoding = "UTF-16LE";
  CHECK(read(options).at("docs/wide.txt").text == "hi");
  options.encoding = "klingon";
  CHECK_THROWS_AS(read(options), UsageError);
}

TEST_CASE_METHOD(DocumentsTest, "CSV rows are documents", "[documents]") {
  write("a.csv", "id,text,owner\nx1,\"one, two\nthree\",Ann\nx2,,Bob\nx3,last,\"=1+1\"");
  auto documents = read();
  CHECK(documents.at("x1").text == "one, two\nthree");
  CHECK(documents.at("x1").extra == R"({"owner":"Ann"})");
  CHECK(has(documents.at("x2").error, "blank"));
  CHECK(documents.at("x3").text == "last");

  write("a.csv", "\xef\xbb\xbfNr;Brief\n7;Hallo\n8;Welt\n");
  CHECK_THROWS_AS(read(), UsageError);
  ReadOptions options;
  options.records = {"Brief", "Nr"};
  documents = read(options);
  CHECK(documents.at("7").text == "Hallo");
  options.records = {"Brief", ""};
  CHECK(read(options).at("docs/a.csv:3").text == "Welt");
  options.records = {"Letter", ""};
  CHECK_THROWS_AS(read(options), UsageError);

  write("a.csv", "only\none\ntwo\n");
  CHECK(read().at("docs/a.csv:2").text == "one");
}

TEST_CASE_METHOD(DocumentsTest, "a text is read whole, whatever its size beside the buffers'",
                 "[documents]") {
  for (const std::size_t size : {1, 4095, 4096, 4097, 65'535, 65'536, 65'537, 200'000}) {
    std::string text;
    while (text.size() < size) text += "Line " + std::to_string(text.size()) + ".\n";
    text.resize(size);
    if (text.back() == '\n') text.back() = '.';
    write("a.txt", text);
    write("b.jsonl", "{\"id\":\"record\",\"text\":\"" + std::string(size, 'x') + "\"}\n");
    INFO(size);
    auto documents = read();
    CHECK(documents["docs/a.txt"].text == text);
    CHECK(documents["record"].text == std::string(size, 'x'));
  }
}

TEST_CASE_METHOD(DocumentsTest, "patterns, excludes, pipes, loops", "[documents]") {
  write("a.txt", "a");
  write("b.md", "b");
  write("old/c.txt", "c");
  write("old/c.bak", "c");
  fs::create_directory_symlink(docs, docs / "loop");
  fs::create_symlink(docs / "nowhere", docs / "dangling");
  fs::create_symlink(docs / "a.txt", docs / "link.txt");
  REQUIRE(mkfifo((docs / "pipe").c_str(), 0600) == 0);
  auto documents = read();
  CHECK(has(documents.at("docs/pipe").error, "regular"));
  CHECK(has(documents.at("docs/dangling").error, "link to nothing"));
  CHECK(documents.at("docs/link.txt").text == "a");
  CHECK(documents.size() == 7);

  ReadOptions options;
  options.excludes = {"*.bak", "docs/*.md", "pipe", "loop", "dangling"};
  documents = read(options);
  CHECK(documents.size() == 3);
  documents = read_inputs({(docs / "*.txt").string()});
  CHECK(documents.size() == 2);
  CHECK(documents.count("a.txt") == 1);
  CHECK_THROWS_AS(read_inputs({(docs / "*.nothing").string()}), UsageError);
}

TEST_CASE_METHOD(DocumentsTest, "a line that never ends costs one document, not the memory",
                 "[documents]") {
  {
    std::ofstream file(docs / "a.jsonl", std::ios::binary);
    file << R"({"id":"first","text":"one"})"
         << "\n{\"id\":\"endless\",\"text\":\"";
    const std::string block(1 << 20, 'x');
    for (int i = 0; i < 80; ++i) file << block;
    file << "\"}\n"
         << R"({"id":"last","text":"two"})";
  }
  const auto documents = read();
  CHECK(documents.at("first").text == "one");
  CHECK(documents.at("last").text == "two");
  CHECK(has(documents.at("docs/a.jsonl:2").error, "longer than"));
}

}  // namespace docmill
