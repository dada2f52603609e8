// What a service manager sees of the worker: sd_notify's datagrams, and lines for the journal.

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <csignal>
#include <cstring>

#include "base/file.h"
#include "tests/catch.h"
#include "tests/process/mill_test.h"

using namespace docmill;
using namespace docmill::process_test;

namespace {

class ServiceTest : public MillTest {
 protected:
  ServiceTest() : socket_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = (folder / "notify").string();
    REQUIRE(path.size() < sizeof address.sun_path);
    std::memcpy(address.sun_path, path.c_str(), path.size());
    REQUIRE(bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    env["NOTIFY_SOCKET"] = path;
    simulate("--latency 50ms");
    configure(
        "[providers.sim]\nbase_url = \"@URL@\"\n"
        "[models.m]\nprovider = \"sim\"\ninput = 1\noutput = 1\n");
  }

  // Whether such a line comes within five seconds. What came before it is forgotten.
  bool is_told(const std::string& line) {
    return becomes_true(5000, [&] {
      char message[512];
      for (;;) {
        const ssize_t got = recv(socket_.get(), message, sizeof message, 0);
        if (got < 0) return false;
        if (std::string(message, static_cast<std::size_t>(got)).starts_with(line)) return true;
      }
    });
  }

 private:
  Fd socket_;
};

}  // namespace

TEST_CASE_METHOD(ServiceTest, "a service is ready when it works, and says when it stops") {
  REQUIRE(docmill("submit summarise " + write("a.txt", "A text.").string()).code == 0);
  Process worker = start("work");
  CHECK(is_told("READY=1"));
  CHECK(is_told("STATUS="));
  worker.send(SIGTERM);
  CHECK(is_told("STOPPING=1"));
  const auto exit = worker.wait(10'000);
  REQUIRE(exit);
  CHECK(exit->code == 0);
}
