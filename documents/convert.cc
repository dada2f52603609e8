#include "documents/convert.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <optional>
#include <vector>

#include "base/errors.h"
#include "base/file.h"
#include "base/memory_file.h"
#include "base/process.h"
#include "base/text.h"
#include "documents/document.h"

namespace docmill {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kTimeoutMs = 120'000;
constexpr std::int64_t kMaxComplaintBytes = 64 << 10;
// pandoc is Haskell, reserves address space without using it, and so has to limit itself. A page of
// ten megabytes needs more than this; w3m takes such pages in a few.
constexpr const char* kPandocHeap = "-M1g";
constexpr int kPandocHeapExhausted = 251;
constexpr std::int64_t kPandocHtmlBytes = 4 << 20;
constexpr std::int64_t kOthersMemoryBytes = std::int64_t{2} << 30;

std::optional<std::string> program_path(const std::string& name) {
  for (const char* folder : {"/usr/bin", "/usr/local/bin", "/bin"}) {
    const fs::path path = fs::path(folder) / name;
    if (access(path.c_str(), X_OK) == 0) return path.string();
  }
  return std::nullopt;
}

struct Run {
  std::optional<Exit> exit;  // nothing: it took too long
  std::string out, complaint;
};

Run run(std::vector<std::string> argv, std::int64_t memory_bytes) {
  const MemoryFile out, err;
  Command command;
  command.argv = std::move(argv);
  command.env = {{"PATH", "/usr/bin:/bin"}, {"LC_ALL", "C.UTF-8"}, {"HOME", "/dev/null"}};
  command.cwd = "/";
  command.out_fd = out.fd();
  command.err_fd = err.fd();
  command.limits.memory_bytes = memory_bytes;
  command.limits.file_bytes = kMaxDocumentBytes;
  command.limits.cpu_s = kTimeoutMs / 1000;
  Process child(command);
  Run done;
  done.exit = child.wait(kTimeoutMs);
  if (!done.exit) child.kill();
  done.out = out.content(kMaxDocumentBytes);
  done.complaint = err.content(kMaxComplaintBytes);
  return done;
}

std::string first_line(const std::string& text) {
  const std::string_view trimmed_text = trimmed(text);
  return printable_line(utf8_prefix(trimmed_text.substr(0, trimmed_text.find('\n')), 200));
}

// Empty: it went well.
std::string problem_of(const Run& run, const std::string& program) {
  if (!run.exit || run.exit->signal == SIGXCPU) {
    return fmt::format("{} took longer than {} s", program, kTimeoutMs / 1000);
  }
  if (run.exit->signal == SIGXFSZ) {
    return fmt::format("its text is larger than {}", human_bytes(kMaxDocumentBytes));
  }
  if (run.exit->signal != 0) return fmt::format("{} crashed on it", program);
  if (run.exit->code == 0) return {};
  if (program == "pandoc" && run.exit->code == kPandocHeapExhausted) {
    return "pandoc needs more than 1 GiB of memory for it";
  }
  const std::string complaint = first_line(run.complaint);
  if (complaint.find("password") != std::string::npos) return "it is encrypted";
  return fmt::format("{} cannot read it: {}", program,
                     complaint.empty() ? fmt::format("exit {}", run.exit->code) : complaint);
}

Decoded missing(const std::string& program, const std::string& package) {
  return {"", fmt::format("{} is needed to read it: apt-get install {}", program, package)};
}

// pdftotext ends each page with a form feed.
Decoded from_pages(const std::string& text, bool allow_blank_pages) {
  std::string out;
  std::size_t pages = 0, blank = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\f', at), text.size());
    const std::string_view page = trimmed(std::string_view(text).substr(at, end - at));
    ++pages;
    if (page.empty()) {
      ++blank;
    } else {
      out.append(out.empty() ? "" : "\n\n").append(page);
    }
    at = end + 1;
  }
  if (out.empty()) return {"", "it has no text (scanned?)"};
  if (blank > 0 && !allow_blank_pages) {
    return {"", fmt::format("{} of its {} pages have no text (scanned?); --allow-blank-pages takes "
                            "the others",
                            blank, pages)};
  }
  return {std::move(out), ""};
}

Decoded from_pdf(const fs::path& file, bool allow_blank_pages) {
  const auto program = program_path("pdftotext");
  if (!program) return missing("pdftotext", "poppler-utils");
  const Run done = run({*program, "-enc", "UTF-8", file.string(), "-"}, kOthersMemoryBytes);
  if (std::string problem = problem_of(done, "pdftotext"); !problem.empty()) return {"", problem};
  Decoded text = from_pages(done.out, allow_blank_pages);
  if (!text.text.empty()) return decode_text(std::move(text.text), "");
  return text;
}

Decoded from_pandoc(const std::string& reader, const fs::path& file) {
  const auto program = program_path("pandoc");
  if (!program) return missing("pandoc", "pandoc");
  const Run done = run({*program, "+RTS", kPandocHeap, "-RTS", "--sandbox", "--from", reader,
                        "--to", "gfm-raw_html", "--wrap", "none", "--", file.string()},
                       0);
  if (std::string problem = problem_of(done, "pandoc"); !problem.empty()) return {"", problem};
  return decode_text(done.out, "");
}

Decoded from_html(const fs::path& file) {
  std::error_code error;
  const bool is_small = fs::file_size(file, error) <= static_cast<std::uintmax_t>(kPandocHtmlBytes);
  if (is_small && program_path("pandoc")) {
    Decoded text = from_pandoc("html", file);
    if (text.error.empty()) return text;
  }
  const auto program = program_path("w3m");
  if (!program) return missing(is_small ? "pandoc" : "w3m", is_small ? "pandoc" : "w3m");
  const Run done =
      run({*program, "-dump", "-T", "text/html", "-O", "UTF-8", "-cols", "200", file.string()},
          kOthersMemoryBytes);
  if (std::string problem = problem_of(done, "w3m"); !problem.empty()) return {"", problem};
  return decode_text(done.out, "");
}

}  // namespace

std::vector<Converter> converters() {
  std::vector<Converter> all = {{"pdftotext", "poppler-utils", "PDF"},
                                {"pandoc", "pandoc", "office files, EPUB and web pages"},
                                {"w3m", "w3m", "web pages larger than 4 MiB"}};
  for (Converter& one : all) one.is_here = program_path(one.program).has_value();
  return all;
}

Decoded convert(Format format, const fs::path& file, bool allow_blank_pages) {
  switch (format) {
    case Format::pdf:
      return from_pdf(file, allow_blank_pages);
    case Format::html:
      return from_html(file);
    case Format::docx:
      return from_pandoc("docx", file);
    case Format::odt:
      return from_pandoc("odt", file);
    case Format::epub:
      return from_pandoc("epub", file);
    case Format::rtf:
      return from_pandoc("rtf", file);
    default:
      return {"", "it is not converted"};
  }
}

}  // namespace docmill
