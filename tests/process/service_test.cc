// What a service manager sees of the worker: sd_notify's datagrams, and lines for the journal.

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <csignal>
#include <cstring>

#include "base/file.h"
#include "tests/catch.h"
#include "tests/process/books.h"

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

TEST_CASE_METHOD(ServiceTest, "an idle worker feeds a watchdog of whatever patience") {
  env["WATCHDOG_USEC"] = "900000";
  Process worker = start("work");
  REQUIRE(is_told("READY=1"));
  for (int i = 0; i < 3; ++i) {
    const std::int64_t before_ms = wall_ms();
    CHECK(is_told("WATCHDOG=1"));
    CHECK(wall_ms() - before_ms < 900);
  }
  worker.kill();
}

namespace {

class ReloadTest : public ServiceTest {
 protected:
  void configure_with(const std::string& price, const std::string& in_flight) {
    configure("[worker]\nin_flight = " + in_flight +
              "\n[providers.sim]\nbase_url = \"@URL@\"\nkey_env = \"MILL_TEST_KEY\"\n"
              "[models.m]\nprovider = \"sim\"\nname = \"m+latency=100ms\"\noutput = 1\ninput = " +
              price + "\n");
  }
  std::int64_t number(const std::string& sql) { return StoreView(store_file).number(sql); }
};

}  // namespace

TEST_CASE_METHOD(ReloadTest, "a reload changes limits and prices at once, and loses nothing") {
  env["MILL_TEST_KEY"] = "sk-mill-test-0123456789";
  configure_with("1", "2");
  write_texts("docs.jsonl", 60);
  REQUIRE(docmill("submit summarise docs.jsonl --batch b").code == 0);
  Process worker = start("work --drain");
  REQUIRE(is_told("READY=1"));
  REQUIRE(becomes_true(20'000, [&] { return sent_count() >= 6; }));

  configure_with("200", "oops");
  worker.send(SIGHUP);
  CHECK(is_told("RELOADING=1\nMONOTONIC_USEC="));
  CHECK(is_told("READY=1\nSTATUS=the new config is refused"));
  CHECK(err_of(worker).find("docmill.toml:4: ") != std::string::npos);
  const std::size_t before = sent_count();
  REQUIRE(becomes_true(20'000, [&] { return sent_count() >= before + 4; }));

  configure_with("200", "20");
  worker.send(SIGHUP);
  CHECK(is_told("READY=1\nSTATUS=reloaded"));
  const auto exit = worker.wait(30'000);
  REQUIRE(exit);
  CHECK(exit->code == 0);

  // None lost, none sent twice, each with its key, and priced as when it was sent.
  CHECK(sent_count() == 60);
  for (const LogLine& line : sent()) CHECK(line.has_key);
  CHECK(
      number("SELECT count(*) FROM attempt WHERE outcome = 'answered' AND cost_basis = 'usage'") ==
      60);
  CHECK(number("SELECT count(DISTINCT ceiling_price_id) FROM attempt") == 2);
  CHECK(number("SELECT count(*) FROM attempt WHERE price_id != ceiling_price_id") == 0);
  CHECK(
      number("SELECT count(*) FROM attempt a WHERE cost_pusd != fresh_tokens * (SELECT input_pusd "
             "FROM price p WHERE p.id = a.price_id) + output_tokens * 1000000") == 0);
  // More fly at once than before.
  CHECK(
      number("SELECT max(beside) FROM (SELECT (SELECT count(*) FROM attempt b WHERE b.opened_at <= "
             "a.opened_at AND b.settled_at > a.opened_at) AS beside FROM attempt a)") > 4);
}

TEST_CASE_METHOD(ReloadTest, "a stop that takes long asks the service manager for time") {
  env["MILL_TEST_KEY"] = "sk-mill-test-0123456789";
  configure(
      "[providers.sim]\nbase_url = \"@URL@\"\n"
      "[models.m]\nprovider = \"sim\"\nname = \"m+latency=3s\"\ninput = 1\noutput = 1\n");
  REQUIRE(docmill("submit summarise " + write("a.txt", "A text.").string()).code == 0);
  Process worker = start("work");
  REQUIRE(becomes_true(10'000, [&] { return sent_count() == 1; }));
  worker.send(SIGTERM);
  CHECK(is_told("STOPPING=1"));
  CHECK(is_told("EXTEND_TIMEOUT_USEC="));
  const auto exit = worker.wait(10'000);
  REQUIRE(exit);
  CHECK(exit->code == 0);
  CHECK(number("SELECT count(*) FROM job WHERE state = 'done'") == 1);
}
